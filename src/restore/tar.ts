/** Writes the entries of a set as a tar archive: the same walk as in a restore, with a stream as its target. */
import type { History, HistoryEntry, ContentPiece } from '../history/index.js';
import { TardisError, toWire, type WireError } from '../errors/index.js';
import {
  decodeRow,
  EntryType,
  type EntryTypeNumber,
  exactMtimeNs,
  isSparse,
  joinPath,
  flagsForTar,
  inodeFlags,
  readAttributes,
  RowReader,
} from '../model/index.js';
import type { OwnerRecord } from '../store/index.js';
import { type System, wallMs } from '../system/index.js';
import type { ByteSink } from './byte-sink.js';
import { ContentReader } from './content-reader.js';
import type { RestoreFailure, RestoreProgress } from './progress.js';
import { keyOf } from './links.js';
import type { StreamMeans } from './request.js';
import { byPlace } from './plan.js';
import { locateEach } from './locate-each.js';
import { type PolicyOptions, RestorePolicy } from './policy.js';
import {
  type OutputDirectory,
  type Selection,
  TreeWalk,
  type Visited,
  type WalkVisitor,
} from './walk.js';
import { plainContent, sparseContent } from './tar-content.js';
import { TarType, type TarTypeFlag, tarEnd, tarHeader, tarPadding } from './tar-format.js';

export interface TarRequest extends Selection {
  readonly policy?: PolicyOptions;
  readonly hardLinks?: boolean;
  /** True to omit the names of owners. */
  readonly numericIds?: boolean;
}

interface TarDirectory extends OutputDirectory {
  readonly above: TarDirectory | undefined;
  isWritten: boolean;
}

interface TarItem {
  readonly path: Buffer;
  readonly entry: HistoryEntry;
}

interface TarFile {
  readonly path: Buffer;
  readonly entry: HistoryEntry;
  /** Key of its hard link group; undefined if it has none. */
  readonly key: string | undefined;
}

/** Entries that are written together: a directory's header, and its entries except other directories. */
interface Batch {
  readonly directory: TarDirectory;
  readonly others: TarItem[];
  readonly files: TarFile[];
  readonly links: TarFile[];
}

interface LocatedTarFile extends TarFile {
  readonly pieces: readonly ContentPiece[];
}

const EMPTY = Object.freeze({ sizeBytes: 0 });
/** Number of entries collected before their contents are located. */
const WINDOW_ENTRIES = 1024;
/** Errors for which a file is omitted; any other error ends the archive. */
const LEFT_OUT_FOR: ReadonlySet<string> = new Set([
  'CONTENT_DAMAGED',
  'RECORD_DAMAGED',
  'CATALOG_DAMAGED',
  'IO_FAILED',
]);

const TAR_TYPES: Readonly<Partial<Record<EntryTypeNumber, TarTypeFlag>>> = {
  [EntryType.file]: TarType.file,
  [EntryType.directory]: TarType.directory,
  [EntryType.symlink]: TarType.symlink,
  [EntryType.fifo]: TarType.fifo,
  [EntryType.characterDevice]: TarType.characterDevice,
  [EntryType.blockDevice]: TarType.blockDevice,
};

/**
 * Writes an archive to a sink. Throws NO_SUCH_PATH and NO_ACCESS before anything is written. Contents are checked
 * before their headers are written, so that damaged ones are omitted and reported.
 */
export async function writeTar(
  system: System,
  means: StreamMeans,
  request: TarRequest,
  sink: ByteSink,
): Promise<RestoreFailure[]> {
  const { history, signal } = means;
  const owners = request.numericIds === true ? [] : await history.owners(request.set);
  const writer = new TarWriter(system, means, { request, owners, sink });
  const walk = await TreeWalk.over(history, request, writer);
  try {
    for await (const _ of walk.run(signal)) await writer.flush(WINDOW_ENTRIES);
    await writer.flush(0);
    await sink.write(tarEnd(sink.bytes));
    await sink.flush();
  } finally {
    writer.close();
  }
  return writer.failures;
}

