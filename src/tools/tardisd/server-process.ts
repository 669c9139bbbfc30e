/** The process of the server: its pid file, and its user and group. */
import type { SettingsNamed } from '../../config/index.js';
import fs from 'node:fs';
import { failedTo, TardisError, unlessBug } from '../../errors/index.js';
import { directoryOf, displayName } from '../../model/index.js';
import {
  absolutePath,
  closing,
  idsOf,
  isKept,
  onSafeWay,
  OpenFd,
  openOutput,
  realPathOf,
  wayTo,
} from '../../system/index.js';

const MAX_PID_CHARS = 16;
const PID_FLAGS = fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NONBLOCK;
/** Readable for programs that start and stop servers. */
const PID_MODE = 0o644;

interface PidFile {
  /**
   * Empties and removes the pid file as far as this user may, which in a directory of root is not at all. The file then
   * keeps the id of a process that has ended.
   */
  remove(): void;
}

/**
 * Writes the id of this process. The file does not stay open: a server that leaves root could else write any id into a
 * file by which root ends processes. Throws SERVER_RUNS if the file names a running process of the program. Throws
 * CONFIG_INVALID if the file cannot be written.
 */
export function writePidFile(file: Buffer, program: string): PidFile {
  const shown = displayName(file);
  try {
    using opened = new OpenFd(closing, openOutput(file, PID_FLAGS, PID_MODE));
    const { fd } = opened;
    const other = pidIn(fd);
    if (other !== undefined && isServer(other, program)) {
      throw new TardisError(
        'SERVER_RUNS',
        `${shown} contains the id of process ${other}, a running ${program}`,
      );
    }
    fs.fchmodSync(fd, PID_MODE);
    fs.ftruncateSync(fd);
    fs.writeSync(fd, `${process.pid}\n`, 0);
  } catch (error) {
    throw failedTo(`write the PidFile ${shown}`, error, 'useNamedFile');
  }
  return {
    remove: () => {
      unlessBug(() => empty(file)); // where this user may not remove it, an empty file names no process
      unlessBug(() => onSafeWay(file, 'output', (at) => fs.unlinkSync(at)));
    },
  };
}

/** Empties a pid file if it contains the id of this process. */
function empty(file: Buffer): void {
  const flags = PID_FLAGS & ~fs.constants.O_CREAT;
  using opened = new OpenFd(closing, openOutput(file, flags, PID_MODE));
  if (pidIn(opened.fd) === process.pid) fs.ftruncateSync(opened.fd);
}

function pidIn(fd: number): number | undefined {
  const buffer = Buffer.alloc(MAX_PID_CHARS);
  const text = buffer.toString('latin1', 0, fs.readSync(fd, buffer, 0, buffer.length, 0));
  return /^\d+$/.test(text.trim()) ? Number(text) : undefined;
}

function isServer(pid: number, program: string): boolean {
  if (pid === process.pid) return false;
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(program);
  } catch {
    return false; // no process has this id
  }
}

/** The user and group that a server runs as; undefined keeps those of the process. */
export type RunAs = SettingsNamed<'user' | 'group'>;

/** Changes the user and group of the process permanently. Throws CONFIG_INVALID. */
export function becomeUser(runAs: RunAs): void {
  if (isOurselves(runAs)) return;
  try {
    const { uid, gid, groups } = identityOf(runAs);
    process.setgroups!(groups);
    process.setgid!(gid);
    process.setuid!(uid);
  } catch (error) {
    throw cannotBecome(runAs, error);
  }
}

/**
 * Runs `work`, which creates a file. If the server's future user could replace the file, for example by a link to a
 * file of root's, `work` runs as that user. Otherwise it runs as root. Throws CONFIG_INVALID, and the errors of `work`.
 */
export async function makeFor<T>(
  runAs: RunAs,
  file: Uint8Array,
  work: () => T | Promise<T>,
): Promise<T> {
  if (isOurselves(runAs) || process.geteuid!() !== 0) return work();
  let identity: Identity;
  const own = { gid: process.getegid!(), groups: process.getgroups!() };
  try {
    identity = identityOf(runAs);
    if (!mayExchange(identity, file)) return work();
    process.setgroups!(identity.groups);
    process.setegid!(identity.gid);
    process.seteuid!(identity.uid);
  } catch (error) {
    throw cannotBecome(runAs, error);
  }
  try {
    return await work();
  } finally {
    process.seteuid!(0);
    process.setegid!(own.gid);
    process.setgroups!(own.groups);
  }
}

/**
 * Changes the owner of a file to the future user and group of the server, if root created the file. The file must have
 * been created by `makeFor`, or be one that no other user could replace.
 */
export function giveTo(runAs: RunAs, file: Uint8Array): void {
  if (isOurselves(runAs) || process.geteuid!() !== 0) return;
  let identity: Identity;
  try {
    identity = identityOf(runAs);
    if (mayExchange(identity, file)) return; // the file was created with the rights of the user
  } catch (error) {
    throw cannotBecome(runAs, error);
  }
  fs.lchownSync(Buffer.from(file), identity.uid, identity.gid);
}

interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly groups: number[];
}

function isOurselves({ user, group }: RunAs): boolean {
  return user === undefined && group === undefined;
}

function identityOf({ user, group }: RunAs): Identity {
  const groups = user === undefined ? [] : idsOf(user, '-G');
  return {
    uid: user === undefined ? process.getuid!() : idsOf(user, '-u')[0]!,
    gid: group === undefined ? idsOf(user!, '-g')[0]! : groupId(group),
    groups,
  };
}

function cannotBecome({ user, group }: RunAs, error: unknown): TardisError {
  const why = error instanceof Error ? error.message.trim().split('\n').at(-1)! : '';
  const userAndGroup = [user, group].filter((name) => name !== undefined).join(':');
  return new TardisError('CONFIG_INVALID', `cannot run as ${userAndGroup}: ${why}`, {}, error);
}

/** True if a user could replace a file, or a directory or link on the way to it. */
function mayExchange({ uid, gid, groups }: Identity, file: Uint8Array): boolean {
  const full = absolutePath(file);
  const folder = directoryOf(full);
  if (realPathOf(folder) === undefined) return true; // running as the user then shows the actual error
  return wayTo(file).steps.some((step) => {
    const { status, writers } = step;
    if (status.uid === uid) return true;
    const byGroup = [gid, ...groups].some((one) => writers.groups.includes(one));
    const mayWrite = byGroup || writers.users.includes(uid) || (status.mode & 0o002) !== 0;
    return mayWrite && !isKept(step, (other) => other === uid);
  });
}

/** Returns the id of a group by its name. Node returns the id only after the process has changed to that group. */
function groupId(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  const own = process.getegid!();
  process.setegid!(group);
  const gid = process.getegid!();
  process.setegid!(own);
  return gid;
}
