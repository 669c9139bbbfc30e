/**
 * A directory that `sonic export` writes sets into, and the record of these sets in it. A set is recorded before it gets its
 * name, so a name without a record is not of an export, and a record without a name is not complete.
 */
import fs from 'node:fs';
import path from 'node:path';
import { failedTo, systemCode, TardisError } from '../../errors/index.js';
import { type BackupSet, namedSets } from '../../history/index.js';
import { displayText, isEntryName, jsonFields } from '../../model/index.js';
import {
  exactPath,
  isThere,
  onSafeWay,
  outputPath,
  readStart,
  replaceFile,
  type System,
} from '../../system/index.js';
import { temporaryName } from '../../workers/index.js';

const RECORD = '.tardis-export';
const MOST_RECORD_BYTES = 16 << 20;
const MAX_NAME_BYTES = 255;
const PRIVATE_MODE = 0o700;
/** System errors of a file system without hard links. */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS']);

/** The form of the sets in a directory. */
export type ExportKind = 'trees' | 'tar';

interface ExportedSet {
  readonly set: number;
  /** Time at which the set began, since a new client may use the number again. */
  readonly begunMs: number;
  /** Name in the directory. */
  readonly name: string;
}

interface ExportRecord {
  readonly client: string;
  readonly kind: ExportKind;
  readonly sets: readonly ExportedSet[];
}

/** A set, and the place that it is exported to. */
export interface PlannedSet {
  readonly set: BackupSet;
  /** The name in the directory; in a repository, that of the set. */
  readonly name: string;
  /** True if the set is there already. */
  readonly isThere: boolean;
}

export class ExportDirectory implements Disposable {
  private constructor(
    private readonly system: System,
    /** Absolute path, as byte text. */
    readonly path: string,
    private record: ExportRecord,
    private readonly fd: number | undefined,
  ) {}

  /**
   * Opens the directory, and creates it unless it exists or `isDry`; only this user may enter a new one. Throws CLIENT_BUSY,
   * TARGET_EXISTS if it has sets of another client or kind, TARGET_NOT_WRITABLE, TARGET_UNSAFE.
   */
  static open(
    system: System,
    given: Buffer,
    { client, kind, isDry }: { client: string; kind: ExportKind; isDry: boolean },
  ): ExportDirectory {
    const directory = outputPath(given);
    const { files, native } = system;
    let fd: number | undefined;
    try {
      if (!isDry && !isThere(directory))
        onSafeWay(given, 'output', (at) => fs.mkdirSync(at, PRIVATE_MODE));
      if (!isDry) fd = files.open(directory, 'directory');
      if (fd !== undefined && !native.flock(fd, true)) {
        const what = `another export into ${displayText(directory)} is running`;
        throw new TardisError('CLIENT_BUSY', what);
      }
      const record = recordIn(system, directory) ?? { client, kind, sets: [] };
      requireSame(directory, record, { client, kind });
      return new ExportDirectory(system, directory, record, fd);
    } catch (error) {
      if (fd !== undefined) files.close(fd);
      throw failedTo(`use ${displayText(directory)}`, error, 'writeTarget');
    }
  }

  [Symbol.dispose](): void {
    if (this.fd !== undefined) this.system.files.close(this.fd);
  }

  /** Returns where each set goes, by the name of the set or, if that cannot be used, by its number. */
  plan(sets: readonly BackupSet[]): PlannedSet[] {
    const suffix = this.record.kind === 'tar' ? '.tar' : '';
    const known = (set: BackupSet): ExportedSet | undefined =>
      this.record.sets.find((one) => one.set === set.set && one.begunMs === set.openedAtMs);
    const isShort = (name: string): boolean =>
      Buffer.byteLength(name + suffix) <= MAX_NAME_BYTES && !name.startsWith(RECORD);
    const fresh = sets
      .filter((set) => known(set) === undefined)
      .map((set) => (isShort(set.name) ? set : { ...set, name: '' }));
    const taken = this.record.sets.map(({ name }) => name.slice(0, name.length - suffix.length));
    const names = new Map(namedSets(fresh, taken).map(({ set, name }) => [set.set, name + suffix]));
    return sets.map((set) => {
      const name = known(set)?.name ?? names.get(set.set)!;
      return { set, name, isThere: known(set) !== undefined && isThere(this.placeOf(name)) };
    });
  }

  /** Returns the path of a name, as byte text. */
  placeOf(name: string): string {
    return path.join(this.path, name);
  }

  /** Returns the name of a set until it is complete. */
  unfinishedName({ set: { set, openedAtMs } }: PlannedSet): string {
    return `${RECORD}-${set}-${openedAtMs}`;
  }

