/**
 * Remembers which files a restore writes, by their contents, so that a later file with one of these contents is copied
 * from the first. That costs less than to read and decode the record again, since the other contents of the record are
 * mostly those of files around the first one.
 */
import { attributesOf, BytesBuilder, type ContentId, isSparse, sizeIn } from '../model/index.js';
import { STREAM_CHUNK_BYTES } from '../store/index.js';
import { isNewFile } from '../workers/index.js';
import type { FileToRestore, LocatedFile, Original } from './plan.js';

/** Maximum number of files that are remembered. Copies of further files are read from the store. */
const MOST_ORIGINALS = 1 << 18;
/**
 * Maximum size of a file that is copied although the store is on this machine: to read a larger one from there takes no
 * longer. It is kMostCopiedBytes of the addon.
 */
const MOST_COPIED_HERE_BYTES = 4 << 20;

const NAMES_HINT_BYTES = 4 << 10;

export class Originals {
  /** The first file with each content, as an index into the lists below. */
  private readonly byContent = new Map<ContentId, number>();
  private readonly directories: Original['directory'][] = [];
  /** The names, one after the other, and where each begins. */
  private readonly names = new BytesBuilder(NAMES_HINT_BYTES);
  private readonly nameStarts: number[] = [];
  private readonly written: Promise<void>[] = [];
  private readonly mostBytes: number;

  /** `isRemote`: the store is on another machine. */
  constructor(isRemote: boolean) {
    this.mostBytes = isRemote ? Infinity : MOST_COPIED_HERE_BYTES;
  }

  /**
   * Divides files that are restored now: the second list has those with the large content of one in the first list, from
   * which they can be copied later. Smaller files of one content are written together.
   */
  apart(files: readonly LocatedFile[]): readonly [LocatedFile[], LocatedFile[]] {
    const large = new Set<ContentId>();
    const [first, again]: [LocatedFile[], LocatedFile[]] = [[], []];
    for (const located of files) {
      const { contentId } = located.file;
      const isLarge = (located.pieces[0]?.recordBytes ?? 0) > STREAM_CHUNK_BYTES;
      const isKnown = contentId !== undefined && large.has(contentId);
      if (isKnown && located.original === undefined && this.isCopyable(located))
        again.push(located);
      else first.push(located);
      if (isLarge && contentId !== undefined && this.isPlain(located.file)) large.add(contentId);
    }
    return [first, again];
  }

  /** Remembers the files of a job. `written` resolves once the job has ended, and never rejects. */
  add(files: readonly FileToRestore[], written: Promise<void>): void {
    for (const file of files) {
      const { contentId } = file;
      if (contentId === undefined || !this.isPlain(file) || this.byContent.has(contentId)) continue;
      if (this.byContent.size === MOST_ORIGINALS) return;
      this.byContent.set(contentId, this.written.length);
      this.directories.push(file.directory);
      this.nameStarts.push(this.names.length);
      this.names.append(file.name);
      this.written.push(written);
    }
  }

  /** Returns the file that a file can be copied from; undefined if it must be read from the store. */
  of({ file, pieces }: LocatedFile): Original | undefined {
    const { contentId } = file;
    if (contentId === undefined || pieces.length === 0) return undefined;
    const index = this.byContent.get(contentId);
    if (index === undefined || !this.isCopyable({ file })) return undefined;
    const name = this.names.view().subarray(this.nameStarts[index], this.nameStarts[index + 1]);
    return {
      directory: this.directories[index]!,
      name: Buffer.from(name), // the view ends when a further name is added
      written: this.written[index]!,
    };
  }

  private isCopyable({ file }: Pick<LocatedFile, 'file'>): boolean {
    return this.isPlain(file) && attributesOf(file.metadata) === undefined;
  }

  /** True if the bytes of a file are written from its beginning to its end, and replace nothing. */
  private isPlain({ metadata, how }: FileToRestore): boolean {
    return isNewFile(how) && sizeIn(metadata) <= this.mostBytes && !isSparse(metadata);
  }
}
