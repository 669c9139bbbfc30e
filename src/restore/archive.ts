/** Writes the entries of a set into an archive. It walks the set as a restore does, but its target is a stream. */
import { randomBytes } from 'node:crypto';
import type { ContentPiece, History, HistoryEntry } from '../history/index.js';
import { ERROR_TABLE, fromWire, TardisError, toWire, type WireError } from '../errors/index.js';
import {
  decodeRow,
  displayName,
  displayText,
  type Entry,
  EntryType,
  type EntryTypeNumber,
  joinPath,
  RowReader,
  SLASH,
} from '../model/index.js';
import { type System, wallMs } from '../system/index.js';
import { itemsOfPath } from '../workers/index.js';
import type { ByteSink } from './byte-sink.js';
import { ContentReader } from './content-reader.js';
import type { RestoreFailure, RestoreProgress } from './progress.js';
import { keyOf } from './links.js';
import { byPlace, locateEach } from './plan.js';
import { type PolicyOptions, RestorePolicy } from './policy.js';
import type { StreamMeans } from './request.js';
import {
  type DirectoryFacts,
  OutputDirectory,
  type Selection,
  TreeWalk,
  type Visited,
  type WalkVisitor,
} from './walk.js';

export interface ArchiveRequest extends Selection {
  readonly policy?: PolicyOptions;
  readonly hardLinks?: boolean;
  /** True to omit the names of owners. */
  readonly numericIds?: boolean;
  /**
   * True to throw the first damage of a file or listing, so that the archive does not look complete. Otherwise a
   * damaged file is omitted and reported.
   */
  readonly endsAtDamage?: boolean;
  /** True to end the archive with a text that names each missing entry, if there is one. */
  readonly listsMissing?: boolean;
}

/** An entry and its path in the archive. */
export interface ArchiveItem {
  readonly path: Buffer;
  readonly entry: HistoryEntry;
}

/** A format of archives. When a call has resolved, another entry may be written. */
export interface ArchiveFormat {
  readonly name: string;
  /** True if the bytes of the current file are being written, so that the file can no longer be omitted. */
  isBegun: boolean;
  /** Returns the name of the entry's kind if the archive cannot contain this entry; otherwise undefined. */
  refusal(type: EntryTypeNumber, path: Buffer): string | undefined;
  /** Writes an entry that is neither a regular file nor a further name of one. */
  other(item: ArchiveItem, row: Entry): Promise<void>;
  /** Writes a file, and returns the number of bytes of its content. Throws CONTENT_DAMAGED, RECORD_DAMAGED. */
  file(
    item: ArchiveItem,
    row: Entry,
    pieces: readonly ContentPiece[],
    reader: ContentReader,
  ): Promise<number>;
  /** Writes a further name of a file. Undefined if the format has no links; each name is then a separate file. */
  link?(item: ArchiveItem, row: Entry, first: Buffer): Promise<void>;
  /** Writes a text file that is not an entry of the set. */
  text(name: Buffer, content: Buffer, mtimeNs: bigint): Promise<void>;
  /** Writes the end of the archive. */
  end(): Promise<void>;
}

/** Owner and mode of a file in the archive that is not an entry of the set. */
export const PLAIN_ROW = Object.freeze({
  permissions: 0o644,
  uid: 0,
  gid: 0,
  attributes: undefined,
});

class ArchiveDirectory extends OutputDirectory {
  declare readonly above: ArchiveDirectory | undefined;
  /** True for the output itself, which has no header. */
  isWritten: boolean;

  constructor(facts: DirectoryFacts) {
    super(facts);
    this.isWritten = facts.above === undefined;
  }
}

interface ArchiveFile extends ArchiveItem {
  /** Key of the file's hard link group; undefined if it has none. */
  readonly key: string | undefined;
}

