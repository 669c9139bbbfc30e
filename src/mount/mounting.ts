/**
 * Mounts and unmounts file systems. Root calls mount(2) directly. Other users mount through fusermount3, which opens
 * /dev/fuse and sends the descriptor back.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import nodePath from 'node:path';
import { errnoText, systemCode, TardisError, systemReason } from '../errors/index.js';
import { displayName, displayText } from '../model/index.js';
import {
  byteText,
  environmentOfOthers,
  O_PATH,
  onSafeWay,
  OpenFd,
  type System,
  textBytes,
} from '../system/index.js';

const FUSERMOUNT = 'fusermount3';
const DEVICE = '/dev/fuse';
/** Flags of mount(2). */
const NO_SUID = 2;
const NO_DEV = 4;
const NO_EXEC = 8;
const WAY = O_PATH | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW;
const MAX_OUTPUT_CHARS = 4096;
/** Name of the environment variable in which fusermount3 finds the number of its socket. */
const SOCKET_VARIABLE = '_FUSE_COMMFD';
const MAX_READ_BYTES = 1 << 20;
/** File system of each mount of this program, in lists of mounts. */
const KIND = 'fuse.tardisfs';
const MOUNT_ID = /^mnt_id:\s*(\d+)$/m;

interface MountRequest {
  /** Absolute path of an existing directory. */
  readonly path: Buffer;
  /** Name of the source in lists of mounts. */
  readonly source: string;
  /** True to allow access by all users; the kernel then checks the permissions of each entry. */
  readonly allowsOthers: boolean;
  readonly checksPermissions: boolean;
  readonly isNoExec: boolean;
  /** Directory of this machine that the mount reads; undefined if it reads from a server. */
  readonly store: string | undefined;
}

export interface Mounted {
  readonly fd: number;
  /**
   * Unmounts the file system, even while it is in use. Has no effect if it is not mounted, or the path leads elsewhere
   * now.
   */
  unmount(): Promise<void>;
}

/**
 * Mounts a file system. If a killed process has left a mount there, it is unmounted first. Throws MOUNT_FAILED,
 * FUSE_MISSING.
 */
export async function mountAt(system: System, request: MountRequest): Promise<Mounted> {
  const isRoot = process.geteuid?.() === 0;
  requireDevice(isRoot);
  await takeOver(system, request.path, isRoot);
  if (request.store !== undefined) requireApart(request.path, request.store);
  const fd = isRoot ? mountAsRoot(system, request) : await mountAsUser(system, request);
  return {
    fd,
    unmount: async () => {
      await unmount(system, request.path, isRoot);
    },
  };
}

/**
 * Throws FUSE_MISSING if the FUSE device is missing or cannot be opened. For users other than root, fusermount3
 * reports other missing rights.
 */
function requireDevice(isRoot: boolean): void {
  try {
    if (isRoot) fs.closeSync(fs.openSync(DEVICE, fs.constants.O_RDWR));
    else fs.accessSync(DEVICE, fs.constants.R_OK | fs.constants.W_OK);
  } catch (error) {
    const code = systemCode(error);
    const why =
      code === 'ENOENT' || code === 'ENODEV'
        ? 'is not there'
        : `cannot be opened: ${errnoText(code ?? 'unknown')}`;
    throw new TardisError('FUSE_MISSING', `${DEVICE} ${why}`, {}, error);
  }
}

/** Unmounts a file system that a killed process has left. Throws MOUNT_FAILED if the path is not a directory. */
async function takeOver(system: System, path: Buffer, isRoot: boolean): Promise<void> {
  try {
    if (fs.statSync(path).isDirectory()) return;
  } catch (error) {
    if (systemCode(error) !== 'ENOTCONN' && systemCode(error) !== 'ECONNABORTED') {
      throw mountFailed(path, `it cannot be opened: ${systemReason(error)}`, error);
    }
    if (await unmount(system, path, isRoot)) return takeOver(system, path, isRoot);
    throw mountFailed(path, 'the program of another mount there has ended; unmount that', error);
  }
  throw mountFailed(path, 'it is no directory');
}

/**
 * Throws MOUNT_FAILED if a mount would hide its own store, since each of its reads would then wait for itself. That is
 * the case at the store, above it and, for a part of it, inside it. Links and bind mounts are recognised.
 */
function requireApart(point: Buffer, store: string): void {
  const [ofPoint, ofStore] = [byteText(point), store].map(identitiesUpwards);
  const where = ofStore!.includes(ofPoint![0]!)
    ? 'contains'
    : ofPoint!.includes(ofStore![0]!)
      ? 'is inside'
      : undefined;
  if (where === undefined) return;
  const what = `it ${where} the store ${displayText(store)}, which the mount reads`;
  throw mountFailed(point, `${what}: give a directory outside of it`);
}

