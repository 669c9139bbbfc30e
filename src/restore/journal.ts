/**
 * The journal of a restore in progress, in its output directory. After a kill, the same command finds it. Then it can
 * distinguish unfinished entries of the earlier run from the user's own files. A run that ends with failures keeps the
 * journal, with the names that failed. The same command then retries those, and sets the metadata of directories that
 * the run created. A lock on the journal prevents two runs of the same restore at once.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { classOf, failedTo, systemCode, TardisError } from '../errors/index.js';
import { joinPath, RowReader, type SetNumber, splitPath } from '../model/index.js';
import { flockPatiently, ifThere, OpenFd, OpenKind, type System } from '../system/index.js';
import { moveOver, temporaryName } from '../workers/index.js';
import { foldsCase } from './folded-names.js';
import {
  FailedBefore,
  formatJournal,
  type JournalText,
  MAX_JOURNAL_BYTES,
  parseJournal,
} from './journal-text.js';
import type { RestoreFailure } from './progress.js';

/** The state of an earlier run. */
export interface Resume {
  /** Time at which the run began, by the clock of the target's file system. */
  readonly sinceNs: bigint;
  /** True if the earlier run was interrupted. False if it ended with failures, so that no entry is partly restored. */
  readonly isBrokenOff: boolean;
  /** Time at which the first unsuccessful run began; directories created since then belong to the restore. */
  readonly firstSinceNs: bigint;
  /** Entries that failed in runs that ended. */
  readonly failed: FailedBefore;
  readonly set: SetNumber | undefined;
  readonly isSameSet: boolean;
  /**
   * True if the machine has not been rebooted since that run. After a reboot, files may lack bytes that were not
   * synced.
   */
  readonly isSameBoot: boolean;
  /** Owner of the journal, and so of what that run did not complete. */
  readonly uid: number;
  /** Owner of what this run creates. On some file systems it is not the user who runs it. */
  readonly ownUid: number;
}

export interface RestoreIdentity {
  readonly client: string;
  readonly set: SetNumber;
  readonly paths: readonly Buffer[];
  readonly hierarchy: boolean;
}

const ID_DIGITS = 16;
const MAX_TRIES = 100;
const WRITABLE_BY_OTHERS = 0o002;
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/**
 * Returns an id made from client, paths and hierarchy. The set is not part of it, so the id of a repeated command is
 * the same even after a new backup.
 */
export function restoreId({ client, paths, hierarchy }: RestoreIdentity): string {
  const hash = createHash('sha256').update(`${client}\0${hierarchy}\0`);
  for (const path of paths) hash.update(path).update('\0');
  return hash.digest('hex').slice(0, ID_DIGITS);
}

/**
 * Returns the places for the journal, best first, relative to the output: the output itself and, for users who may not write
 * there, the directories that are above all paths. No new file is above them, so a later run has the same.
 */
export function journalDirectories({ paths, hierarchy }: RestoreIdentity): Buffer[] {
  const above = hierarchy ? paths.map((path) => splitPath(path).slice(0, -1)) : [];
  const directories: Buffer[] = [Buffer.alloc(0)];
  for (const [index, part] of (above[0] ?? []).entries()) {
    if (!above.every((parts) => parts[index]?.equals(part) === true)) break;
    directories.push(joinPath(directories.at(-1)!, part));
  }
  return directories;
}

/** True if all users may write into a directory. Another user could then hold up a restore by a journal of the same name. */
export function isShared(directoryFd: number): boolean {
  return (fs.fstatSync(directoryFd).mode & WRITABLE_BY_OTHERS) !== 0;
}

/** Returns the prefix of temporary names. A run creates its files under such names and then renames them. */
export function temporaryPrefix(id: string): string {
  return `.tardis-${id}-`;
}

export class RestoreJournal {
  readonly resume: Resume | undefined;
  private readonly name: Buffer;
  private fd: number;

  private constructor(
    private readonly system: System,
    private readonly rootFd: number,
    private readonly identity: RestoreIdentity,
    { fd, resume }: { readonly fd: number; readonly resume?: Resume },
  ) {
    this.name = journalName(identity);
    this.fd = fd;
    this.resume = resume;
  }

