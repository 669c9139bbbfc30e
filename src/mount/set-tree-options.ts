/** Parts that the trees of all sets share. */
import type { BackupSet, History } from '../history/index.js';
import type { DirectoriesAhead } from './directories-ahead.js';
import type { PackedListings } from './packed-listings.js';
import type { PageCache } from './page-cache.js';
import type { ReadyPages } from './ready-pages.js';

export interface SetTreeOptions {
  readonly history: History;
  readonly set: BackupSet;
  /** Number of the tree in node ids. */
  readonly tree: number;
  readonly cache: PageCache;
  readonly packed: PackedListings;
  readonly ready: ReadyPages;
  readonly ahead: DirectoriesAhead;
}
