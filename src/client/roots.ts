/** The directories to back up, looked at before anything is started. */
import fs from 'node:fs';
import { systemCode, TardisError } from '../errors/index.js';
import {
  displayName,
  isEntryName,
  joinPath,
  ROOT_NAME,
  RowReader,
  splitPath,
  withAttributes,
} from '../model/index.js';
import { absolutePath, type System } from '../system/index.js';
import { type Head, Held, rootParent } from '../transport/index.js';
import { type Failure, packBlock, readAttributesOf } from '../workers/index.js';

export interface Root {
  readonly path: Buffer;
  /** The path it is kept under. */
  readonly keptPath: Buffer;
  /** Numbers of its device. */
  readonly device: string;
  /** It has no entries. */
  readonly isEmpty: boolean;
  readonly row: Buffer;
  /** The row with its attributes. */
  readonly wholeRow: Buffer;
  /** Why its attributes could not be read; empty if they could. */
  readonly incomplete: string;
}

/** Of what the server is not told. */
const NO_SLOT = -1;
const ITSELF = Buffer.alloc(0);
const SLASH = Buffer.from('/');

/** How paths are shortened: not at all, by what is common, to the last name. */
export type BasePath = 'full' | 'common' | 'none';

export interface RootPaths {
  readonly basePath?: BasePath;
  /** For each directory the path it is kept under; empty: by `basePath`. */
  readonly keptAs?: readonly Buffer[];
}

interface PlainRoot extends Omit<Root, 'keptPath'> {
  readonly givenPath: Buffer | undefined;
}

/** A directory that was named and cannot be opened; nothing of it is looked at, and nothing closed. */
export interface MissingRoot {
  readonly path: Buffer;
  /** What the system says. */
  readonly reason: string;
}

export interface Roots {
  readonly roots: readonly Root[];
  readonly missing: readonly MissingRoot[];
}

/**
 * Each directory once, by its real path; those that cannot be opened apart. Throws SOURCE_MISSING when
 * that is so of all, and USAGE when two would be kept under one path or `keptAs` does not fit.
 */
export function readRoots(
  system: System,
  directories: readonly Buffer[],
  { basePath = 'full', keptAs = [] }: RootPaths = {},
): Roots {
  const given = keptAs.length === 0 ? undefined : givenPaths(directories, basePath, keptAs);
  const roots = new Map<string, PlainRoot>();
  const missing: MissingRoot[] = [];
  for (const [index, directory] of directories.entries()) {
    const absolute = absolutePath(directory);
    try {
      // A root may be named through a symbolic link; it is kept under its real path.
      const bytes = fs.realpathSync.native(absolute, { encoding: 'buffer' });
      const key = bytes.toString('latin1');
      if (!roots.has(key)) {
        roots.set(key, { ...readRoot(system, bytes), givenPath: given?.[index] });
      } else if (given !== undefined) {
        throw new TardisError(
          'USAGE',
          `${displayName(bytes)} cannot be kept under two paths at once`,
        );
      }
    } catch (error) {
      const reason = systemCode(error);
      if (reason === undefined) throw error;
      missing.push({ path: absolute, reason });
    }
  }
  const [first] = missing;
  if (roots.size === 0 && first !== undefined) {
    throw new TardisError(
      'SOURCE_MISSING',
      `cannot open the directory ${displayName(first.path)}: ${first.reason}`,
      { cause: first.reason },
    );
  }
  const absent = missing.map(({ path }) => path);
  return { roots: withKeptPaths([...roots.values()], absent, basePath), missing };
}

/** The paths to keep directories under, one for each. Throws USAGE. */
function givenPaths(
  directories: readonly Buffer[],
  basePath: BasePath,
  keptAs: readonly Buffer[],
): Buffer[] {
  const wrong = (why: string): never => {
    throw new TardisError('USAGE', `--kept-as (KeptAs): ${why}`);
  };
  if (basePath !== 'full') wrong('it does not go with --basepath');
  if (keptAs.length !== directories.length) {
    wrong(`${keptAs.length} of them for ${directories.length} directories: give one for each`);
  }
  const paths = keptAs.map((path) => {
    const names = splitPath(path);
    if (names.length === 0 || !names.every(isEntryName)) wrong(`no path: "${displayName(path)}"`);
    return joinPath(SLASH, joined(names));
  });
  for (const [index, path] of paths.entries()) {
    const inside = Buffer.concat([path, SLASH]);
    const clash = paths.find(
      (other, at) =>
        at !== index && (other.equals(path) || other.subarray(0, inside.length).equals(inside)),
    );
    if (clash !== undefined) wrong(`${displayName(clash)} is in ${displayName(path)}`);
  }
  return paths;
}

