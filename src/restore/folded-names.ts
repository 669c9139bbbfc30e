/**
 * Detects names that collide on a file system that ignores case. If the file system treats two names as equal, the
 * second name is refused. Otherwise it would replace the entry that was restored first.
 */
import { systemCode, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { ifThere, OpenKind, type System } from '../system/index.js';
import { temporaryName } from '../workers/index.js';

/** True if a file system finds the entry `present` of the directory by its name in capitals. */
export function foldsCase({ native }: System, directoryFd: number, present: Buffer): boolean {
  const capitals = Buffer.from(present.toString('latin1').toUpperCase(), 'latin1');
  try {
    native.close(native.openBeneath(directoryFd, capitals, OpenKind.file));
    return true;
  } catch {
    return false; // not found or not readable, so the names count as different
  }
}

/**
 * True if a file system treats two names as equal. It creates a temporary file with one name and looks for it under the
 * other. Names that are too long for this test count as equal: the restore then refuses more entries, but loses none.
 */
export function areOneName(
  system: System,
  directoryFd: number,
  { prefix, one, other }: { readonly prefix: string; readonly one: Buffer; readonly other: Buffer },
): boolean {
  const { native } = system;
  const start = Buffer.from(`${temporaryName(system, prefix)}-`);
  const made = Buffer.concat([start, one]);
  try {
    native.close(native.createFileAt(directoryFd, made));
  } catch (error) {
    if (systemCode(error) === 'ENAMETOOLONG') return true;
    throw error;
  }
  try {
    const fd = ifThere(() =>
      native.openBeneath(directoryFd, Buffer.concat([start, other]), OpenKind.file),
    );
    if (fd !== undefined) native.close(fd);
    return fd !== undefined;
  } finally {
    native.unlinkAt(directoryFd, made);
  }
}

/** A directory of the output. */
interface Directory {
  readonly path: Buffer;
}

/** Names in a directory, by their folded form. */
type Names = Map<string, Buffer[]>;

export class FoldedNames {
  private readonly taken = new WeakMap<Directory, Names>();
  private readonly byPath: Map<string, Names> | undefined;

  /**
   * Creates the detection. `isShared` is true for several restores into one output. They may visit a directory again,
   * so names are kept until the end.
   */
  constructor(isShared = false) {
    this.byPath = isShared ? new Map() : undefined;
  }

  /**
   * Records a name of a directory. Throws TARGET_EXISTS if another name of this restore collides with it. `areOne`
   * tests on the file system whether two similar names are equal.
   */
  claim(directory: Directory, name: Buffer, areOne: (one: Buffer, other: Buffer) => boolean): void {
    const names = this.namesIn(directory);
    const key = fold(name);
    const alike = names.get(key) ?? [];
    if (alike.some((other) => other.equals(name))) return;
    const other = alike.find((one) => areOne(one, name));
    if (other !== undefined) {
      const what = `the file system of the target takes its name for that of "${displayName(other)}"`;
      throw new TardisError('TARGET_EXISTS', `${what}, which is restored`);
    }
    names.set(key, [...alike, Buffer.from(name)]);
  }

  private namesIn(directory: Directory): Names {
    const path = directory.path.toString('latin1');
    const known = this.byPath?.get(path) ?? this.taken.get(directory);
    if (known !== undefined) return known;
    const names: Names = new Map();
    if (this.byPath === undefined) this.taken.set(directory, names);
    else this.byPath.set(path, names);
    return names;
  }
}

/**
 * Returns a folded form of a name, which is equal for all names that a file system may treat as equal. It ignores case
 * and the encoding of accents.
 */
function fold(name: Buffer): string {
  const text = name.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(name)) return name.toString('latin1').toLowerCase();
  return text.normalize('NFKD').toUpperCase().toLowerCase();
}