/** Returns the identities of a directory and of all directories above it. */
function identitiesUpwards(directory: string): string[] {
  const found: string[] = [];
  let real = byteText(fs.realpathSync.native(textBytes(directory), 'buffer'));
  for (;;) {
    const { dev, ino } = fs.statSync(textBytes(real), { bigint: true });
    found.push(`${dev}/${ino}`);
    const above = nodePath.dirname(real);
    if (above === real) return found;
    real = above;
  }
}

function mountFailed(path: Buffer, why: string, cause?: unknown): TardisError {
  return new TardisError('MOUNT_FAILED', `cannot mount at ${displayName(path)}: ${why}`, {}, cause);
}

function optionsOf({ allowsOthers, checksPermissions }: MountRequest): string[] {
  const options = [`max_read=${MAX_READ_BYTES}`];
  if (allowsOthers) options.push('allow_other');
  if (checksPermissions) options.push('default_permissions');
  return options;
}

function mountAsRoot(system: System, request: MountRequest): number {
  const { path, source, isNoExec } = request;
  const options = ['rootmode=40000', 'user_id=0', 'group_id=0', ...optionsOf(request)];
  const flags = NO_SUID | NO_DEV | (isNoExec ? NO_EXEC : 0);
  const [from, with_] = [Buffer.from(source), Buffer.from(options.join(','))];
  using opened = new OpenFd(
    system.native,
    onSafeWay(path, 'output', (at) => fs.openSync(at, WAY)),
  );
  try {
    return system.native.fuseMount(Buffer.from(`/proc/self/fd/${opened.fd}`), from, with_, flags);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENODEV')
      throw new TardisError('FUSE_MISSING', 'the kernel has no FUSE', {}, error);
    throw code === undefined ? error : mountFailed(path, errnoText(code), error);
  }
}

async function mountAsUser(system: System, request: MountRequest): Promise<number> {
  const { path, source, isNoExec } = request;
  const fsname = source.replaceAll(/[,\\]/g, '_');
  const options = ['ro', 'nosuid', 'nodev', `fsname=${fsname}`, 'subtype=tardisfs'];
  if (isNoExec) options.push('noexec');
  options.push(...optionsOf(request));
  const sockets = system.native.fuseSockets();
  const [ours, theirs] = [sockets.readInt32LE(0), sockets.readInt32LE(4)];
  try {
    await runFusermount(['-o', options.join(','), '--', byteText(path)], path, theirs);
    return system.native.fuseReceive(ours);
  } catch (error) {
    if (error instanceof TardisError) throw error;
    throw mountFailed(path, `${FUSERMOUNT} sent no descriptor`, error);
  } finally {
    system.native.close(ours);
    system.native.close(theirs);
  }
}

/** Runs fusermount3. Throws FUSE_MISSING if it is not installed, MOUNT_FAILED with its message. */
async function runFusermount(words: string[], path: Buffer, socket?: number): Promise<void> {
  const inherited = socket === undefined ? [] : [socket];
  const child = spawn(FUSERMOUNT, words, {
    stdio: ['ignore', 'ignore', 'pipe', ...inherited],
    env: environmentOfOthers({ [SOCKET_VARIABLE]: '3' }),
  });
  let output = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(0, MAX_OUTPUT_CHARS);
  });
  try {
    const [status] = (await once(child, 'close')) as [number | null];
    if (status === 0) return;
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    throw new TardisError('FUSE_MISSING', `${FUSERMOUNT} is not installed`, {}, error);
  }
  throw mountFailed(path, output.trim().replace(/^fusermount3: /, '') || `${FUSERMOUNT} failed`);
}

/**
 * Unmounts a mount of this program. Returns false if the path leads to another mount, or to none: a user who owns a
 * directory above may have exchanged it.
 */
async function unmount({ native }: System, path: Buffer, isRoot: boolean): Promise<boolean> {
  if (!isRoot) {
    await runFusermount(['-u', '-z', '-q', '--', byteText(path)], path);
    return true;
  }
  let fd: number | undefined;
  try {
    fd = fs.openSync(path, O_PATH | fs.constants.O_DIRECTORY);
    if (!isOurs(fd)) return false;
    native.fuseUnmount(fd);
    return true;
  } catch (error) {
    // It was unmounted meanwhile.
    if (['EINVAL', 'ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false;
    throw error;
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

/** True if a descriptor was opened in a mount of this program. The mount itself is not used, so it may have failed. */
function isOurs(fd: number): boolean {
  const id = MOUNT_ID.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
  const mounts = fs.readFileSync('/proc/self/mountinfo', 'latin1').split('\n');
  return mounts.some((line) => line.startsWith(`${id} `) && line.includes(` - ${KIND} `));
}
