/**
 * The mark of a restore that is under way, in its output directory: after a kill, the same command finds
 * it and can tell what the earlier run left unfinished from what is somebody's own. A lock on it keeps
 * the same restore from running twice at once.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { systemCode, TardisError } from '../errors/index.js';
import { RowReader } from '../model/index.js';
import { lockPatiently, OpenKind, type System } from '../system/index.js';

/** What is known of the earlier run. */
export interface Resume {
  /** It began then, by the clock of the target's file system. */
  readonly sinceNs: bigint;
  readonly set: number | undefined;
  readonly isSameSet: boolean;
  /** False: the machine has been started since, so that files may lack bytes that were not synced. */
  readonly isSameBoot: boolean;
}

export interface RestoreIdentity {
  readonly client: string;
  readonly set: number;
  readonly paths: readonly Buffer[];
  readonly hierarchy: boolean;
}

const ID_DIGITS = 16;
const MAX_JOURNAL_BYTES = 4096;
const MAX_TRIES = 100;
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/** The same for every run of the same command, whichever set is the newest. */
export function restoreId({ client, paths, hierarchy }: RestoreIdentity): string {
  const hash = createHash('sha256').update(`${client}\0${hierarchy}\0`);
  for (const path of paths) hash.update(path).update('\0');
  return hash.digest('hex').slice(0, ID_DIGITS);
}

/** How names begin that a run gives to what it will rename. */
export function temporaryPrefix(id: string): string {
  return `.tardis-${id}-`;
}

export class RestoreJournal {
  readonly resume: Resume | undefined;
  private readonly system: System;
  private readonly rootFd: number;
  private readonly name: Buffer;
  private readonly fd: number;

  private constructor(
    system: System,
    rootFd: number,
    name: Buffer,
    fd: number,
    resume: Resume | undefined,
  ) {
    this.system = system;
    this.rootFd = rootFd;
    this.name = name;
    this.fd = fd;
    this.resume = resume;
  }

  /** Undefined where it cannot be written; durable when it returns. Throws CLIENT_BUSY. */
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
        const code = systemCode(error);
        if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return undefined;
        if (code !== 'EEXIST') throw error;
        const earlier = await RestoreJournal.again(system, rootFd, name, identity);
        if (earlier !== undefined) return earlier;
      }
    }
    let isLocked = false;
    try {
      await lock(system, fd);
      isLocked = true;
      const text = JSON.stringify({ version: 1, set: identity.set, boot: bootId(system) });
      system.files.write(fd, Buffer.from(text), 0);
      await makeDurable(system, rootFd, fd);
    } catch (error) {
      if (isLocked) system.native.unlinkAt(rootFd, name); // half a mark could not be read
      system.native.close(fd);
      throw error;
    }
    return new RestoreJournal(system, rootFd, name, fd, undefined);
  }

  /** What an earlier run left, for who only looks. */
  static peek(system: System, rootFd: number, identity: RestoreIdentity): Resume | undefined {
    const name = journalName(identity);
    const fd = openExisting(system, rootFd, name);
    if (fd === undefined) return undefined;
    try {
      return readResume(system, rootFd, name, fd, identity);
    } finally {
      system.native.close(fd);
    }
  }

  private static async again(
    system: System,
    rootFd: number,
    name: Buffer,
    identity: RestoreIdentity,
  ): Promise<RestoreJournal | undefined> {
    const fd = openExisting(system, rootFd, name);
    if (fd === undefined) return undefined;
    let resume: Resume | undefined;
    try {
      await lock(system, fd);
      // The run that held the lock may have come to its end, and taken the name away.
      const row = statExisting(system, rootFd, name);
      const isStill = row?.inode(0) === fs.fstatSync(fd, { bigint: true }).ino;
      if (isStill) resume = readResume(system, rootFd, name, fd, identity);
    } catch (error) {
      system.native.close(fd);
      throw error;
    }
    if (resume !== undefined) return new RestoreJournal(system, rootFd, name, fd, resume);
    system.native.close(fd);
    return undefined;
  }

  /** The restore has come to its end. */
  finish(): void {
    this.system.native.unlinkAt(this.rootFd, this.name);
  }

  close(): void {
    this.system.native.close(this.fd);
  }
}

/** Without its name nobody would know, after a power cut, that what is half there was ours. */
async function makeDurable({ files }: System, rootFd: number, fd: number): Promise<void> {
  await files.sync(fd);
  try {
    await files.syncDirectory(`/proc/self/fd/${rootFd}`);
  } catch (error) {
    // Some file systems over a network know no sync of a directory.
    if (!['EINVAL', 'ENOTSUP', 'ENOSYS'].includes(systemCode(error) ?? '')) throw error;
  }
}

function journalName(identity: RestoreIdentity): Buffer {
  return Buffer.from(`.tardis-restore-${restoreId(identity)}`);
}

async function lock({ native }: System, fd: number): Promise<void> {
  if ((await lockPatiently(() => native.flock(fd, true) || undefined)) === true) return;
  throw new TardisError('CLIENT_BUSY', 'the same restore is running already');
}

function openExisting({ native }: System, rootFd: number, name: Buffer): number | undefined {
  try {
    return native.openBeneath(rootFd, name, OpenKind.file);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function statExisting({ native }: System, rootFd: number, name: Buffer): RowReader | undefined {
  try {
    return new RowReader(native.statAt(rootFd, name));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function readResume(
  { files, native }: System,
  rootFd: number,
  name: Buffer,
  fd: number,
  identity: RestoreIdentity,
): Resume {
  const row = new RowReader(native.statAt(rootFd, name));
  const bornNs = row.birthTimeNs(0);
  const buffer = Buffer.alloc(MAX_JOURNAL_BYTES);
  const text = buffer.toString('utf8', 0, files.read(fd, buffer, 0, buffer.length, 0));
  const { set, boot } = parse(text);
  return {
    sinceNs: bornNs === 0n ? row.mtimeNs(0) : bornNs,
    set,
    isSameSet: set === identity.set,
    isSameBoot: boot !== '' && boot === bootIdOf(files),
  };
}

/** A run may have been killed before it had written anything. */
function parse(text: string): { set: number | undefined; boot: string } {
  if (!text.startsWith('{') || !text.endsWith('}')) return { set: undefined, boot: '' };
  try {
    const { set, boot } = JSON.parse(text) as { set?: unknown; boot?: unknown };
    return {
      set: typeof set === 'number' ? set : undefined,
      boot: typeof boot === 'string' ? boot : '',
    };
  } catch {
    return { set: undefined, boot: '' }; // somebody's own file: nothing is known then
  }
}

function bootId(system: System): string {
  return bootIdOf(system.files);
}

function bootIdOf(files: System['files']): string {
  if (files.status(BOOT_ID_FILE) === undefined) return '';
  const fd = files.open(BOOT_ID_FILE, 'read');
  try {
    const buffer = Buffer.alloc(64);
    return buffer.toString('latin1', 0, files.read(fd, buffer, 0, buffer.length, 0)).trim();
  } finally {
    files.close(fd);
  }
}