/** Entries that are written together: a directory's header, and its entries except other directories. */
interface Batch {
  readonly directory: ArchiveDirectory;
  readonly others: ArchiveItem[];
  readonly files: ArchiveFile[];
  readonly links: ArchiveFile[];
}

interface LocatedArchiveFile extends ArchiveFile {
  readonly pieces: readonly ContentPiece[];
}

const NS_PER_MS = 1_000_000n;
/** Number of entries collected before their contents are located; one with a long path counts as several. */
const WINDOW_ENTRIES = 1024;
/** Codes of the errors for which a file is omitted; any other error ends the archive. */
const LEFT_OUT_FOR: ReadonlySet<string> = new Set([
  'CONTENT_DAMAGED',
  'RECORD_DAMAGED',
  'CATALOG_DAMAGED',
  'IO_FAILED',
]);

/**
 * Writes an archive to a sink, in the format that `format` returns. Throws NO_SUCH_PATH and NO_ACCESS before anything
 * is written. With `endsAtDamage` it throws the first damage, with the path in its message.
 */
export async function writeArchive(
  system: System,
  means: StreamMeans,
  request: ArchiveRequest,
  { sink, format }: { readonly sink: ByteSink; readonly format: ArchiveFormat },
): Promise<RestoreFailure[]> {
  const { history, signal } = means;
  const writer = new ArchiveWriter(system, means, request, format);
  const walk = await TreeWalk.over(history, request, writer);
  try {
    for await (const _ of walk.run(signal)) await writer.flush(WINDOW_ENTRIES);
    await writer.flush(0);
    for (const { path, error } of walk.unsaved) writer.failed(path, fromWire(error));
    if (request.listsMissing === true) await writer.listMissing(wallMs(system.clock));
    await format.end();
    await sink.flush();
  } finally {
    writer.close();
  }
  return writer.failures;
}

class ArchiveWriter implements WalkVisitor<ArchiveDirectory> {
  readonly failures: RestoreFailure[] = [];
  private readonly note = new MissingNote();
  private readonly reader: ContentReader;
  private readonly policy: RestorePolicy;
  private batches: Batch[] = [];
  private entries = 0;
  /** The first name of each hard link group; undefined if the file of that name is not in the archive. */
  private readonly firstNames = new Map<string, Buffer | undefined>();
  private readonly history: History;
  private readonly progress: RestoreProgress;

  constructor(
    system: System,
    { history, progress, signal }: StreamMeans,
    private readonly request: ArchiveRequest,
    private readonly format: ArchiveFormat,
  ) {
    this.history = history;
    this.progress = progress;
    const mayPassEarly = request.endsAtDamage === true;
    this.reader = new ContentReader(system, history, mayPassEarly, signal);
    this.policy = new RestorePolicy(request.policy ?? {}, wallMs(system.clock));
  }

  close(): void {
    this.reader.close();
  }

  directory(plain: DirectoryFacts): ArchiveDirectory {
    return new ArchiveDirectory(plain);
  }

  visit(
    { entry, directory, name, device }: Visited<ArchiveDirectory>,
    made: ArchiveDirectory | undefined,
  ): boolean {
    if (made !== undefined) return true; // the header of a directory is written when the walk enters it
    this.addDirectory(directory);
    const path = joinPath(directory.path, name);
    this.note.meet(path);
    const refused = this.format.refusal(entry.type, path);
    if (refused !== undefined) {
      const why = `a ${this.format.name} archive holds no ${refused}`;
      this.failed(path, new TardisError('SPECIAL_FILE', why));
    } else if (entry.type === EntryType.file) this.addFile(path, entry, directory, device);
    else this.batchOf(directory, path).others.push({ path, entry });
    return true;
  }

  /**
   * Adds a directory. With a filter, a directory that only leads to included entries is added together with the first
   * of these entries.
   */
  enter(directory: ArchiveDirectory): void {
    if (this.request.filter === undefined || directory.isInside) this.addDirectory(directory);
  }

  leftOut(): void {
    this.progress.leftOut += 1;
  }

