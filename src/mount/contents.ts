/** Reads the contents of files by their nodes, and decodes in advance the files that are probably read next. */
import {
  after,
  DecodedBlocks,
  loneAmong,
  mayHaveMoved,
  OpenContent,
  rangeOf,
  type RecordDecoder,
  type Soon,
} from '../contents/index.js';
import {
  type ContentLocation,
  type History,
  type HistoryEntry,
  keptReads,
} from '../history/index.js';
import { TardisError } from '../errors/index.js';
import { EntryType, isSparse } from '../model/index.js';
import { type ExpectedRange, STREAM_CHUNK_BYTES } from '../store/index.js';
import type { System } from '../system/index.js';
import { type ComingFile, FilesAhead, type FileTree } from './files-ahead.js';
import type { Kernel, ReplyData } from './fuse-connection.js';
import type { NodePlace } from './node-ids.js';
import type { LoadedPage } from './page-cache.js';
import { Errno, FuseError } from './protocol.js';
import { MAX_READY_BYTES, type ReadyFiles } from './ready-files.js';

/** Maximum number of neighbours in a directory whose contents are located together. */
const LOCATED_TOGETHER = 64;

/** The parts of a mount that its contents need. */
export interface ContentsOptions {
  readonly system: System;
  readonly history: History;
  readonly decoder: RecordDecoder;
  readonly kernel: Kernel;
}

/** A file whose reading began at its start. */
interface BegunFile {
  readonly tree: FileTree;
  readonly place: NodePlace;
  readonly page: LoadedPage;
}

export class Contents {
  private readonly blocks: DecodedBlocks;
  /** Reads records in one piece. */
  private readonly records;
  /** Reads chunks of large records, which are kept apart from the others. */
  private readonly chunks;
  private readonly history: History;
  private readonly ready: ReadyFiles;
  private isClosed = false;
  private readonly ahead = new FilesAhead({
    locate: (page, index) => this.locate(page, index, true),
    offer: (file) => this.offer(file),
    takeBack: () => this.ready.drop(),
  });
  /** Files whose reading began at their start since the last `lookAhead`. */
  private readonly begun: BegunFile[] = [];

  constructor({ system, history, decoder, kernel }: ContentsOptions) {
    this.history = history;
    this.ready = kernel.files;
    this.chunks = keptReads(system, history, history.objects());
    const source = { backend: this.chunks, native: system.native, keys: history.contentKeys };
    this.records = keptReads(system, history, history.objects());
    this.blocks = new DecodedBlocks(source, decoder, history.directory, this.records);
    this.blocks.onDecoded = () => this.ahead.goOn();
  }

  close(): void {
    this.isClosed = true;
    this.blocks.onDecoded = () => undefined;
    this.records.close();
    this.chunks.close();
  }

  /**
   * Forgets which files are probably read next. It must be called when nodes become stale or free: other files may get
   * their nodes.
   */
  forgetAhead(): void {
    this.begun.length = 0;
    this.ahead.forget();
  }

  /** Set to true while no other request is waiting. */
  set isAlone(isAlone: boolean) {
    this.blocks.isAlone = isAlone;
  }

  /**
   * Returns bytes of a file. The caller must use them at once. Throws FuseError, and the errors of damaged contents.
   */
  read(tree: FileTree, place: NodePlace, position: number, bytes: number): Soon<ReplyData> {
    return after(tree.pageOf(place.directory, place.entry), (page) => {
      const read = (content: OpenContent): Soon<ReplyData> => content.read(position, bytes);
      const index = place.entry - page.first;
      if (position === 0) this.begun.push({ tree, place, page });
      return this.withContent(page, index, read);
    });
  }

  /**
   * Begins to decode the data that is probably read next. Call it after the replies were sent, so that the readers
   * work meanwhile.
   */
  lookAhead(): void {
    const sent = this.ready.takeSent();
    if (sent !== undefined) {
      this.ahead.wasSent(sent);
      this.ahead.goOn();
    }
    for (const { tree, place, page } of this.begun.splice(0)) this.ahead.follow(tree, place, page);
  }

  /**
   * Offers a decoded file to the addon, which then answers the requests for it. Returns false if the file is not decoded
   * yet, or if there is no room.
   */
  private offer({ tree, shown, content }: ComingFile): boolean {
    const { entry } = shown;
    const isLarge = entry.sizeBytes > MAX_READY_BYTES;
    if (content === undefined || isLarge || tree.isFixed !== true || this.isClosed) return true;
    if (!this.history.access.mayRead(entry)) return true;
    try {
      const data = content.ready();
      if (data === false || data?.bytes === 0) return true;
      if (data === undefined) {
        content.prefetch();
        return false;
      }
      return this.ready.offer(shown, data);
    } catch {
      return true; // the reader gets the error
    }
  }