  /**
   * Creates the journal, or continues the journal of an earlier run. It is durable when the promise resolves. Returns
   * undefined if the journal cannot be written. Throws CLIENT_BUSY.
   */
  static async begin(
    system: System,
    rootFd: number,
    identity: RestoreIdentity,
  ): Promise<RestoreJournal | undefined> {
    const name = journalName(identity);
    let fd: number | undefined;
    for (let tries = 0; fd === undefined; tries += 1) {
      if (tries > MAX_TRIES)
        throw new TardisError('CLIENT_BUSY', 'the same restore comes and goes');
      try {
        fd = system.native.createFileAt(rootFd, name);
      } catch (error) {
        if (classOf(systemCode(error)) === 'refused') return undefined;
        if (systemCode(error) !== 'EEXIST')
          throw failedTo('create files in the output directory', error, 'writeTarget');
        if (isClosed(system, rootFd, name)) return undefined;
        const earlier = await RestoreJournal.again(system, rootFd, identity);
        if (earlier !== undefined) return earlier;
      }
    }
    let isLocked = false;
    try {
      await lock(system, fd);
      isLocked = true;
      system.files.write(fd, formatJournal(textOf(system, identity, undefined)), 0);
      await makeDurable(system, rootFd, fd);
    } catch (error) {
      if (isLocked) system.native.unlinkAt(rootFd, name); // a partly written journal could not be parsed
      system.native.close(fd);
      throw error;
    }
    return new RestoreJournal(system, rootFd, identity, { fd });
  }

  /** Returns the state of an earlier run for a dry run, and changes nothing. */
  static peek(system: System, rootFd: number, identity: RestoreIdentity): Resume | undefined {
    const name = journalName(identity);
    if (isClosed(system, rootFd, name)) return undefined;
    const fd = openExisting(system, rootFd, name);
    if (fd === undefined) return undefined;
    try {
      const ownUid = process.geteuid?.() ?? 0;
      return { ...readEarlier(system, rootFd, fd, identity), ownUid };
    } finally {
      system.native.close(fd);
    }
  }

  private static async again(
    system: System,
    rootFd: number,
    identity: RestoreIdentity,
  ): Promise<RestoreJournal | undefined> {
    const name = journalName(identity);
    const fd = openExisting(system, rootFd, name);
    if (fd === undefined) return undefined;
    let resume: Resume | undefined;
    try {
      await lock(system, fd);
      // The run that held the lock before may have ended and removed the journal.
      const row = statExisting(system, rootFd, name);
      const isStill = row?.inode(0) === BigInt.asUintN(64, fs.fstatSync(fd, { bigint: true }).ino);
      if (isStill) {
        const ownUid = newOwner(system, rootFd, identity);
        resume = { ...readEarlier(system, rootFd, fd, identity), ownUid };
      }
    } catch (error) {
      system.native.close(fd);
      throw error;
    }
    if (resume === undefined) {
      system.native.close(fd);
      return undefined;
    }
    const journal = new RestoreJournal(system, rootFd, identity, { fd, resume });
    try {
      // The journal of an interrupted run is not replaced: its creation time is the time at which that run began.
      if (!resume.isBrokenOff) await journal.replace(textOf(system, identity, resume));
    } catch (error) {
      journal.close();
      throw error;
    }
    return journal;
  }

  /** True if the file system ignores case in names. */
  get isFolded(): boolean {
    return foldsCase(this.system, this.rootFd, this.name);
  }

  /**
   * Ends the restore, and removes the journal unless the next run of the same command needs it to repair failures. The
   * journal is needed if an entry lacks attributes. It is also needed if there are other failures and the run has
   * created directories (`hasDirectories`), whose times must be set again. A journal that stays is durable.
   */
  async end(failures: readonly RestoreFailure[], hasDirectories: boolean): Promise<void> {
    const lacksPart = failures.some(({ error }) => error.code === 'ATTRIBUTE_NOT_SET');
    if (!lacksPart && (failures.length === 0 || !hasDirectories)) {
      this.system.native.unlinkAt(this.rootFd, this.name);
      return;
    }
    const { system, identity, resume } = this;
    const firstSinceNs = resume?.firstSinceNs ?? sinceOf(system, this.rootFd, this.name);
    const failed = FailedBefore.of(failures.map(({ path }) => path));
    const text = textOf(system, identity, undefined);
    await this.replace({ ...text, isEnded: true, firstSinceNs, failed });
  }

  /** Replaces the journal by a new file with another text and the lock. */
  private async replace(text: JournalText): Promise<void> {
    const { system, rootFd } = this;
    const { native, files } = system;
    const temporary = Buffer.from(temporaryName(system, temporaryPrefix(restoreId(this.identity))));
    const fd = native.createFileAt(rootFd, temporary);
    try {
      try {
        await lock(system, fd);
        files.write(fd, formatJournal(text), 0);
        await files.sync(fd);
      } catch (error) {
        native.unlinkAt(rootFd, temporary);
        throw error;
      }
      moveOver(system, rootFd, temporary, this.name);
      await makeDurable(system, rootFd, fd);
    } catch (error) {
      native.close(fd);
      throw error;
    }
    native.close(this.fd);
    this.fd = fd;
  }