  failed(path: Buffer, error: WireError | Error, digest?: Buffer): void {
    this.endAt(path, error);
    this.progress.failures += 1;
    this.failures.push({ path, error: toWire(error), digest });
  }

  /** Writes the text about missing entries, if there are any. */
  async listMissing(nowMs: number): Promise<void> {
    if (this.failures.length === 0) return;
    const mtimeNs = BigInt(Math.trunc(nowMs)) * NS_PER_MS;
    await this.format.text(this.note.name, missingText(this.failures), mtimeNs);
  }

  async breathe(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /**
   * Adds the header of a directory, after the headers of the directories above it. A program that unpacks sets a
   * directory's time as soon as an entry outside of the directory follows. So all entries of a directory must follow
   * each other.
   */
  private addDirectory(directory: ArchiveDirectory): void {
    if (directory.isWritten) return;
    if (directory.above !== undefined) this.addDirectory(directory.above);
    directory.isWritten = true;
    // Directories that no set contains are created by the program that unpacks the archive.
    const { path, entry } = directory;
    this.note.meet(path);
    if (entry !== undefined && path.length > 0) {
      this.batchOf(directory, path).others.push({ path, entry });
    }
  }

  /** Returns the batch for an entry with a path in a directory. */
  private batchOf(directory: ArchiveDirectory, path: Buffer): Batch {
    this.entries += itemsOfPath(path.length);
    const last = this.batches.at(-1);
    if (last?.directory === directory) return last;
    const batch = { directory, others: [], files: [], links: [] };
    this.batches.push(batch);
    return batch;
  }

  private addFile(
    path: Buffer,
    entry: HistoryEntry,
    directory: ArchiveDirectory,
    device: string,
  ): void {
    const { files, links } = this.batchOf(directory, path);
    const hasLinks = this.format.link !== undefined && this.request.hardLinks !== false;
    const isGrouped = hasLinks && entry.linkCount > 1;
    const key = isGrouped ? keyOf(entry, device) : undefined;
    const isFurther = key !== undefined && this.firstNames.has(key);
    if (key !== undefined && !isFurther) this.firstNames.set(key, path);
    (isFurther ? links : files).push({ path, entry, key });
  }

  /** Writes the collected entries if there are at least `least` of them. */
  async flush(least: number): Promise<void> {
    if (this.entries < least) return;
    const { batches } = this;
    this.batches = [];
    this.entries = 0;
    const located: LocatedArchiveFile[][] = [];
    for (const { files } of batches) located.push((await this.locate(files)).toSorted(byPlace));
    this.reader.expect(located.flat().map(({ pieces }) => pieces));
    for (const [index, { others, links }] of batches.entries()) {
      for (const item of others) {
        await this.format.other(item, this.row(item));
        const { entry } = item;
        this.progress[entry.type === EntryType.directory ? 'directories' : 'links'] += 1;
      }
      for (const file of located[index]!) await this.writeFile(file);
      for (const link of links) await this.writeLink(link);
    }
  }

  private async locate(files: readonly ArchiveFile[]): Promise<LocatedArchiveFile[]> {
    const locations = await locateEach(
      this.history,
      files.map(({ entry }) => entry),
    );
    const located: LocatedArchiveFile[] = [];
    for (const [index, file] of files.entries()) {
      const pieces = file.entry.contentId === undefined ? [] : locations[index];
      if (pieces instanceof TardisError) this.miss(file, pieces);
      else if (pieces !== undefined) located.push({ ...file, pieces });
      else this.miss(file, new TardisError('CONTENT_DAMAGED', 'its content is not in the store'));
    }
    return located;
  }

  private async writeFile(file: LocatedArchiveFile): Promise<void> {
    const { format, reader } = this;
    const { pieces } = file;
    format.isBegun = false;
    try {
      // A content in one piece is checked while it is read. A content in several pieces is checked completely before.
      if (pieces.length > 1 && this.request.endsAtDamage !== true) await reader.check(pieces);
      this.progress.bytes += await format.file(file, this.row(file), pieces, reader);
      this.progress.files += 1;
    } catch (error) {
      const isOurs = error instanceof TardisError && LEFT_OUT_FOR.has(error.code);
      if (!isOurs) throw error;
      if (format.isBegun) throw withPath(file.path, error); // a part of the file is written already
      const isDamage = error.code !== 'IO_FAILED' && pieces.length === 1;
      this.miss(file, error, isDamage ? pieces[0]!.digest : undefined);
    }
  }

  /** Records that a file is not in the archive, so that its further names are omitted too. */
  private miss({ path, key }: ArchiveFile, error: TardisError, digest?: Buffer): void {
    this.failed(path, error, digest);
    if (key !== undefined) this.firstNames.set(key, undefined);
  }

  private async writeLink(link: ArchiveFile): Promise<void> {
    const first = this.firstNames.get(link.key!);
    if (first === undefined) {
      const why = 'the file it is linked to is damaged';
      this.failed(link.path, new TardisError('CONTENT_DAMAGED', why));
      return;
    }
    await this.format.link!(link, this.row(link), first);
    this.progress.files += 1;
  }

  /** Throws an error if the archive must be complete and the error is damage. */
  private endAt(path: Buffer, error: WireError | Error): void {
    if (this.request.endsAtDamage !== true) return;
    const { code, message } = toWire(error);
    const { kind } = ERROR_TABLE[code];
    // An entry that the reader may not read, or that the format cannot contain, is not damage.
    if (kind !== 'user' && kind !== 'partial') throw withPath(path, new TardisError(code, message));
  }

  private row({ entry }: ArchiveItem): Entry {
    const row = this.policy.row(entry.metadata, Buffer.from('x'));
    return decodeRow(new RowReader(row), 0);
  }
}

function withPath(path: Buffer, { code, message, context }: TardisError): TardisError {
  return new TardisError(code, `${displayName(path)}: ${message}`, context);
}

const NAME = 'MISSING-FROM-THIS-ARCHIVE';
const ENDING = '.txt';
/** Maximum number of entries that are named; of the others, only the number is given. */
const MAX_NAMED = 10_000;
const MARK_BYTES = 8;

/** A text at the end of an archive that names each missing entry, so that nobody takes the archive for complete. */
export class MissingNote {
  private isTaken = false;

