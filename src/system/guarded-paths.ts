/**
 * Guarded directories, whose content may belong to another user than this process runs as. A path in a guarded
 * directory is opened component by component, and never through a symbolic link, so that nobody can lead root out
 * of a store. Files that root creates in a store get the owner of the directory. The path of the directory where the
 * walk begins may contain links.
 */
import fs from 'node:fs';
import path from 'node:path';
import {
  during,
  type ErrorCode,
  meant,
  type Operation,
  systemCode,
  TardisError,
} from '../errors/index.js';
import type { Files } from './files.js';
import { directoryOf } from '../model/index.js';
import { absolutePath, byteText, exactPath } from './process-input.js';
import { foreignHand, O_PATH, pathWithoutLinks } from './ways.js';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY, O_APPEND, O_CREAT } = fs.constants;
const LOG = O_WRONLY | O_APPEND | O_CREAT;
const LOG_MODE = 0o640;
/** Links that only the kernel makes, such as that of /dev/stderr, and that lead to no path. */
const OF_KERNEL = '/proc/';
const WAY = O_PATH | O_DIRECTORY | O_NOFOLLOW;

/** The use of a guarded directory: a part of a store, the cache of a part of a store in a bucket, or what a command reads or writes. */
export type GuardedUse = 'store' | 'cache' | 'source' | 'output';

interface Guard {
  /** The path whose owner new files in the directory get; undefined for what belongs to who runs the program. */
  readonly ownerFrom: string | undefined;
  readonly use: GuardedUse;
  /** The directory at which the walk begins: the guarded one, or one above it. */
  readonly from: string;
}

type Start = Pick<Guard, 'from' | 'use'>;

const guarded = new Map<string, Guard>();

/** The purpose of a call: `write` for all that change something. */
export type Access = 'read' | 'write';

/** The operations by which errors in guarded directories get their meaning. */
const OPERATIONS: Readonly<Record<GuardedUse, Readonly<Record<Access, Operation>>>> = {
  store: { read: 'readStore', write: 'writeStore' },
  cache: { read: 'useCache', write: 'useCache' },
  source: { read: 'openSource', write: 'openSource' },
  output: { read: 'writeTarget', write: 'writeTarget' },
};
/** Codes for a link, or anything else that is no plain file, where none may be. */
const UNSAFE = {
  store: 'STORE_UNSAFE',
  cache: 'STORE_UNSAFE',
  source: 'SOURCE_UNSAFE',
  output: 'TARGET_UNSAFE',
} as const satisfies Record<GuardedUse, ErrorCode>;

/**
 * Guards a directory, which need not exist yet, from now on in this thread. Files that root creates below it get
 * the owner of `ownerFrom`. If that is a directory above, the walk begins there.
 */
export function guardDirectory(
  directory: string,
  ownerFrom: string = directory,
  use: GuardedUse = 'store',
): void {
  const [inner, owner] = [path.resolve(directory), path.resolve(ownerFrom)];
  const isAbove = inner.startsWith(`${owner}/`);
  guarded.set(directory, { ownerFrom, use, from: isAbove ? ownerFrom : directory });
  guarded.set(inner, { ownerFrom: owner, use, from: isAbove ? owner : inner });
}

/**
 * Returns the path of a file or a directory that a command makes, without links, and guards it. Throws TARGET_UNSAFE for a link of
 * others.
 */
export function outputPath(file: Uint8Array): string {
  const own = byteText(pathWithoutLinks(file, UNSAFE.output));
  if (rootOf(own) === undefined && !own.startsWith(OF_KERNEL)) guardFromTop(own, 'output');
  return own;
}

/** Returns the path of a directory that a command reads, without links, and guards it. Throws SOURCE_UNSAFE for a link of others. */
export function sourcePath(directory: Uint8Array): string {
  const own = byteText(pathWithoutLinks(directory, UNSAFE.source));
  guardFromTop(own, 'source');
  return own;
}

function guardFromTop(directory: string, use: GuardedUse): void {
  guarded.set(directory, { ownerFrom: undefined, use, from: '/' });
}

/**
 * Adds the path to a system error that names none, and notes what was being done if the path is guarded. Returns the
 * error.
 */
