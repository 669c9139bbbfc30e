/**
 * Remembers which files a restore writes, by their contents, so that a later file with one of these contents is copied
 * from the first. That costs less than to read and decode the record again, since the other contents of the record are
 * mostly those of files around the first one.
 */
import { attributesOf, BytesBuilder, type ContentId, isSparse } from '../model/index.js';
import type { CopiedFile, FileToRestore, LocatedFile, RestoreJob } from './plan.js';

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
  private readonly jobs: number[] = [];
  /** The jobs that have not ended, by their numbers, each with a promise of its end. */
  private readonly running = new Map<number, Promise<void>>();
  private planned = 0;

  /** Remembers the files of a job. `end` resolves once the job has ended, and never rejects. */
  add({ files }: RestoreJob, end: Promise<void>): void {
    const job = this.planned;
    this.planned += 1;
    this.running.set(job, end);
    void end.then(() => this.running.delete(job));
    for (const file of files) {
      const { contentId } = file.entry;
      if (contentId === undefined || !isPlain(file) || this.byContent.has(contentId)) continue;
      if (this.byContent.size === MOST_ORIGINALS) return;
      this.byContent.set(contentId, this.jobs.length);
      this.directories.push(file.directory);
      this.nameStarts.push(this.names.length);
      this.names.append(file.name);
      this.jobs.push(job);
    }
  }

  /** Returns the file as a copy; undefined if it must be read from the store. */
  copyOf(located: LocatedFile): CopiedFile | undefined {
    const { file, pieces } = located;
    if (
      file.entry.contentId === undefined ||
      !isPlain(file) ||
      attributesOf(file.entry.metadata) !== undefined
    )
      return undefined;
    const index = this.byContent.get(file.entry.contentId);
    if (index === undefined || pieces.length !== 1) return undefined;
    return {
      ...located,
      original: { directory: this.directories[index]!, name: this.nameOf(index) },
      job: this.jobs[index]!,
    };
  }

  private nameOf(index: number): Buffer {
    const { buffer, at } = this.names.reserve(0);
    return Buffer.from(buffer.subarray(this.nameStarts[index], this.nameStarts[index + 1] ?? at));
  }

  /** Resolves once the files that these copies are made from have been written, or could not be. */
  async written(copies: readonly CopiedFile[]): Promise<void> {
    const numbers = new Set(copies.map(({ job }) => job));
    for (const number of numbers) await this.running.get(number);
  }
}

/** True if the bytes of a file are written in one piece, and replace nothing. */
function isPlain({ entry, how }: FileToRestore): boolean {
  return how === 0 && entry.sizeBytes <= MOST_COPIED_BYTES && !isSparse(entry.metadata);
}
