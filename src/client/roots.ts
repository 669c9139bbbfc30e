/** Reads the directories and files to back up, before anything else is started. */
import fs from 'node:fs';
import {
  asTardisError,
  failedTo,
  requireSystemCode,
  systemCode,
  systemReason,
  TardisError,
  unlessBug,
  usageError,
} from '../errors/index.js';
import {
  directoryOf,
  displayName,
  fileRootPath,
  identityOf,
  isEntryName,
  joinPath,
  lastComponent,
  pathBelow,
  ROOT_NAME,
  RowReader,
  shownRoot,
  shownRoots,
  SLASH_BYTES,
  type SlotNumber,
  splitPath,
  withAttributes,
} from '../model/index.js';
import { absolutePath, OpenedPlace, pathWithoutLinks, type System } from '../system/index.js';
import { type Head, Protection, rootParent } from '../transport/index.js';
import { type Identity, identityAt } from './root-presence.js';
import { type Failure, packBlock, readAttributesOf, closeRow } from '../workers/index.js';

export interface Root {
  readonly path: Buffer;
  /** Path under which the root is stored in the set. */
  readonly keptPath: Buffer;
  /** Device number. */
  readonly device: string;
  /** Identity of the directory, read before anything else in it. */
  readonly identity: Identity;
  /** The identity by which it is opened later. */
  readonly listed: Buffer;
  /** True if the directory has no entries. */
  readonly isEmpty: boolean;
  readonly row: Buffer;
  /** Row of the root, with its attributes. */
  readonly wholeRow: Buffer;
  /** Reason why attributes of the root could not be read; empty if all were read. */
  readonly incomplete: string;
  /** Name of the file if the root is a file: the only entry of the directory that is backed up. */
  readonly file?: Buffer;
}

/** Reasons why a directory is not there. */
const NOT_THERE: readonly string[] = ['ENOENT', 'ENOTDIR'];

/** Slot for directories that are not sent to the server. */
const NO_SLOT: SlotNumber = -1;

/**
 * Ways to shorten paths: `full` keeps the whole path, `common` cuts the part that all roots share, `none`
 * keeps only the last name.
 */
export type BasePath = 'full' | 'common' | 'none';

export interface RootPaths {
  /** True if the paths have no links on the way, and what is a link itself is saved as one: a state of another program. */
  readonly areExact?: boolean;
  /** True if a link to a block device is a root of its own name: the contents of the device are saved under it. */
  readonly readDevices?: boolean;
  /** Streams that are backed up too, so that a backup without any directory is one of these. */
  readonly streams?: readonly unknown[];
  readonly basePath?: BasePath;
  /** For each directory, the path under which it is stored; if empty, `basePath` decides. */
  readonly keptAs?: readonly Buffer[];
  /**
   * Given if every directory has to be there, since the user has just named it. Returns what the error adds to a name that is not
   * there.
   */
  readonly hintAt?: ((directory: Buffer) => string) | undefined;
}

interface PlainRoot extends Omit<Root, 'keptPath'> {
  readonly givenPath: Buffer | undefined;
}

/**
 * A directory that was named but cannot be opened. Its stored entries are left as they are: they are neither
 * compared nor closed.
 */
interface MissingRoot {
  /** Path as it was given. */
  readonly given: Buffer;
  readonly path: Buffer;
  /** An error of the system, or SOURCE_UNSAFE. */
  readonly error: unknown;
}

interface Roots {
  readonly roots: readonly Root[];
  readonly missing: readonly MissingRoot[];
}

/**
 * Returns each directory once, by its real path, and separately those that cannot be opened. If nothing is left, or one is not
 * there that has to be, throws SOURCE_MISSING, or IO_FAILED for a disk that fails. Throws USAGE if two would be stored under one path or `keptAs` does not
 * fit.
 */
export function readRoots(
  system: System,
  directories: readonly Buffer[],
  {
    areExact = false,
    basePath = 'full',
    keptAs = [],
    readDevices = false,
    streams = [],
    hintAt,
  }: RootPaths = {},
): Roots {
  void system.native; // Loads the addon first: if it is missing, that is not an error of a directory.
  const given = keptAs.length === 0 ? undefined : givenPaths(directories, basePath, keptAs);
  const roots = new Map<string, PlainRoot>();
  const missing: MissingRoot[] = [];
  for (const [index, directory] of directories.entries()) {
    const absolute = absolutePath(directory);
    try {
      const bytes = areExact ? absolute : namePath(absolute, readDevices);
      const key = bytes.toString('latin1');
      if (!roots.has(key)) {
        const root = readFileRoot(system, bytes) ?? readRoot(system, bytes);
        roots.set(key, { ...root, givenPath: given?.[index] });
      } else if (given !== undefined) {
        throw usageError(`${displayName(bytes)} cannot be stored under two paths at once`);
      }
    } catch (error) {
      const isUnsafe = error instanceof TardisError && error.code === 'SOURCE_UNSAFE';
      if (!isUnsafe) requireSystemCode(error);
      missing.push({ given: directory, path: absolute, error });
    }
  }
  const absentOne =
    hintAt && missing.find(({ error }) => NOT_THERE.includes(systemCode(error) ?? ''));
  const wrong = absentOne ?? (roots.size + streams.length === 0 ? missing[0] : undefined);
  if (wrong !== undefined) {
    const failure = failedTo(`open ${displayName(wrong.path)}`, wrong.error, 'openSource');
    const { code, message, context } = asTardisError(failure);
    const hint = wrong === absentOne ? hintAt!(wrong.given) : '';
    throw new TardisError(code, message + hint, context, failure);
  }
  const absent = missing.map(({ path }) => path);
  return { roots: withKeptPaths([...roots.values()], absent, basePath), missing };
}

