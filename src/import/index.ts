/** Sources of a history that another tool has kept: their states, each a directory with a date. */
export { type DatedState, datedTrees } from './dated-trees.js';