export function meantAt(file: string, access: Access, error: unknown): unknown {
  const isSystems = error instanceof Error && systemCode(error) !== undefined;
  if (isSystems && !error.message.includes("'")) error.message += ` '${file}'`;
  const root = rootOf(file) ?? file;
  const use = guarded.get(root)?.use;
  return use === undefined ? error : meant(OPERATIONS[use][access], error);
}

let isSuspended = false;

/**
 * Runs `work`, which only reads, without guards. A login uses it, so that real and decoy accounts take the same
 * time.
 */
export function unguarded<T>(work: () => T): T {
  isSuspended = true;
  try {
    return work();
  } finally {
    isSuspended = false;
  }
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** A path to pass to a system call. */
export interface Way {
  readonly at: string | Buffer;
  /** True if the path is in a guarded directory. If its last component is a link, it must then not be followed. */
  readonly isGuarded: boolean;
}

/**
 * Calls `work` with a path to the same file as `file`. If `file` is in a guarded directory, no link can redirect that
 * path, and errors get the meaning of `access`; throws STORE_UNSAFE if a directory on the way is a link.
 */
export function onGuardedWay<T>(file: string, access: Access, work: (way: Way) => T): T {
  try {
    return onWay(file, work);
  } catch (error) {
    throw meantAt(file, access, error);
  }
}

function onWay<T>(file: string, work: (way: Way) => T): T {
  const root = rootOf(file);
  if (root === undefined) return work({ at: exactPath(file), isGuarded: false });
  return below(guarded.get(root)!, file, work);
}

/**
 * Calls `work` with a path to the same file as `file`, which a command reads or makes. No link of others is followed, and what
 * others exchange meanwhile is not used; `work` must not follow a link that the file itself has become. Throws SOURCE_UNSAFE or
 * TARGET_UNSAFE.
 */
export function onSafeWay<T>(
  file: Uint8Array,
  use: 'source' | 'output',
  work: (at: string | Buffer) => T,
): T {
  const own = byteText(pathWithoutLinks(file, UNSAFE[use]));
  return below({ from: '/', use }, own, ({ at }) => work(at));
}

/** Opens a plain file that a command reads, on a safe way, and returns its descriptor. Throws errors of `openSource` too. */
export function openSource(file: Uint8Array): number {
  const fd = during('openSource', () =>
    onSafeWay(file, 'source', (at) => openOnWay({ at, isGuarded: true }, O_RDONLY)),
  );
  if (fs.fstatSync(fd).isFile()) return fd;
  fs.closeSync(fd);
  throw unsafe(byteText(file), 'is no plain file', undefined, 'source');
}

/** Calls `work` with a path to a file, whose directories are opened without following a link. */
function below<T>(start: Start, file: string, work: (way: Way) => T): T {
  const fd = openParent(start, file);
  const short = `/proc/self/fd/${fd}/`;
  try {
    return work({ at: exactPath(short + path.basename(file)), isGuarded: true });
  } catch (error) {
    throw renamed(error, short, `${path.dirname(file)}/`, { file, use: start.use });
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * Opens the path, and returns the descriptor. Does not wait for the other end of a fifo, and follows no link if the
 * path is guarded.
 */
export function openOnWay({ at, isGuarded }: Way, flags: number, mode?: number): number {
  return fs.openSync(at, flags | O_NONBLOCK | (isGuarded ? O_NOFOLLOW : 0), mode);
}

/** Opens a log, which is made unless it is there, and returns its descriptor. Throws TARGET_UNSAFE, and errors of the system. */
export function openToAppend(file: Uint8Array): number {
  const isOfKernel = pathWithoutLinks(file, UNSAFE.output).toString().startsWith(OF_KERNEL);
  if (isOfKernel) return fs.openSync(Buffer.from(file), 'a');
  return openOutput(file, LOG, LOG_MODE); // waits for the reader of a pipe
}

/**
 * Opens a file that a command writes in place, and returns its descriptor. Throws TARGET_UNSAFE for a link of others, also a hard
 * one: a file with several names, in a place where others could have given it one of them.
 */
export function openOutput(file: Uint8Array, flags: number, mode: number): number {
  const fd = onSafeWay(file, 'output', (at) => fs.openSync(at, flags | O_NOFOLLOW, mode));
  const { nlink } = fs.fstatSync(fd);
  const hand = nlink === 1 ? undefined : foreignHand(directoryOf(absolutePath(file)));
  if (hand === undefined) return fd;
  fs.closeSync(fd);
  throw unsafe(byteText(file), `has other names, and ${hand}`, undefined, 'output');
}

/** Throws STORE_UNSAFE if the path exists and is not a plain file: SQLite would block on a fifo. */
export function requirePlainAt(file: string): void {
  onGuardedWay(file, 'read', ({ at, isGuarded }) => {
    const stat = (isGuarded ? fs.lstatSync : fs.statSync)(at, { throwIfNoEntry: false });
    if (stat === undefined || stat.isFile()) return;
    throw unsafe(file, stat.isSymbolicLink() ? 'is a symbolic link' : 'is no plain file');
  });
}

/** Throws STORE_UNSAFE if the path itself is a symbolic link, which a store never creates there. */
export function requireNoLink(files: Pick<Files, 'isLink'>, file: string): void {
  if (files.isLink(file)) throw unsafe(file, 'is a symbolic link');
}

/** Throws STORE_UNSAFE unless an open descriptor is of a plain file. */
export function requirePlain(fd: number, file: string): void {
  const stat = fs.fstatSync(fd);
  if (stat.isSymbolicLink()) throw unsafe(file, 'is a symbolic link');
  if (!stat.isFile()) throw notPlain(file);
}

/** Returns a STORE_UNSAFE error for a path that is not a plain file. */
export function notPlain(file: string, cause?: unknown): TardisError {
  return unsafe(file, 'is no plain file', cause);
}

/** Returns the owner for a new file at a path; undefined if the file keeps the process's own user. */
export function ownerFor(file: string): Owner | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const root = rootOf(file);
  const from = guarded.get(root ?? file)?.ownerFrom;
  if (from === undefined) return undefined;
  return ownerOf(from === file ? path.dirname(file) : from);
}

function ownerOf(file: string): Owner {
  const { uid, gid } = fs.statSync(exactPath(file));
  return { uid, gid };
}

/** Returns the guarded directory that contains a path, if any. */
function rootOf(file: string): string | undefined {
  if (guarded.size === 0 || isSuspended) return undefined;
  const own = guarded.get(file);
  if (own !== undefined && own.from !== file) return file; // it could be a link itself
  for (let at = path.dirname(file), below = file; at !== below; ) {
    if (guarded.has(at)) return at;
    below = at;
    at = path.dirname(at);
  }
  return undefined;
}

/** Opens the directory that contains a path, component by component from where the walk begins. Returns its descriptor. */
function openParent({ from, use }: Start, file: string): number {
  let directory = from;
  let fd = fs.openSync(exactPath(directory), O_PATH | O_DIRECTORY);
  for (const name of path.relative(directory, path.dirname(file)).split(path.sep)) {
    if (name === '') continue;
    const above = fd;
    const short = `/proc/self/fd/${above}/`;
    const prefix = `${directory}/`;
    directory = path.join(directory, name);
    try {
      fd = fs.openSync(exactPath(short + name), WAY);
    } catch (error) {
      throw renamed(error, short, prefix, { file: directory, use });
    } finally {
      fs.closeSync(above);
    }
  }
  return fd;
}

/** Returns the error with the path that the caller passed, or STORE_UNSAFE if a link was found. */
function renamed(
  error: unknown,
  short: string,
  prefix: string,
  { file, use }: { readonly file: string; readonly use: GuardedUse },
): unknown {
  if (error instanceof TardisError || !(error instanceof Error)) return error;
  if (isLinkMet(error, file)) return unsafe(file, 'is a symbolic link', error, use);
  error.message = error.message.replaceAll(short, prefix);
  return error;
}

function isLinkMet(error: Error, file: string): boolean {
  const code = systemCode(error);
  if (code === 'ELOOP') return true;
  if (code !== 'ENOTDIR') return false;
  return fs.lstatSync(exactPath(file), { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function unsafe(file: string, why: string, cause?: unknown, use?: GuardedUse): TardisError {
  const known = use ?? guarded.get(rootOf(file) ?? '')?.use ?? 'store';
  return new TardisError(UNSAFE[known], `${file} ${why}`, {}, cause);
}
