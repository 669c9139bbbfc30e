/**
 * Node ids describe their nodes, so that no table of nodes is needed: the tree (12 bits), the directory's number in
 * that tree (26), and the position of the entry in the directory (24; 0 is the directory itself, and n + 1 its n-th
 * entry). A further bit shows that the entry has no attributes (BARE_NODE_BIT). Ids are used in two halves, since
 * JavaScript has no fast integers of 64 bits.
 */
import { BARE_NODE_BIT } from '../system/index.js';
import { ROOT_NODE } from './protocol.js';

export const MAX_TREES = 0xfff;
export const MAX_DIRECTORIES = 0x3ff_ffff;
export const MAX_ENTRIES = 0xff_fffe;

export interface NodePlace {
  readonly tree: number;
  readonly directory: number;
  /** Position of the entry in the directory; -1 for the directory itself. */
  readonly entry: number;
}

const ROOT_PLACE: NodePlace = Object.freeze({ tree: 0, directory: 0, entry: -1 });

export function placeOf(low: number, high: number): NodePlace {
  if (high === 0 && low === ROOT_NODE) return ROOT_PLACE;
  return {
    tree: (high >>> 18) & MAX_TREES,
    directory: ((high & 0x3_ffff) << 8) | (low >>> 24),
    entry: (low & 0xff_ffff) - 1,
  };
}

export function nodeLow({ directory, entry }: NodePlace): number {
  return (((directory & 0xff) << 24) | (entry + 1)) >>> 0;
}

export function nodeHigh({ tree, directory }: NodePlace, isBare: boolean): number {
  return (((tree << 18) | (directory >>> 8)) >>> 0) + (isBare ? BARE_NODE_BIT : 0);
}