/**
 * Returns the paths under which directories are stored, or would be if they are missing, as a user sees them in a set. Throws
 * USAGE as `readRoots` does.
 */
export function keptPaths(
  directories: readonly Buffer[],
  { basePath = 'full', keptAs = [], readDevices = false }: RootPaths,
): Buffer[] {
  if (keptAs.length > 0) return givenPaths(directories, basePath, keptAs);
  const named = directories
    .map(absolutePath)
    .map((path) => unlessBug(() => namePath(path, readDevices)) ?? path);
  return cutPaths(shownRoots(named), basePath); // each once
}

/**
 * Returns the path by which a root is named in a set, if nothing shortens it. A missing directory has the path to which the links
 * lead today: it is stored under its real path. Throws SOURCE_UNSAFE for links of others.
 */
function namePath(path: Buffer, readDevices: boolean): Buffer {
  const status = readDevices && fs.statSync(path, { throwIfNoEntry: false });
  if (status && status.isBlockDevice()) return devicePath(path);
  return pathWithoutLinks(path, 'SOURCE_UNSAFE');
}

/**
 * Returns the path of a block device, whose last name may be a link. Only such names last: `/dev/vg/home` leads to
 * `/dev/dm-3` today, and to another number after the next start.
 */
function devicePath(path: Buffer): Buffer {
  return joinPath(pathWithoutLinks(directoryOf(path), 'SOURCE_UNSAFE'), lastComponent(path));
}

/** Returns the path under which each directory is stored. Throws USAGE. */
function givenPaths(
  directories: readonly Buffer[],
  basePath: BasePath,
  keptAs: readonly Buffer[],
): Buffer[] {
  const wrong = (why: string): never => {
    throw usageError(`--kept-as (KeptAs): ${why}`);
  };
  if (basePath !== 'full') wrong('it cannot be used with --basepath');
  if (keptAs.length !== directories.length) {
    wrong(`${keptAs.length} given for ${directories.length} directories: give one for each`);
  }
  const paths = keptAs.map((path) => {
    const names = splitPath(path);
    if ((names.length === 0 && keptAs.length > 1) || !names.every(isEntryName))
      wrong(`not a path: "${displayName(path)}"`);
    return pathBelow(SLASH_BYTES, names);
  });
  for (const [index, path] of paths.entries()) {
    const inside = Buffer.concat([path, SLASH_BYTES]);
    const clash = paths.find(
      (other, at) =>
        at !== index && (other.equals(path) || other.subarray(0, inside.length).equals(inside)),
    );
    if (clash !== undefined) wrong(`${displayName(clash)} is in ${displayName(path)}`);
  }
  return paths;
}

/**
 * Adds the stored path to each root. Missing directories count when the common part is computed, so that the
 * part does not change because a directory is missing today.
 */
function withKeptPaths(
  roots: readonly PlainRoot[],
  absent: readonly Buffer[],
  basePath: BasePath,
): Root[] {
  const kept = cutPaths([...roots.map(namedPath), ...absent], basePath);
  const taken = new Map<string, Buffer>();
  return roots.map(({ givenPath, ...root }, index) => {
    const keptPath = keptPathOf(root, givenPath ?? kept[index]!);
    const key = shownRoot(keptPath).toString('latin1');
    const other = taken.get(key);
    if (other !== undefined) {
      const [one, two] = [displayName(other), displayName(namedPath(root))];
      const both = `${one} and ${two} would both be stored as ${displayName(keptPath)}`;
      throw usageError(`${both}: use --basepath full or common`);
    }
    taken.set(key, namedPath(root));
    return { ...root, keptPath };
  });
}

/** Returns paths without the part that `basePath` cuts. */
function cutPaths(paths: readonly Buffer[], basePath: BasePath): Buffer[] {
  const split = paths.map(splitPath);
  const [first = []] = split;
  let common = Math.min(first.length, ...split.map((names) => Math.max(0, names.length - 1)));
  for (let depth = 0; depth < common; depth += 1) {
    if (!split.every((names) => names[depth]!.equals(first[depth]!))) common = depth;
  }
  const from = { full: 0, none: -1, common }[basePath];
  return split.map((names) => pathBelow(SLASH_BYTES, names.slice(from)));
}

