export { type Basis, DeltaMaker, patched } from './delta.js';
export { DeltaIndex, MAX_COMMANDS, type Stretch } from './delta-index.js';
export {
  blockBytesFor,
  LEAST_DELTA_BYTES,
  LoadedSignature,
  MAX_BLOCKS,
  MAX_SIGNATURE_BYTES,
  SignatureJoin,
  SignatureMaker,
  signatureBytesFor,
} from './signature.js';
