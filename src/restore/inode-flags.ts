/**
 * Sets the inode flags (chattr) of restored entries after all other steps: first those of files, then those of
 * directories. Entries that failed, and the directories above them, get no flags, so that the next run can change them.
 */
import { requireSystemCode } from '../errors/index.js';
import type { HistoryEntry } from '../history/index.js';
import { EntryType, InodeFlag, inodeFlags, joinPath, SLASH } from '../model/index.js';
import type { FailedAttribute } from '../system/index.js';
import { FLAGS_OF_INODE } from '../workers/index.js';
import type { RestoreTarget } from './target.js';

interface Flagged {
  readonly path: Buffer;
  readonly flags: number;
}

const BARRING = InodeFlag.immutable | InodeFlag.append;

export class FlagsToSet {
  private readonly files: Flagged[] = [];
  private readonly directories = new Map<string, Flagged>();
  private readonly isRequested: boolean;

  constructor(
    private readonly target: RestoreTarget,
    isRequested: boolean,
  ) {
    this.isRequested = isRequested && !target.isDry;
  }

  /** Records the flags of an entry that is restored under a name in a directory. */
  add({ type, attributes }: HistoryEntry, directory: Buffer, name: Buffer): void {
    if (!this.isRequested || attributes === undefined) return;
    const flags = inodeFlags(attributes);
    if (flags === 0) return;
    const path = joinPath(directory, name);
    if (type === EntryType.directory) this.directories.set(keyOf(path), { path, flags });
    else if (type === EntryType.file) this.files.push({ path, flags });
  }

  /** True if a directory already has a flag that prevents changes, so that an earlier run has finished it. */
  isDone(path: Buffer): boolean {
    const wanted = this.directories.get(keyOf(path));
    return wanted !== undefined && (wanted.flags & BARRING & this.target.flagsOf(path)) !== 0;
  }

  /** Sets the recorded flags. `failed` contains the paths of entries that are incomplete. */
  set(
    failed: readonly Buffer[],
    attempt: (path: Buffer, work: () => FailedAttribute[]) => void,
  ): void {
    const names = new Set(failed.map(keyOf));
    const above = new Set(failed.flatMap((path) => directoriesAbove(path).map(keyOf)));
    for (const { path, flags } of [...this.files, ...[...this.directories.values()].toReversed()]) {
      const key = keyOf(path);
      if (names.has(key)) continue; // the failure of this path is reported already
      attempt(path, () => (above.has(key) ? notSet('EBUSY') : this.setOne(path, flags)));
    }
  }

  private setOne(path: Buffer, flags: number): FailedAttribute[] {
    try {
      this.target.setFlags(path, flags);
      return [];
    } catch (error) {
      const code = requireSystemCode(error);
      return notSet(code);
    }
  }
}

function notSet(code: string): FailedAttribute[] {
  return [{ name: FLAGS_OF_INODE, code }];
}

function keyOf(path: Buffer): string {
  return path.toString('latin1');
}

function directoriesAbove(path: Buffer): Buffer[] {
  const above: Buffer[] = [];
  for (let end = path.lastIndexOf(SLASH); end > 0; end = path.lastIndexOf(SLASH, end - 1)) {
    above.push(path.subarray(0, end));
  }
  return above;
}
