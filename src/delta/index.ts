export { ContentRanges } from './content-ranges.js';
export type { DeltaPart, DeltaSource } from './delta-source.js';
export { type Basis, DeltaMaker, patched } from './delta.js';
export { DeltaIndex, MAX_COMMANDS } from './delta-index.js';
export { type BodyDecoder, MemoryAhead } from './record-chunks.js';
export { ReaderMemory } from './reader-memory.js';
export { MAX_PIECE_BYTES, type RecordPiece, RecordReader } from './record-reader.js';
export {
  loneAmong,
  MAX_CHAIN,
  recordKey,
  type RecordPlace,
  type StoredPiece,
} from './stored-piece.js';
export {
  blockBytesFor,
  LEAST_DELTA_BYTES,
  LoadedSignature,
  MAX_BLOCKS,
  MAX_SIGNATURE_BYTES,
  SAMPLED_FROM_BYTES,
  samplePlaces,
  SignatureJoin,
  SignatureMaker,
  signatureBytesFor,
} from './signature.js';
export {
  fetchHead,
  fetchRecord,
  headIn,
  type RecordSource,
  truncated,
  unreadRecord,
} from './fetch-record.js';
