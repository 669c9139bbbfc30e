export type { DeltaPart, DeltaSource } from './delta-source.js';
export { type Basis, DeltaMaker, patched } from './delta.js';
export { DeltaIndex, MAX_COMMANDS } from './delta-index.js';
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