class TarWriter implements WalkVisitor<TarDirectory> {
  readonly failures: RestoreFailure[] = [];
  private readonly reader: ContentReader;
  private readonly policy: RestorePolicy;
  private batches: Batch[] = [];
  private entries = 0;
  /** The first name of each hard link group; undefined if that file is not in the archive. */
  private readonly firstNames = new Map<string, Buffer | undefined>();
  /** Names of users (u) and groups (g) by their numbers. */
  private readonly owners: ReadonlyMap<string, Buffer>;
  private readonly history: History;
  private readonly request: TarRequest;
  private readonly sink: ByteSink;
  private readonly progress: RestoreProgress;

  constructor(
    system: System,
    { history, progress }: StreamMeans,
    {
      request,
      owners,
      sink,
    }: { request: TarRequest; owners: readonly OwnerRecord[]; sink: ByteSink },
  ) {
    this.owners = new Map(
      owners.map(({ isGroup, id, name }) => [`${isGroup ? 'g' : 'u'}${id}`, name]),
    );
    this.history = history;
    this.request = request;
    this.sink = sink;
    this.progress = progress;
    this.reader = new ContentReader(system, history);
    this.policy = new RestorePolicy(request.policy ?? {}, wallMs(system.clock));
  }

  close(): void {
    this.reader.close();
  }

  directory(plain: OutputDirectory, above: TarDirectory | undefined): TarDirectory {
    return { ...plain, above, isWritten: plain.path.length === 0 };
  }

  visit(
    { entry, directory, name, device }: Visited<TarDirectory>,
    made: TarDirectory | undefined,
  ): boolean {
    if (made !== undefined) return true; // its header is written when the walk enters it
    this.addDirectory(directory);
    const path = joinPath(directory.path, name);
    if (TAR_TYPES[entry.type] === undefined) {
      this.failed(path, new TardisError('SPECIAL_FILE', 'a tar archive holds no sockets'));
    } else if (entry.type === EntryType.file) this.addFile(path, entry, directory, device);
    else this.batchOf(directory).others.push({ path, entry });
    return true;
  }

  /** Adds a directory. With a filter, those that only lead to included entries are added with the first of these. */
  enter(directory: TarDirectory): void {
    if (this.request.filter === undefined || directory.isInside) this.addDirectory(directory);
  }

  leftOut(): void {
    this.progress.leftOut += 1;
  }

  failed(path: Buffer, error: WireError | Error): void {
    this.progress.failures += 1;
    this.failures.push({ path, error: toWire(error), digest: undefined });
  }