  /** Throws TARGET_WITHOUT_LINKS if the file system has no hard links. */
  requireLinks(): void {
    const { files, native } = this.system;
    const one = temporaryName(this.system, `${RECORD}-`);
    const other = `${one}-too`;
    try {
      files.close(files.open(this.placeOf(one), 'createSecret'));
      native.linkAt(this.fd!, Buffer.from(one), this.fd!, Buffer.from(other));
      files.unlink(this.placeOf(other));
    } catch (error) {
      if (!NO_LINKS.has(systemCode(error) ?? '') || !isThere(this.placeOf(one))) {
        throw failedTo(`create files in ${displayText(this.path)}`, error, 'writeTarget');
      }
      const what = `the file system of ${displayText(this.path)} has no hard links`;
      throw new TardisError('TARGET_WITHOUT_LINKS', what, {}, error);
    } finally {
      if (isThere(this.placeOf(one))) files.unlink(this.placeOf(one));
    }
  }

  /** Records a set durably, before it gets its name. Sets that were deleted here are forgotten. */
  async note({ set: { set, openedAtMs }, name }: PlannedSet): Promise<void> {
    const others = this.record.sets.filter(
      (one) => one.name !== name && isThere(this.placeOf(one.name)),
    );
    const sets = [...others, { set, begunMs: openedAtMs, name }];
    this.record = { ...this.record, sets };
    const text = `${JSON.stringify({ version: 1, ...this.record })}\n`;
    const file = this.placeOf(RECORD);
    await replaceFile(this.system.files, file, Buffer.from(text), { isSecret: true });
  }

  /** Throws TARGET_EXISTS if a name is taken. */
  requireFree(name: string): void {
    if (!isThere(this.placeOf(name))) return;
    const what = `${displayText(this.placeOf(name))} is not of this export`;
    throw new TardisError('TARGET_EXISTS', what);
  }

  /**
   * Throws TARGET_UNSAFE if something that is no directory of this user has the name of an unfinished tree: another user who
   * may write here has put it there.
   */
  requireOwn(name: string): void {
    const stat = fs.lstatSync(exactPath(this.placeOf(name)), { throwIfNoEntry: false });
    if (stat === undefined || (stat.isDirectory() && stat.uid === process.geteuid?.())) return;
    const what = `${displayText(this.placeOf(name))} is no directory of this user`;
    throw new TardisError('TARGET_UNSAFE', what);
  }

  /** Gives a tree, which is on the disk, the name of its set. Durable when the promise resolves. */
  async finish(unfinished: string, planned: PlannedSet): Promise<void> {
    const { files } = this.system;
    this.requireOwn(unfinished);
    await this.note(planned);
    this.requireFree(planned.name);
    files.rename(this.placeOf(unfinished), this.placeOf(planned.name));
    await files.syncDirectory(this.path);
  }
}

/** Returns the record of a directory; undefined if there is none. Throws TARGET_EXISTS if it is damaged. */
function recordIn({ files }: System, directory: string): ExportRecord | undefined {
  const file = path.join(directory, RECORD);
  const bytes = readStart(files, file, MOST_RECORD_BYTES);
  if (bytes === undefined) return undefined;
  const record = jsonFields(bytes.toString('utf8'));
  if (isRecord(record)) return record;
  const what = `${displayText(file)} is no record of an export: give another directory`;
  throw new TardisError('TARGET_EXISTS', what);
}

function isRecord(
  value: Readonly<Record<string, unknown>>,
): value is Readonly<Record<string, unknown>> & ExportRecord {
  const { version, client, kind, sets } = value;
  const isKnown =
    version === 1 && typeof client === 'string' && (kind === 'trees' || kind === 'tar');
  return isKnown && Array.isArray(sets) && sets.every(isExportedSet);
}

function isExportedSet(value: unknown): boolean {
  const { set, begunMs, name } = (value ?? {}) as Record<string, unknown>;
  const areNumbers = Number.isSafeInteger(set) && Number.isSafeInteger(begunMs);
  return areNumbers && typeof name === 'string' && isEntryName(Buffer.from(name));
}

/** Throws TARGET_EXISTS if a directory has sets of another client, or written as something else. */
function requireSame(
  directory: string,
  { client, kind }: ExportRecord,
  wanted: Omit<ExportRecord, 'sets'>,
): void {
  if (client === wanted.client && kind === wanted.kind) return;
  const has = kind === 'tar' ? 'archives' : 'directories';
  const what = `${displayText(directory)} has sets of "${displayText(client)}" as ${has}: give another directory`;
  throw new TardisError('TARGET_EXISTS', what);
}
