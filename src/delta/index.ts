export type { DeltaPart, DeltaSource } from './delta-source.js';
export { type Basis, DeltaMaker, patched } from './delta.js';
export { DeltaIndex, MAX_COMMANDS } from './delta-index.js';
export { MAX_END_BYTES, RangeEnd } from './range-end.js';
export * from './signature.js';
