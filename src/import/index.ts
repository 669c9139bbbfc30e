/** Sources of a history that another tool has kept: their states, each a directory with a date. */
export { BorgItems } from './borg-items.js';
export { type DatedState, datedTrees } from './dated-trees.js';
export { runProgram } from './run-program.js';
export { Repository, type RepositoryKind, showTar } from './repositories.js';
export { type NamedSource, namedSource } from './source-kind.js';
export { StatePlace } from './state-place.js';
