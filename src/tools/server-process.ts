/** The server as a process of the system: its pid file, and the user and group it runs as. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { systemCode, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';

const MAX_PID_CHARS = 16;

export interface PidFile {
  /** Empties and removes it. */
  remove(): void;
}

/** Writes our number. Throws SERVER_RUNS if the file names a tardisd that runs, CONFIG_INVALID if it cannot be written. */
export function writePidFile(file: Buffer): PidFile {
  const shown = displayName(file);
  let fd: number;
  try {
    fd = fs.openSync(
      file,
      fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW,
      0o644,
    );
    const other = pidIn(fd);
    if (other !== undefined && isServer(other)) {
      throw new TardisError('SERVER_RUNS', `${shown} names process ${other}, a tardisd that runs`);
    }
    fs.fchmodSync(fd, 0o644); // whoever starts and stops servers reads it
    fs.ftruncateSync(fd);
    fs.writeSync(fd, `${process.pid}\n`, 0);
  } catch (error) {
    if (error instanceof TardisError) throw error;
    const why = systemCode(error) ?? 'unknown';
    throw new TardisError('CONFIG_INVALID', `cannot write the PidFile ${shown}: ${why}`, {}, error);
  }
  return {
    remove: () => {
      fs.ftruncateSync(fd); // as another user we may not remove it: an empty one names nobody
      fs.closeSync(fd);
      try {
        fs.unlinkSync(file);
      } catch (error) {
        if (systemCode(error) === undefined) throw error;
      }
    },
  };
}

function pidIn(fd: number): number | undefined {
  const buffer = Buffer.alloc(MAX_PID_CHARS);
  const text = buffer.toString('latin1', 0, fs.readSync(fd, buffer, 0, buffer.length, 0));
  return /^\d+$/.test(text.trim()) ? Number(text) : undefined;
}

function isServer(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('tardisd');
  } catch {
    return false; // nobody has this number any more
  }
}

/** Becomes another user and group, for good. Throws CONFIG_INVALID. */
export function becomeUser(user: string | undefined, group: string | undefined): void {
  if (user === undefined && group === undefined) return;
  try {
    const groups = user === undefined ? [] : idsOf(user, '-G');
    const gid = group === undefined ? idsOf(user!, '-g')[0]! : nameOrId(group);
    process.setgroups!(groups);
    process.setgid!(gid);
    if (user !== undefined) process.setuid!(nameOrId(user));
  } catch (error) {
    const why = error instanceof Error ? error.message.trim().split('\n').at(-1)! : '';
    const who = [user, group].filter((name) => name !== undefined).join(':');
    throw new TardisError('CONFIG_INVALID', `cannot run as ${who}: ${why}`, {}, error);
  }
}

/** The numbers of a user's group (`-g`), or groups (`-G`). */
function idsOf(user: string, which: '-g' | '-G'): number[] {
  const told = execFileSync('id', [which, '--', user], { stdio: 'pipe' }).toString();
  return told.trim().split(' ').map(Number);
}

function nameOrId(user: string): string | number {
  return /^\d+$/.test(user) ? Number(user) : user;
}