  close(): void {
    this.system.native.close(this.fd);
  }
}

/**
 * Syncs the journal and its name. If the name were lost in a power cut, the next run could not recognize unfinished
 * files.
 */
async function makeDurable({ files }: System, rootFd: number, fd: number): Promise<void> {
  await files.sync(fd);
  try {
    await files.syncDirectory(`/proc/self/fd/${rootFd}`);
  } catch (error) {
    // Some network file systems do not support fsync of a directory.
    if (!['EINVAL', 'ENOTSUP', 'ENOSYS'].includes(systemCode(error) ?? '')) throw error;
  }
}

function journalName(identity: RestoreIdentity): Buffer {
  return Buffer.from(`.tardis-restore-${restoreId(identity)}`);
}

/** Locks the journal, if the file system has locks. Throws CLIENT_BUSY if another run holds the lock. */
async function lock({ native }: System, fd: number): Promise<void> {
  if ((await flockPatiently(native, fd)) !== 'busy') return;
  throw new TardisError('CLIENT_BUSY', 'the same restore is running already');
}

/** Returns the owner of a new file in a directory. */
function newOwner(system: System, rootFd: number, identity: RestoreIdentity): number {
  const { native } = system;
  const name = Buffer.from(temporaryName(system, temporaryPrefix(restoreId(identity))));
  const fd = native.createFileAt(rootFd, name);
  try {
    return fs.fstatSync(fd).uid;
  } finally {
    native.close(fd);
    native.unlinkAt(rootFd, name);
  }
}

/** True if the journal is that of another user, and this one may not read it. */
function isClosed(system: System, rootFd: number, name: Buffer): boolean {
  try {
    const fd = openExisting(system, rootFd, name);
    if (fd !== undefined) system.native.close(fd);
    return false;
  } catch (error) {
    if (classOf(systemCode(error)) === 'refused') return true;
    throw error;
  }
}

function openExisting({ native }: System, rootFd: number, name: Buffer): number | undefined {
  return ifThere(() => native.openBeneath(rootFd, name, OpenKind.file));
}

function statExisting({ native }: System, rootFd: number, name: Buffer): RowReader | undefined {
  return ifThere(() => new RowReader(native.statAt(rootFd, name)));
}

/** Returns the state of the run whose journal is open. */
function readEarlier(
  { files, native }: System,
  rootFd: number,
  fd: number,
  identity: RestoreIdentity,
): Omit<Resume, 'ownUid'> {
  const sizeBytes = files.statusOf(fd).sizeBytes;
  const buffer = Buffer.alloc(Math.min(sizeBytes, MAX_JOURNAL_BYTES));
  const text = buffer.toString('utf8', 0, files.read(fd, buffer, 0, buffer.length, 0));
  const { set, boot, isEnded, firstSinceNs, failed } = parseJournal(text);
  const sinceNs = sinceOf({ native }, rootFd, journalName(identity));
  return {
    sinceNs,
    isBrokenOff: !isEnded,
    firstSinceNs: firstSinceNs ?? sinceNs,
    failed,
    set,
    isSameSet: set === identity.set,
    isSameBoot: boot !== '' && boot === bootId(files),
    uid: fs.fstatSync(fd).uid,
  };
}

/** Returns the creation time of the journal. If that is unknown, returns its modification time. */
function sinceOf({ native }: Pick<System, 'native'>, rootFd: number, name: Buffer): bigint {
  const row = new RowReader(native.statAt(rootFd, name));
  const bornNs = row.birthTimeNs(0);
  return bornNs === 0n ? row.mtimeNs(0) : bornNs;
}

/** Returns the text of a run that begins at this moment; `before` is the run that it continues. */
function textOf(system: System, { set }: RestoreIdentity, before: Resume | undefined): JournalText {
  return {
    set,
    boot: bootId(system.files),
    isEnded: false,
    firstSinceNs: before?.firstSinceNs,
    failed: before?.failed ?? FailedBefore.none,
  };
}

function bootId(files: System['files']): string {
  if (files.status(BOOT_ID_FILE) === undefined) return '';
  using opened = new OpenFd(files, files.open(BOOT_ID_FILE, 'read'));
  const buffer = Buffer.alloc(64);
  return buffer.toString('latin1', 0, files.read(opened.fd, buffer, 0, buffer.length, 0)).trim();
}
