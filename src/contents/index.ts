export { ArrivingRecord } from './arriving-record.js';
export { ContentsAhead } from './contents-ahead.js';
export { ContentRanges } from './content-ranges.js';
export { KeptFiles } from './kept-files.js';
export {
  type DecodeInput,
  isDecodedFromFile,
  RECORD_START_BYTES,
  RecordDecoder,
} from './record-decoder.js';
export { SpareMemory } from './spare-memory.js';
export { NO_READ, OpenContent, type ReadBytes } from './open-content.js';
export { after, type Soon } from './soon.js';
export { DecodedBlocks, LoneContents } from './decoded-blocks.js';
export { PackAhead } from './pack-ahead.js';
export { ReusedBuffers } from './reused-buffers.js';
export { type BodyDecoder, recordChunks } from './record-chunks.js';
export {
  fetchHead,
  fetchRecord,
  damagedRecord,
  mayHaveMoved,
  type RecordSource,
} from './record-head.js';
export * from './stored-record.js';
export { provenBytes } from './proven-bytes.js';
export { MAX_PIECE_BYTES, type RecordPiece, RecordReader } from './record-reader.js';
export * from './sparse.js';
export * from './stored-piece.js';
export * from './whole-record.js';
