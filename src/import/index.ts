/** Sources of a history that another tool has kept: their states, each a directory with a date. */
export { Borg } from './borg.js';
export { BorgItems } from './borg-items.js';
export { type DatedState, datedTrees, showTar } from './dated-trees.js';
export { Programs } from './programs.js';
export * from './repository.js';
export { Restic } from './restic.js';
export { type NamedSource, namedSource } from './source-kind.js';
export { StatePlace } from './state-place.js';
