/** Sources of a history that another tool has kept: their states, each a directory with a date. */
export { type DatedState, datedTrees } from './dated-trees.js';
export { runProgram, StatePlace } from './program.js';
export { type Archive, Repository, type RepositoryKind, showTar } from './repositories.js';
export { type NamedSource, namedSource } from './source-kind.js';
