export type { Backend, ObjectReader, ObjectWriter } from './backend.js';
export * from './client-directory.js';
export { checkClientName, isClientName } from './client-name.js';
export {
  Codec,
  CODEC_NAMES,
  type CodecName,
  type CodecNumber,
  decode,
  encode,
  encodedBound,
  isCodec,
} from './codec.js';
export { DirectoryBackend } from './directory-backend.js';
export * from './events.js';
export * from './frame.js';
export * from './image.js';
export { addKeys, hasKeys, newestKeys, removeOlderKeys, type StoredKeys } from './key-files.js';
export * from './layout.js';
export { MemoryBackend } from './memory-backend.js';
export { type PackRange, PackWriter } from './pack-writer.js';
export * from './record.js';
export * from './record-cipher.js';
export * from './scan.js';
export * from './sub-accounts.js';
