export { ContentsAhead } from './contents-ahead.js';
export { ContentRanges } from './content-ranges.js';
export { KeptFiles } from './kept-files.js';
export {
  bodiesAside,
  type DecodeInput,
  isDecodedFromFile,
  RECORD_START_BYTES,
  RecordDecoder,
} from './record-decoder.js';
export { SpareMemory } from './spare-memory.js';
export { OpenContent, type ReadBytes } from './open-content.js';
export { after, type Soon } from './soon.js';
export { LoneContents, Units } from './units.js';
export { WalkAhead } from './walk-ahead.js';
export { ReaderMemory } from './reader-memory.js';
export { type BodyDecoder, MemoryAhead } from './record-chunks.js';
export {
  fetchHead,
  fetchRecord,
  damagedRecord,
  type RecordSource,
} from './record-head.js';
export { encryptedBytes, fetchHeader, storedBytes } from './stored-record.js';
export { MAX_PIECE_BYTES, type RecordPiece, RecordReader } from './record-reader.js';
export {
  DataRanges,
  MAX_EXTENTS,
  SparseMap,
  SparseWriter,
  sparseData,
  sparseHeadBytes,
} from './sparse.js';
export {
  loneAmong,
  MAX_CHAIN,
  rangeOf,
  recordKey,
  type RecordPlace,
  type StoredPiece,
} from './stored-piece.js';
export {
  contentsIn,
  decodeWhole,
  hashIn,
  hasContent,
  MAX_WHOLE_BYTES,
  readWhole,
  tooLarge,
  wholeHead,
} from './whole-record.js';
