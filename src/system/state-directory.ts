/** The directories of this machine for the user who runs the tool: small files with facts about clients, and caches. */
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ifPossible, requireSystemCode, systemCode } from '../errors/index.js';
import { reportIfExposed } from './exposed-secrets.js';
import { foreignHand } from './ways.js';
import { textBytes } from './process-input.js';

/** Returns the path of a file in the state directory. */
export function statePath(...names: string[]): string {
  return pathIn('XDG_STATE_HOME', '.local/state', names);
}

/** Returns the path of a file in the configuration directory of this user. */
export function configPath(...names: string[]): string {
  return pathIn('XDG_CONFIG_HOME', '.config', names);
}

/** Returns the path of a file in the cache directory, whose files can be made again. */
export function cachePath(...names: string[]): string {
  return pathIn('XDG_CACHE_HOME', '.cache', names);
}

/**
 * Returns a path in the run-time directory of this user, which ends with the session; below the home directory if there
 * is none, or another user could change what is in it.
 */
export function runtimePath(...names: string[]): string {
  return pathIn('XDG_RUNTIME_DIR', '.local/run', names);
}

/**
 * Returns a path of this program below the directory that a variable names, or below this one of the home directory. Root takes
 * no directory in which another user could change something.
 */
function pathIn(variable: string, usual: string, names: readonly string[]): string {
  const above = ownDirectory(process.env[variable]) ?? path.join(homeDirectory(), usual);
  return path.join(above, 'tardis', ...names);
}

/** Home of a user whom the system does not know, and who has no HOME: it exists nowhere, so nothing is remembered. */
const NO_HOME = '/nonexistent';
/** Directories in which nobody else can change something: each run names them often. */
const own = new Set<string>();

function ownDirectory(given: string | undefined): string | undefined {
  if (given === undefined || !path.isAbsolute(given)) return undefined;
  if (!own.has(given) && foreignHand(textBytes(given)) !== undefined) return undefined;
  own.add(given);
  return given;
}

/**
 * Returns HOME, or the home directory that the system has for this user if HOME is no absolute path: state must not
 * depend on the current directory. Root gets its own home too if another user could change what is in HOME, as with a
 * `sudo` that keeps HOME.
 */
export function homeDirectory(given: string | undefined = process.env['HOME']): string {
  return ownDirectory(given) ?? ifPossible(() => os.userInfo().homedir) ?? NO_HOME;
}

/** Error codes if this user has no such file, or may not read it. */
const NOT_OURS: readonly string[] = ['ENOENT', 'ENOTDIR', 'EACCES'];

/** Maximum size of a state file, which contains a path and a name. */
const MAX_STATE_BYTES: number = 64 << 10;

/**
 * Returns the text of a state file; undefined if it does not exist or this user may not read it. Returns '' if it is no
 * plain file, is larger than any state file, or cannot be read for another reason. (Reading a fifo or /dev/zero would
 * never end.)
 */
export function readState(file: string): string | undefined {
  try {
    const fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    try {
      return readPlain(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    const code = requireSystemCode(error);
    return NOT_OURS.includes(code) ? undefined : '';
  }
}

function readPlain(fd: number): string {
  const status = fs.fstatSync(fd);
  if (!status.isFile() || status.size > MAX_STATE_BYTES) return '';
  const bytes = Buffer.alloc(status.size);
  return bytes.toString('utf8', 0, fs.readSync(fd, bytes, 0, bytes.length, 0));
}

/** Returns the name of the files about a client at a place, which shows neither of them. */
export function stateName(place: string, client: string, ...more: readonly string[]): string {
  const name = createHash('sha256')
    .update(JSON.stringify([place, client, ...more]))
    .digest('hex');
  return name.slice(0, 32);
}

const STATE = 'what this machine remembers of a client in';
const STATE_RISK =
  'anyone who changes it can hide that a store was swapped or put back; set XDG_STATE_HOME to a directory elsewhere';

/**
 * Replaces a state file, readable by its owner only. Its bytes are synced first. The temporary file has a random name,
 * so that no reader sees a partial file when two processes write at once. If a new file can be read by others, that is
 * reported, unless the user knows it of its directory. Returns undefined, or the system's error code on failure.
 */
export function writeState(
  file: string,
  content: string | Uint8Array,
  isReported = true,
): string | undefined {
  const fresh = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    makeDirectories(path.dirname(file));
    fs.writeFileSync(fresh, content, { mode: 0o600, flush: true, flag: 'wx' });
    const isNew = !fs.existsSync(file);
    fs.renameSync(fresh, file);
    if (isNew && isReported) reportIfExposed(file, STATE, STATE_RISK);
    return undefined;
  } catch (error) {
    ifPossible(() => fs.rmSync(fresh, { force: true })); // the first error is the one to report
    const code = requireSystemCode(error);
    return code;
  }
}

/**
 * Creates missing directories one by one. Node's recursive mkdir never returns below a directory like /proc,
 * where nothing can be created. Throws errors of the system.
 */
export function makeDirectories(directory: string): void {
  if (fs.existsSync(directory)) return;
  const above = path.dirname(directory);
  if (above !== directory) makeDirectories(above);
  try {
    fs.mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error; // another process has just made it
  }
}
