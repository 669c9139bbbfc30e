/**
 * Remembers which files a restore writes, by their contents, so that a later file with one of these contents is copied
 * from the first. That costs less than to read and decode the record again, since the other contents of the record are
 * mostly those of files around the first one.
 */
import { attributesOf, BytesBuilder, type ContentId, isSparse, sizeIn } from '../model/index.js';
import { isNewFile } from '../workers/index.js';
import type { FileToRestore, LocatedFile, Original } from './plan.js';

/** Maximum number of files that are remembered. Copies of further files are read from the store. */
const MOST_ORIGINALS = 1 << 18;
/** Maximum size of a copied file, since a job holds its bytes in memory. It is kMostCopiedBytes of the addon. */
const MOST_COPIED_BYTES = 4 << 20;

const NAMES_HINT_BYTES = 4 << 10;

export class Originals {
  /** The first file with each content, as an index into the lists below. */
  private readonly byContent = new Map<ContentId, number>();
  private readonly directories: Buffer[] = [];
  /** The names, one after the other, and where each begins. */
  private readonly names = new BytesBuilder(NAMES_HINT_BYTES);
  private readonly nameStarts: number[] = [];
  private readonly written: Promise<void>[] = [];

  /** Remembers the files of a job. `written` resolves once the job has ended, and never rejects. */
  add(files: readonly FileToRestore[], written: Promise<void>): void {
    for (const file of files) {
      const { contentId } = file;
      if (contentId === undefined || !isPlain(file) || this.byContent.has(contentId)) continue;
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
    if (contentId === undefined || pieces.length !== 1) return undefined;
    const index = this.byContent.get(contentId);
    if (index === undefined || !isPlain(file)) return undefined;
    if (attributesOf(file.metadata) !== undefined) return undefined;
    const name = this.names.view().subarray(this.nameStarts[index], this.nameStarts[index + 1]);
    return {
      directory: this.directories[index]!,
      name: Buffer.from(name), // the view ends when a further name is added
      written: this.written[index]!,
    };
  }
}

/** True if the bytes of a file are written in one piece, and replace nothing. */
function isPlain({ metadata, how }: FileToRestore): boolean {
  return isNewFile(how) && sizeIn(metadata) <= MOST_COPIED_BYTES && !isSparse(metadata);
}