/** What is common does not change because a directory is missing today. */
function withKeptPaths(
  roots: readonly PlainRoot[],
  absent: readonly Buffer[],
  basePath: BasePath,
): Root[] {
  const split = [...roots.map(({ path }) => path), ...absent].map(splitPath);
  let common = Math.min(...split.map((names) => Math.max(0, names.length - 1)));
  const [first = []] = split;
  for (let depth = 0; depth < common; depth += 1) {
    if (!split.every((names) => names[depth]!.equals(first[depth]!))) common = depth;
  }
  const cut = (names: readonly Buffer[]): readonly Buffer[] => {
    if (basePath === 'full') return names;
    return basePath === 'none' ? names.slice(-1) : names.slice(common);
  };
  const taken = new Map<string, Buffer>();
  return roots.map(({ givenPath, ...root }, index) => {
    const keptPath = givenPath ?? joinPath(SLASH, joined(cut(split[index]!)));
    const other = taken.get(keptPath.toString('latin1'));
    if (other !== undefined) {
      const [one, two] = [displayName(other), displayName(root.path)];
      const both = `${one} and ${two} would both be kept as ${displayName(keptPath)}`;
      throw new TardisError('USAGE', `${both}: use --basepath full or common`);
    }
    taken.set(keptPath.toString('latin1'), root.path);
    return { ...root, keptPath };
  });
}

function joined(names: readonly Buffer[]): Buffer {
  return names.reduce<Buffer>((path, name) => joinPath(path, name), ITSELF);
}

function readRoot(system: System, path: Buffer): Omit<PlainRoot, 'givenPath'> {
  const fd = system.native.openDirectory(path);
  try {
    const row = system.native.statRow(path, ROOT_NAME);
    const more = readAttributesOf(system, fd, new RowReader(row), 0, ITSELF);
    const wholeRow = withAttributes(row, more.packed);
    const { dev } = fs.lstatSync(path, { bigint: true });
    return {
      path,
      device: `${dev}`,
      isEmpty: isEmptyDirectory(path),
      row,
      wholeRow,
      incomplete: more.failure ?? '',
    };
  } finally {
    system.native.close(fd);
  }
}

/** Looks at one entry only: a directory may have a great many. */
function isEmptyDirectory(path: Buffer): boolean {
  const directory = fs.opendirSync(path, { encoding: 'latin1' });
  try {
    return directory.readSync() === null;
  } finally {
    directory.closeSync();
  }
}

/** What a server is told of the roots when a set is opened. */
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

/** The roots as walk tasks, the first one on top of the stack. */
export function rootTasks(roots: readonly Root[]): ReturnType<typeof packBlock> {
  const tasks = roots.map(({ path, row }, slot) => ({ slot, parent: rootParent(slot), path, row }));
  return packBlock(tasks.toReversed());
}

function isHeld(held: readonly string[], index: number): boolean {
  return (held[index] ?? Held.no) !== Held.no;
}

const HELD_REASONS: Readonly<Record<string, string>> = {
  [Held.empty]: 'it is empty now',
  [Held.otherDevice]: 'it is on another device now',
};

/** What is to be told of directories that are not there: the set has no root for them. */
export function missingFailures(missing: readonly MissingRoot[]): Failure[] {
  return missing.map(({ path, reason }) => ({
    slot: NO_SLOT,
    name: ROOT_NAME,
    path,
    what: 'unreadable',
    reason: `it cannot be opened: ${reason}`,
  }));
}

/** What is to be told of the roots themselves. */
export function rootFailures(roots: readonly Root[], held: readonly string[]): Failure[] {
  const failures: Failure[] = [];
  for (const [index, { path, incomplete }] of roots.entries()) {
    const root = { slot: rootParent(index), name: ROOT_NAME, path };
    if (isHeld(held, index)) {
      const reason = HELD_REASONS[held[index]!] ?? 'the server says so';
      failures.push({ ...root, what: 'held', reason });
    } else if (incomplete !== '') {
      failures.push({ ...root, what: 'incomplete', reason: incomplete });
    }
  }
  return failures;
}