  async breathe(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /**
   * Adds the header of a directory, after those above it. The program that unpacks sets a directory's time once an
   * entry outside of it follows. So all entries of a directory must precede any other entry.
   */
  private addDirectory(directory: TarDirectory): void {
    if (directory.isWritten) return;
    if (directory.above !== undefined) this.addDirectory(directory.above);
    directory.isWritten = true;
    // Directories that no set contains are created by the program that unpacks the archive.
    const { path, entry } = directory;
    if (entry !== undefined) this.batchOf(directory).others.push({ path, entry });
  }

  private batchOf(directory: TarDirectory): Batch {
    this.entries += 1;
    const last = this.batches.at(-1);
    if (last?.directory === directory) return last;
    const batch = { directory, others: [], files: [], links: [] };
    this.batches.push(batch);
    return batch;
  }

  private addFile(
    path: Buffer,
    entry: HistoryEntry,
    directory: TarDirectory,
    device: string,
  ): void {
    const { files, links } = this.batchOf(directory);
    const isGrouped = this.request.hardLinks !== false && entry.linkCount > 1;
    const key = isGrouped ? keyOf(entry, device) : undefined;
    const isFurther = key !== undefined && this.firstNames.has(key);
    if (key !== undefined && !isFurther) this.firstNames.set(key, path);
    (isFurther ? links : files).push({ path, entry, key });
  }

  /** Writes the collected entries if there are at least `least`. */
  async flush(least: number): Promise<void> {
    if (this.entries < least) return;
    const { batches } = this;
    this.batches = [];
    this.entries = 0;
    for (const { others, files, links } of batches) {
      for (const { path, entry } of others) {
        const type = TAR_TYPES[entry.type]!;
        await this.sink.write(this.header(path, entry, type, EMPTY, entry.linkTarget));
        this.progress[entry.type === EntryType.directory ? 'directories' : 'links'] += 1;
      }
      for (const file of (await this.locate(files)).toSorted(byPlace)) await this.writeFile(file);
      for (const link of links) await this.writeLink(link);
    }
  }

  private async locate(files: readonly TarFile[]): Promise<LocatedTarFile[]> {
    const locations = await locateEach(this.history, files);
    const located: LocatedTarFile[] = [];
    for (const [index, file] of files.entries()) {
      const pieces = file.entry.contentId === undefined ? [] : locations[index];
      if (pieces instanceof TardisError) this.miss(file, pieces);
      else if (pieces !== undefined) located.push({ ...file, pieces });
      else this.miss(file, new TardisError('CONTENT_DAMAGED', 'its content is not in the store'));
    }
    return located;
  }

  private async writeFile(file: LocatedTarFile): Promise<void> {
    const { path, entry, pieces } = file;
    let isBegun = false;
    try {
      // A content in one piece is checked when it is read. One in several pieces is checked completely first.
      if (pieces.length > 1) await this.reader.check(pieces);
      const bytes = this.reader.bytes(pieces);
      const content = isSparse(entry.metadata)
        ? await sparseContent(bytes)
        : plainContent(bytes, pieces);
      const { storedBytes, realBytes, chunks } = content;
      const form = { sizeBytes: storedBytes, sparseBytes: realBytes };
      const header = this.header(path, entry, TarType.file, form);
      for await (const chunk of chunks) {
        if (!isBegun) await this.sink.write(header);
        isBegun = true;
        await this.sink.write(chunk);
      }
      if (!isBegun) await this.sink.write(header);
      await this.sink.write(tarPadding(storedBytes));
      this.progress.files += 1;
      this.progress.bytes += storedBytes;
    } catch (error) {
      const isOurs = error instanceof TardisError && LEFT_OUT_FOR.has(error.code);
      if (isBegun || !isOurs) throw error; // the archive cannot be continued
      const isDamage = error.code !== 'IO_FAILED' && pieces.length === 1;
      this.miss(file, error, isDamage ? pieces[0]!.digest : undefined);
    }
  }

  /** Records that a file is not in the archive; its further names are then omitted too. */
  private miss({ path, key }: TarFile, error: TardisError, digest?: Buffer): void {
    this.progress.failures += 1;
    this.failures.push({ path, error: toWire(error), digest });
    if (key !== undefined) this.firstNames.set(key, undefined);
  }

  private async writeLink({ path, entry, key }: TarFile): Promise<void> {
    const first = this.firstNames.get(key!);
    if (first === undefined) {
      this.failed(path, new TardisError('CONTENT_DAMAGED', 'the file it is linked to is damaged'));
      return;
    }
    await this.sink.write(this.header(path, entry, TarType.hardLink, EMPTY, first));
    this.progress.files += 1;
  }

  private header(
    path: Buffer,
    entry: HistoryEntry,
    type: TarTypeFlag,
    form: { readonly sizeBytes: number; readonly sparseBytes?: number | undefined },
    linkPath?: Buffer,
  ): Buffer {
    const row = this.policy.row(entry.metadata, Buffer.from('x'), undefined);
    const { permissions, uid, gid, mtimeNs, device, attributes } = decodeRow(new RowReader(row), 0);
    return tarHeader({
      ...form,
      type,
      path,
      linkPath,
      permissions,
      uid,
      gid,
      userName: this.owners.get(`u${uid}`),
      groupName: this.owners.get(`g${gid}`),
      mtimeNs: exactMtimeNs(mtimeNs, attributes),
      deviceMajor: major(device),
      deviceMinor: minor(device),
      extended: type === TarType.hardLink ? [] : extendedOf(attributes, this.policy.keepsFlags),
    });
  }
}

/** Returns attributes as pax records, without those whose names contain `=`, which pax cannot express. */
function extendedOf(
  attributes: Buffer | undefined,
  withFlags: boolean,
): [key: string, value: Buffer][] {
  const extended: [key: string, value: Buffer][] = readAttributes(attributes)
    .filter(({ name }) => !name.includes(EQUALS))
    .map(({ name, value }) => [`SCHILY.xattr.${name.toString('latin1')}`, value]);
  const flags = withFlags ? flagsForTar(inodeFlags(attributes)) : '';
  return flags === '' ? extended : [['SCHILY.fflags', Buffer.from(flags)], ...extended];
}

const EQUALS = 0x3d;

/** Returns the major number of a device, which is packed as in the C library. */
function major(device: bigint): number {
  return Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n));
}

function minor(device: bigint): number {
  return Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n));
}