type NamedRoot = Pick<Root, 'path' | 'file'>;

/** Returns the path that was named, with symbolic links resolved. */
function namedPath({ path, file }: NamedRoot): Buffer {
  return file === undefined ? path : joinPath(path, file);
}

/** Returns the path of a root in the set. Throws USAGE for a file whose name would change. */
function keptPathOf(root: NamedRoot, wanted: Buffer): Buffer {
  const { file } = root;
  if (file === undefined) return wanted;
  const names = splitPath(wanted);
  if (names.at(-1)?.equals(file) !== true) {
    const [shown, name] = [displayName(namedPath(root)), displayName(file)];
    throw usageError(
      `--kept-as (KeptAs): the file ${shown} keeps its name: give a path that ends in /${name}`,
    );
  }
  return fileRootPath(pathBelow(SLASH_BYTES, names.slice(0, -1)), file);
}

/** Returns a file's directory as a root that contains only that file; undefined for a directory. */
function readFileRoot(system: System, path: Buffer): Omit<PlainRoot, 'givenPath'> | undefined {
  if (fs.lstatSync(path).isDirectory()) return undefined;
  return readRoot(system, directoryOf(path), lastComponent(path));
}

/** Returns a root. If it is the directory of a `file`, this user need not be able to list it. */
export function readRoot(
  system: System,
  path: Buffer,
  file?: Buffer,
): Omit<PlainRoot, 'givenPath'> {
  const identity = identityAt(path);
  const row = system.native.statRow(path, ROOT_NAME, true);
  const rows = new RowReader(row);
  const listed = identityOf(rows, 0, identity.device);
  system.native.beginLine(path, listed);
  using directory = new OpenedPlace(system.native, { path, identity: listed });
  const more = readAttributesOf(system, directory.fd);
  const wholeRow = withAttributes(row, more.packed);
  if (more.failure !== undefined) closeRow(new RowReader(wholeRow), 0);
  return {
    path,
    device: `${identity.device}`,
    identity,
    listed,
    isEmpty: file === undefined && system.native.hasEntries(directory.fd) === 0,
    row,
    wholeRow,
    incomplete: more.failure ?? '',
    ...(file && { file }),
  };
}

/** Returns the description of the roots that `openSet` sends to the server. */
export function rootsHead(
  roots: readonly Root[],
): Pick<Head<'openSet'>, 'paths' | 'rows' | 'devices' | 'empties'> {
  return {
    paths: roots.map((root) => root.keptPath),
    rows: Buffer.concat(roots.map((root) => root.wholeRow)),
    devices: roots.map((root) => root.device),
    empties: Buffer.from(roots.map((root) => (root.isEmpty ? 1 : 0))),
  };
}

/** Returns the names of roots that are files, by the slot of their directory. */
export function rootFiles(roots: readonly Root[]): Record<number, Buffer> {
  const files: Record<number, Buffer> = {};
  for (const [slot, { file }] of roots.entries()) if (file !== undefined) files[slot] = file;
  return files;
}

/** Returns the roots as walk tasks, with the first one on top of the stack. */
export function rootTasks(roots: readonly Root[]): ReturnType<typeof packBlock> {
  const tasks = roots.map(({ path, row, listed }, slot) => ({
    slot,
    parent: rootParent(slot),
    path,
    row,
    identity: listed,
  }));
  return packBlock(tasks.toReversed());
}

function isProtected(protection: readonly string[], index: number): boolean {
  return (protection[index] ?? Protection.no) !== Protection.no;
}

const PROTECTION_REASONS: Readonly<Record<string, string>> = {
  [Protection.empty]: 'it is empty now',
  [Protection.otherDevice]: 'it is on another device now',
};

/** Returns a failure for each directory that cannot be opened; the set has no root for it. */
export function missingFailures(missing: readonly MissingRoot[]): Failure[] {
  return missing.map(({ path, error }) => ({
    slot: NO_SLOT,
    name: ROOT_NAME,
    path,
    what: 'unreadable',
    reason: `it cannot be opened: ${systemReason(error, asTardisError(error).message)}`,
  }));
}

/** Returns the failures to note in the set: roots that are protected, and those read only in part. */
export function rootFailures(roots: readonly Root[], protection: readonly string[]): Failure[] {
  const failures: Failure[] = [];
  for (const [index, each] of roots.entries()) {
    const { incomplete } = each;
    const root = { slot: rootParent(index), name: ROOT_NAME, path: namedPath(each) };
    if (isProtected(protection, index)) {
      const reason = PROTECTION_REASONS[protection[index]!] ?? 'the server reports it as protected';
      failures.push({ ...root, what: 'protected', reason });
    } else if (incomplete !== '') {
      failures.push({ ...root, what: 'incomplete', reason: incomplete });
    }
  }
  return failures;
}
