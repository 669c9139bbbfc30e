/**
 * Decodes the files that a walk probably reads next, while the walking program works on the file before. These are the
 * later files of the same directory, in the order of their names, and the files in directories between and after them.
 * Decoded files are offered to the addon in this order.
 */
import type { Soon, OpenContent } from '../contents/index.js';
import { EntryType } from '../model/index.js';
import { type NodePlace, placeOf } from './node-ids.js';
import type { LoadedPage } from './page-cache.js';
import type { FileNode } from './ready-files.js';
import type { ShownEntry, Tree } from './tree.js';

/** Maximum number of files that are decoded ahead of the file that is read; in a walk, and otherwise. */
const WALK_AHEAD = 64;
const LOOK_AHEAD = 16;
/** Size of the files ahead from which on no further one is decoded. */
const AHEAD_BYTES = 4 << 20;
/**
 * Maximum number of steps for one request: to an entry, into a directory, or out of one. Large parts of a tree may
 * have no files.
 */
const MOST_STEPS = 64;
/** Maximum number of pages that are loaded for one file that is read. */
const MOST_LOADS = 8;

/** A tree that contains files. */
export type FileTree = Tree & Required<Pick<Tree, 'pageOf'>>;

/** A file that a walk probably reads next. */
export interface ComingFile {
  readonly tree: FileTree;
  readonly shown: ShownEntry;
  /** The content; undefined if it could not be located. */
  readonly content: OpenContent | undefined;
}

/** The part of `Contents` that a walk needs. */
interface AheadContents {
  /** Locates the contents of some entries of a page, from an index on. */
  locate(page: LoadedPage, index: number): Promise<void>;
  /** Offers the content of a file to the addon. Returns false if the file must be offered again later. */
  offer(file: ComingFile): boolean;
  /** Takes back all contents that were offered. */
  takeBack(): void;
}

/** A position in a directory, and its page if that is loaded. */
interface Cursor {
  readonly tree: FileTree;
  readonly directory: number;
  position: number;
  page: LoadedPage | undefined;
  /** Position of the last entry whose content was looked for. */
  locatedAt?: number;
}

export class FilesAhead {
  /** The files between the file that is read and the cursor, in their order. */
  private readonly coming: ComingFile[] = [];
  private comingBytes = 0;
  /** Number of files at the beginning of `coming` that were offered, or never are. */
  private offered = 0;
  /** Position at which looking ahead continues; undefined at the end of the tree. */
  private cursor: Cursor | undefined;
  /** True if the last files were read in their order. */
  private isWalk = false;
  private isLoading = false;
  /** Number of pages that were loaded since a file was read. */
  private loads = 0;

  constructor(private readonly contents: AheadContents) {}

  /** Records that a file is read from its beginning, and decodes the next files. `page` contains the file's entry. */
  follow(tree: FileTree, { directory, entry }: NodePlace, page: LoadedPage): void {
    const shown = page.entries[entry - page.first];
    this.loads = 0;
    const isNext = this.coming.some((file) => file.tree === tree && file.shown === shown);
    if (isNext && shown !== undefined) {
      this.pass(shown);
      this.isWalk = true;
    } else {
      if (this.offered > 0) this.contents.takeBack();
      this.forget();
      this.cursor = { tree, directory, position: entry + 1, page };
    }
    this.goOn();
  }

  /** Forgets the walk. It must be called when nodes become stale or free: other files may get their nodes. */
  forget(): void {
    this.coming.length = 0;
    this.comingBytes = 0;
    this.offered = 0;
    this.cursor = undefined;
    this.isWalk = false;
  }

  /** Records that the addon has sent a content to its end. */
  wasSent(node: FileNode): void {
    if (!this.pass(node)) return;
    this.isWalk = true;
    this.loads = 0;
  }

  /** Removes the files up to a node. Returns false if none has this node. */
  private pass({ nodeLow, nodeHigh }: FileNode): boolean {
    const at = this.coming.findIndex(
      ({ shown }) => shown.nodeLow === nodeLow && shown.nodeHigh === nodeHigh,
    );
    for (const [index, { shown, content }] of this.coming.splice(0, at + 1).entries()) {
      this.comingBytes -= shown.entry.sizeBytes;
      if (index < this.offered) content?.noteRead();
    }
    this.offered = Math.max(0, this.offered - at - 1);
    return at >= 0;
  }

  /**
   * Continues until enough files are ahead, and offers those that are decoded. Outside a walk, no other page is loaded,
   * since perhaps only one file is read.
   */
  goOn(): void {
    const most = this.isWalk ? WALK_AHEAD : LOOK_AHEAD;
    for (let steps = 0; steps < MOST_STEPS; steps += 1) {
      const { cursor } = this;
      const isEnough = this.coming.length >= most || this.comingBytes >= AHEAD_BYTES;
      if (cursor === undefined || this.isLoading || isEnough || this.loads >= MOST_LOADS) break;
      cursor.page ??= cursor.tree.loadedPage?.(cursor.directory, cursor.position);
      if (cursor.page === undefined) {
        if (this.isWalk) void this.load(cursor);
        break;
      }
      if (!this.step(cursor, cursor.page)) break;
    }
    this.offer();
  }

  /**
   * Offers files in the order of the walk, which is the order in which the addon needs them. Without a walk, copying them
   * would take longer than it saves: of two programs that read in turns, each would have the other's files taken back.
   */
  private offer(): void {
    const { coming, contents } = this;
    if (!this.isWalk) return;
    while (this.offered < coming.length && contents.offer(coming[this.offered]!)) this.offered += 1;
  }

  /** Advances the cursor by one entry, and begins to decode the entry. Returns false if that must wait. */
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
    if (shown.entry.type === EntryType.file && isShown) {
      const content = page.contents[index];
      const mayLocate = content === undefined && this.isWalk && cursor.locatedAt !== position;
      if (mayLocate || content instanceof Promise) {
        void this.load(cursor);
        return false;
      }
      if (content !== undefined && !content.prefetch()) return false;
      this.coming.push({ tree, shown, content });
      this.comingBytes += shown.entry.sizeBytes;
    }
    cursor.position += 1;
    return true;
  }

  /** Loads the page of a cursor, locates its contents, and continues. Never rejects. */
  private async load(cursor: Cursor): Promise<void> {
    const { tree, directory, position } = cursor;
    this.isLoading = true;
    this.loads += 1;
    try {
      if (position === 0 && tree.isLarge?.(directory) === true) {
        this.stop(cursor);
        return;
      }
      const page = await tree.pageOf(directory, position);
      const index = position - page.first;
      cursor.locatedAt = position;
      if (page.contents[index] === undefined) await this.contents.locate(page, index);
      await settled(page.contents[index]);
    } catch {
      this.stop(cursor); // the reader gets the error
    } finally {
      this.isLoading = false;
    }
    this.goOn();
  }

  /** Ends looking ahead at a cursor, unless another one has replaced it. */
  private stop(cursor: Cursor): void {
    if (this.cursor === cursor) this.cursor = undefined;
  }
}

/** Waits until a content is open, or cannot be opened. */
async function settled(content: Soon<OpenContent> | undefined): Promise<void> {
  try {
    await content;
  } catch {
    // The reader gets the error.
  }
}
