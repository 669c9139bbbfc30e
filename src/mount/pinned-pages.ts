/**
 * Pages of an unfinished set. They are never removed, since the positions of entries are valid only while their pages
 * are kept.
 */
import type { LoadedPage } from './page-cache.js';
import { Errno, FuseError } from './protocol.js';

/** Maximum number of entries of an unfinished set. */
const MAX_PINNED_ENTRIES = 256 * 1024;

export class PinnedPages {
  private readonly pages = new Map<number, LoadedPage>();
  private entries = 0;

  get(key: number): LoadedPage | undefined {
    return this.pages.get(key);
  }

  /** Keeps a page. Throws ENOMEM if there are too many entries. */
  pin(key: number, page: LoadedPage): void {
    if (this.pages.has(key)) return;
    this.entries += page.entries.length;
    if (this.entries > MAX_PINNED_ENTRIES) throw new FuseError(Errno.ENOMEM);
    this.pages.set(key, page);
  }

  clear(): void {
    this.pages.clear();
    this.entries = 0;
  }
}