  /** Records a path in the archive. If it is the name of the note, the note gets another name. */
  meet(path: Buffer): void {
    if (path.length !== NAME.length + ENDING.length || path.includes(SLASH)) return;
    if (path.toString('latin1').toUpperCase() === `${NAME}${ENDING}`.toUpperCase()) {
      this.isTaken = true;
    }
  }

  /**
   * Returns the name of the note. If an entry of the archive has this name, the note gets a random mark in its name.
   */
  get name(): Buffer {
    const mark = this.isTaken ? `-${randomBytes(MARK_BYTES).toString('hex')}` : '';
    return Buffer.from(`${NAME}${mark}${ENDING}`);
  }
}

/** Returns the text for some failures. Each name is on one line, whatever its bytes. */
export function missingText(failures: readonly RestoreFailure[]): Buffer {
  const named = failures.slice(0, MAX_NAMED).map(({ path, error: { code, message } }) => {
    return `${displayName(path)}: ${displayText(message)} [${code}]`;
  });
  const others = failures.length - named.length;
  const [count, are] =
    failures.length === 1 ? ['An entry', 'is'] : [`${failures.length} entries`, 'are'];
  const head =
    `${count} ${are} missing from this archive, or ${are} of an earlier backup. ` +
    'The same holds for all that is below a directory named here.';
  const more = others > 0 ? [`… and ${others} more`] : [];
  return Buffer.from(`${[head, '', ...named, ...more].join('\n')}\n`);
}
