/** A directory that shows a state of a source, which programs fill. */
import fs from 'node:fs';
import path from 'node:path';
import { systemCode } from '../errors/index.js';
import { directoryOf, joinPath } from '../model/index.js';
import { makeTemporary, removeClosedTree, textBytes } from '../system/index.js';

const OWNER_ALL = 0o700;
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);

/** A directory that shows a state. Only this user can enter it, and it is removed at the end. */
export class StatePlace implements Disposable {
  readonly directory: Buffer;
  private readonly path: string;

  /** Makes a temporary directory. */
  constructor(purpose: 'import' | 'export' = 'import') {
    this.path = fs.realpathSync(makeTemporary(purpose));
    this.directory = textBytes(this.beside('state'));
  }

  /** Makes an empty directory beside it, on the same file system. */
  beside(name: string): string {
    const made = this.besidePath(name);
    fs.mkdirSync(made, { mode: OWNER_ALL });
    return made;
  }

  /** Writes a file beside it, and returns its path. */
  fileBeside(name: string, text: string): string {
    const file = this.besidePath(name);
    fs.writeFileSync(file, text);
    return file;
  }

  /** Removes what is in the directory. */
  empty(): void {
    removeClosedTree(this.directory);
    fs.mkdirSync(this.directory, { mode: OWNER_ALL });
  }

  /** Puts a directory that is beside it in its place. */
  replaceBy(beside: Buffer): void {
    removeClosedTree(this.directory);
    fs.renameSync(beside, this.directory);
  }

  /**
   * Removes paths below the directory, with all that is below them. Returns false, before anything is removed, if a file
   * has a name that is none of these paths, or if a link is on the way to a path: it might lead out of the directory.
   */
  remove(paths: readonly Buffer[]): boolean {
    const distinct = new Map(paths.map((one) => [one.toString('latin1'), this.fullPath(one)]));
    const there = [...distinct.values()].filter(isThere);
    const ways = new Map(
      there.map((one) => [directoryOf(one).toString('latin1'), directoryOf(one)]),
    );
    if (![...ways.values()].every(hasNoLink)) return false;
    const otherNames = new Map<bigint, bigint>();
    for (const one of there) {
      const { ino, nlink, isFile } = statusOf(one)!;
      if (isFile) otherNames.set(ino, (otherNames.get(ino) ?? nlink) - 1n);
    }
    if ([...otherNames.values()].some((count) => count > 0n)) return false;
    for (const one of there) fs.rmSync(one, { recursive: true, force: true });
    return true;
  }

  /** True if there is something at a path below the directory, and no link is on the way to it. */
  has(relative: Buffer): boolean {
    const full = this.fullPath(relative);
    return isThere(full) && hasNoLink(directoryOf(full));
  }

  /** Returns the names in a directory below it; none if there is no such directory. */
  namesIn(relative: Buffer): Buffer[] {
    const directory = this.fullPath(relative);
    const isDirectory = statusOf(directory)?.isFile === false && hasNoLink(directory);
    return isDirectory ? fs.readdirSync(directory, { encoding: 'buffer' }) : [];
  }

  /** Returns the paths, and with `below` those below them, of files that have several names. */
  linked(paths: readonly Buffer[], how: { readonly below: boolean }): Buffer[] {
    const found: Buffer[] = [];
    const left = [...paths];
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const one = next;
      const status = statusOf(this.fullPath(one));
      if (status?.isFile === true && status.nlink > 1n) found.push(one);
      if (status?.isFile !== false || !how.below) continue;
      for (const name of this.namesIn(one)) left.push(joinPath(one, name));
    }
    return found;
  }

  [Symbol.dispose](): void {
    removeClosedTree(textBytes(this.path));
  }

  /** Returns the absolute path of one below the directory; an empty one stands for the directory. */
  private fullPath(relative: Buffer): Buffer {
    return relative.length === 0 ? this.directory : joinPath(this.directory, relative);
  }

  private besidePath(name: string): string {
    return path.join(this.path, name);
  }
}

interface Status {
  readonly ino: bigint;
  readonly nlink: bigint;
  /** True for everything that may have several names. */
  readonly isFile: boolean;
}

/** Returns the status of what is at a path; undefined if there is nothing. */
function statusOf(full: Buffer): Status | undefined {
  try {
    const status = fs.lstatSync(full, { bigint: true });
    return { ino: status.ino, nlink: status.nlink, isFile: !status.isDirectory() };
  } catch (error) {
    if (!ABSENT.has(systemCode(error) ?? '')) throw error;
    return undefined;
  }
}

function isThere(full: Buffer): boolean {
  return statusOf(full) !== undefined;
}

/** True if no part of the path of a directory is a symbolic link. */
function hasNoLink(directory: Buffer): boolean {
  return fs.realpathSync.native(directory, { encoding: 'buffer' }).equals(directory);
}