  /** Returns the start of the next data (or hole) at or after a position; undefined after the end. */
  seek(
    tree: FileTree,
    place: NodePlace,
    position: number,
    isData: boolean,
  ): Soon<number | undefined> {
    return after(tree.pageOf(place.directory, place.entry), (page) =>
      this.withContent(page, place.entry - page.first, (content) =>
        seekIn(content, position, isData),
      ),
    );
  }

  /**
   * Calls a function with the open content of a file. If its records were moved since it was located, it is located
   * again and the function is called again.
   */
  private withContent<T>(
    page: LoadedPage,
    index: number,
    use: (content: OpenContent) => Soon<T>,
  ): Soon<T> {
    const soon = after(this.opened(page, index), use);
    if (!(soon instanceof Promise)) return soon;
    return soon.catch((error: unknown) => {
      if (!mayHaveMoved(error)) throw error;
      page.contents.length = 0;
      return after(this.opened(page, index), use);
    });
  }

  private opened(page: LoadedPage, index: number): Soon<OpenContent> {
    const entry = page.entries[index]?.entry;
    if (entry === undefined) throw new FuseError(Errno.ESTALE);
    if (entry.type !== EntryType.file) throw new FuseError(Errno.EINVAL);
    // Also for a content that was located with those of its neighbours.
    if (!this.history.access.mayRead(entry)) throw new FuseError(Errno.EACCES);
    const known = page.contents[index];
    if (known !== undefined) return known;
    return this.locate(page, index).then(() => {
      const found = page.contents[index];
      if (found === undefined) throw missing();
      return found;
    });
  }

  /** Locates the contents of an entry and of those after it. In a walk, their records are announced. */
  private async locate(page: LoadedPage, index: number, isWalk = false): Promise<void> {
    const entries = page.entries
      .slice(index, index + LOCATED_TOGETHER)
      .map(({ entry }) => entry)
      .filter((entry) => entry.type === EntryType.file && entry.damage === undefined);
    const stored = entries.filter(({ contentId }) => contentId !== undefined);
    const found = await this.locateTogether(stored);
    const byEntry = new Map(stored.map((entry, at) => [entry, found[at]]));
    if (isWalk) this.records.expect?.(found.flatMap(rangesToRead));
    const isLone = loneAmong(found);
    page.entries.slice(index, index + LOCATED_TOGETHER).forEach(({ entry }, at) => {
      const place = index + at;
      if (entry.type !== EntryType.file || page.contents[place] !== undefined) return;
      const pieces = entry.contentId === undefined ? withoutContent(entry) : byEntry.get(entry);
      if (pieces === undefined) return;
      const how = { isSparse: isSparse(entry.metadata), isLone: isLone(pieces) };
      const opening = OpenContent.open(pieces, how, this.blocks);
      page.contents[place] = opening;
      if (!(opening instanceof Promise)) return;
      opening.then(
        (content) => {
          page.contents[place] = content;
        },
        () => {
          page.contents[place] = undefined; // the reader gets the error
        },
      );
    });
  }

  /**
   * Locates contents together, or only the first one if that fails for one of them. Throws the error of the first.
   */
  private async locateTogether(entries: readonly HistoryEntry[]): Promise<ContentLocation[]> {
    try {
      return await this.history.locate(entries);
    } catch (error) {
      if (entries.length <= 1) throw error;
      const [first, ...others] = entries;
      const found = await this.history.locate([first!]);
      return [...found, ...others.map(() => undefined)];
    }
  }
}

/** Returns the range of a record that will be read whole. */
function rangesToRead(pieces: ContentLocation): ExpectedRange[] {
  const small = (pieces ?? []).filter(({ recordBytes }) => recordBytes <= STREAM_CHUNK_BYTES / 2);
  return small.map(rangeOf);
}

/** Returns the place of an empty file, which has no content; undefined if the file is not empty. */
function withoutContent({ sizeBytes }: HistoryEntry): ContentLocation {
  return sizeBytes === 0 ? [] : undefined;
}

function seekIn(
  { sizeBytes, map }: OpenContent,
  position: number,
  isData: boolean,
): number | undefined {
  if (position < 0 || position >= sizeBytes) return undefined;
  if (map === undefined) return isData ? position : sizeBytes;
  const data = map.dataFrom(position);
  if (isData) return data === undefined ? undefined : Math.max(position, data.offset);
  let at = position;
  for (let next = data; next !== undefined && next.offset <= at; next = map.dataFrom(at)) {
    at = next.offset + next.bytes;
  }
  return at;
}

function missing(): TardisError {
  return new TardisError('CONTENT_DAMAGED', 'the store lacks the content');
}
