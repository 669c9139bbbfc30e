/**
 * Decodes the files that a walk probably reads next, while the walking program works on the file before. These are the
 * later files of the same directory, in the order of their names, and the files in directories between and after them.
 */
import { EntryType } from '../model/index.js';
import { type NodePlace, placeOf } from './node-ids.js';
import { OpenContent } from './open-content.js';
import type { LoadedPage } from './page-cache.js';
import type { Tree } from './tree.js';

/** Maximum number of files that are decoded ahead of the file that is read. */
const LOOK_AHEAD = 16;
/**
 * Maximum number of steps for one request: to an entry, into a directory, or out of one. Large parts of a tree may
 * have no files.
 */
const MOST_STEPS = 64;

/** A tree that contains files. */
export type FileTree = Tree & Required<Pick<Tree, 'pageOf'>>;

/** Locates the contents of some entries of a page, from an index on. */
export type LocateContents = (page: LoadedPage, index: number) => Promise<void>;

/** A position in a directory, and its page if that is loaded. */
interface Cursor {
  readonly tree: FileTree;
  readonly directory: number;
  position: number;
  page: LoadedPage | undefined;
}

export class FilesAhead {
  /** The files between the file that is read and the cursor, in their order. */
  private readonly coming: { readonly page: LoadedPage; readonly position: number }[] = [];
  /** Position at which looking ahead continues; undefined at the end of the tree. */
  private cursor: Cursor | undefined;
  private isLoading = false;
  private readonly locate: LocateContents;

  constructor(locate: LocateContents) {
    this.locate = locate;
  }

  /** Records that a file is read from its beginning, and decodes the next files. `page` contains the file's entry. */
  follow(tree: FileTree, { directory, entry }: NodePlace, page: LoadedPage): void {
    const { coming } = this;
    const at = coming.findIndex((one) => one.page === page && one.position === entry);
    const isWalk = at >= 0;
    coming.splice(0, isWalk ? at + 1 : coming.length);
    if (!isWalk) this.cursor = { tree, directory, position: entry + 1, page };
    this.goOn(isWalk);
  }

  /**
   * Continues until enough files are ahead. Without `mayLoad`, no other page is loaded, since perhaps only one file is
   * read.
   */
  private goOn(mayLoad: boolean): void {
    for (let steps = 0; steps < MOST_STEPS && this.coming.length < LOOK_AHEAD; steps += 1) {
      const { cursor } = this;
      if (cursor === undefined || this.isLoading) return;
      cursor.page ??= cursor.tree.loadedPage?.(cursor.directory, cursor.position);
      if (cursor.page === undefined) {
        if (mayLoad) void this.load(cursor);
        return;
      }
      if (!this.step(cursor, cursor.page)) return;
    }
  }

  /** Advances the cursor by one entry, and begins to decode the entry. Returns false if decoding must wait. */
  private step(cursor: Cursor, page: LoadedPage): boolean {
    const { tree, directory, position } = cursor;
    const index = position - page.first;
    const shown = page.entries[index];
    if (shown === undefined) {
      const next = page.isLast ? tree.above?.(directory) : { directory, position };
      this.cursor = next && { tree, ...next, page: undefined };
      return true;
    }
    const isShown = shown.nodeLow !== 0 || shown.nodeHigh !== 0;
    if (shown.entry.type === EntryType.directory && isShown) {
      const below = placeOf(shown.nodeLow, shown.nodeHigh);
      this.cursor = { tree, directory: below.directory, position: 0, page: undefined };
      return true;
    }
    const content = page.contents[index];
    if (content instanceof OpenContent && !content.warm()) return false;
    if (shown.entry.type === EntryType.file) this.coming.push({ page, position });
    cursor.position += 1;
    return true;
  }

  /** Loads the page of a cursor, locates its contents, and continues. Never rejects. */
  private async load({ tree, directory, position }: Cursor): Promise<void> {
    this.isLoading = true;
    try {
      const page = await tree.pageOf(directory, position);
      const index = position - page.first;
      if (page.contents[index] === undefined) await this.locate(page, index);
    } catch {
      this.cursor = undefined; // the reader gets the error
    } finally {
      this.isLoading = false;
    }
    this.goOn(false);
  }
}
