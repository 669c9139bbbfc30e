/** Implements `sonic files`: lists the changes of a backup set. */
import {
  type History,
  type HistoryEntry,
  type BackupSet,
  FIRST_PLACE,
  setNamed,
} from '../../history/index.js';
import type { Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import {
  type DirectoryId,
  displayName,
  EntryType,
  joinPath,
  jsonName,
  type SetNumber,
  splitRoot,
} from '../../model/index.js';
import { withReports } from '../opening/history.js';
import { print, printJson } from '../output/output.js';
import { chosenSets } from './set-choice.js';
import { counted, formatBytes, formatTime } from '../output/units.js';

type FilesOptions = Settings<'sonic files'>;
type What = 'added' | 'changed' | 'gone';

/** Number of entries requested at once. */
const PAGE_ENTRIES = 2048;
const SIGNS: Readonly<Record<What, string>> = { added: '+', changed: '~', gone: '-' };
const SIZE_CHARS = 10;

/** A name with a different entry in the two sets. */
interface Change {
  readonly what: What;
  /** The entry in the newer set; undefined if it is gone. */
  readonly now: HistoryEntry | undefined;
  readonly before: HistoryEntry | undefined;
}

export function files(options: FilesOptions): Promise<void> {
  return withReports(options, async (history) => {
    const sets = await history.sets();
    for (const [index, [set, before]] of setsToCompare(options, sets).entries()) {
      if (index > 0 && !options.json) print('');
      await new FileReport(history, set, before, options).print();
    }
  });
}

/**
 * Returns the sets to show, each with the set to compare it with; undefined if there is no earlier set. Throws
 * NO_SUCH_SET, USAGE.
 */
function setsToCompare(
  { client, setsToShow, recentSet, since }: FilesOptions,
  sets: readonly BackupSet[],
): [set: BackupSet, before: BackupSet | undefined][] {
  const words = setsToShow.length === 0 ? [recentSet] : setsToShow;
  const chosen = chosenSets(client, sets, words, recentSet);
  if (since === undefined) {
    return chosen.map((set) => [set, sets.findLast((one) => one.set < set.set)]);
  }
  const before = setNamed(client, sets, since === recentSet ? undefined : since);
  return chosen.map((set) => {
    if (before.set < set.set) return [set, before];
    throw usageError(`--since: set ${before.set} is not before set ${set.set}`);
  });
}

class FileReport {
  private readonly counts = { added: 0, changed: 0, gone: 0 };
  private readonly bytes = { added: 0, changed: 0, gone: 0 };
  private readonly paths = new Map<DirectoryId, Buffer | undefined>();
  /** Paths of roots by their numbers, which are the names of the roots' own entries. */
  private readonly roots = new Map<string, Buffer>();
  private shownDirectory: DirectoryId | undefined;

  constructor(
    private readonly history: History,
    private readonly set: BackupSet,
    private readonly before: BackupSet | undefined,
    private readonly options: FilesOptions,
  ) {}

  async print(): Promise<void> {
    const { set, before } = { set: this.set.set, before: this.before?.set ?? 0 };
    for (const { root, path } of await this.history.roots(set)) {
      this.roots.set(String(root), splitRoot(path).directory);
    }
    for (let after = FIRST_PLACE; ; ) {
      const page = { set, before, after, limit: PAGE_ENTRIES };
      const { entries, next } = await this.history.reports.changes(page);
      const changes = changesIn(entries, set).filter((change) => this.isPrinted(change));
      await this.findPaths(changes);
      for (const change of changes) this.printChange(change);
      if (next === undefined) break;
      after = next;
    }
    if (this.options.json) this.printTotals();
    else print(this.summary());
  }

  private isPrinted({ now, before }: Change): boolean {
    const isDirectory = (now ?? before)!.type === EntryType.directory;
    return !isDirectory || this.options.withDirectories;
  }

  /**
   * Looks up the paths of the changes' directories. A directory that is gone has its path from the set before. Paths
   * that the present page does not need are removed from memory.
   */
  private async findPaths(changes: readonly Change[]): Promise<void> {
    const directories = new Set(changes.map(({ now, before }) => (now ?? before)!.directory));
    for (const known of this.paths.keys()) if (!directories.has(known)) this.paths.delete(known);
    const missing = [...directories].filter((one) => !this.paths.has(one));
    await this.lookUp(this.set.set, missing);
    const gone = missing.filter((one) => this.paths.get(one) === undefined);
    if (this.before !== undefined) await this.lookUp(this.before.set, gone);
  }

  private async lookUp(set: SetNumber, directories: readonly DirectoryId[]): Promise<void> {
    if (directories.length === 0) return;
    const paths = await this.history.reports.directoryPaths(set, directories);
    directories.forEach((directory, index) => this.paths.set(directory, paths[index]));
  }

  private printChange(change: Change): void {
    const { what, now, before } = change;
    const entry = (now ?? before)!;
    this.counts[what] += 1;
    if (entry.type === EntryType.file) this.bytes[what] += entry.sizeBytes;
    if (this.options.json) printJson(this.jsonOf(change, entry));
    else this.printLine(change, entry);
  }

  /** Returns the path of an entry. A root's own entry has the path of the root. */
  private pathOf({ directory, name }: HistoryEntry): Buffer {
    const root = directory === ROOTS ? this.roots.get(name.toString('latin1')) : undefined;
    if (root !== undefined) return root;
    const above = this.paths.get(directory);
    return above === undefined ? Buffer.concat([LOST, name]) : joinPath(above, name);
  }

  private printLine(change: Change, entry: HistoryEntry): void {
    const { fullPath } = this.options;
    if (!fullPath && this.shownDirectory !== entry.directory) {
      const above = displayName(this.paths.get(entry.directory) ?? LOST);
      const title = entry.directory === ROOTS ? 'roots' : above;
      print(`${this.shownDirectory === undefined ? '' : '\n'}${title}:`);
      this.shownDirectory = entry.directory;
    }
    const isWhole = fullPath || entry.directory === ROOTS;
    const name = displayName(isWhole ? this.pathOf(entry) : entry.name);
    print(`${SIGNS[change.what]} ${this.columns(change, entry)} ${name}`);
  }

  private columns({ now, before }: Change, entry: HistoryEntry): string {
    const { longReport, exactSizes, withChecksums, withInodes } = this.options;
    const size = (one: HistoryEntry | undefined): string => {
      if (one === undefined || one.type !== EntryType.file) return '';
      return exactSizes ? String(one.sizeBytes) : formatBytes(one.sizeBytes);
    };
    const columns = [size(before).padStart(SIZE_CHARS), '→', size(now).padStart(SIZE_CHARS)];
    if (longReport) {
      const mode = entry.permissions.toString(8).padStart(4, '0');
      const time = formatTime(Number(entry.mtimeNs / 1_000_000n));
      columns.push(mode, `${entry.uid}:${entry.gid}`.padEnd(SIZE_CHARS), time);
    }
    if (withInodes) columns.push(String(entry.inode).padStart(SIZE_CHARS));
    if (withChecksums) columns.push(entry.digest?.toString('hex') ?? '-'.padEnd(DIGEST_CHARS));
    return columns.join(' ');
  }

  private jsonOf({ what, now, before }: Change, entry: HistoryEntry): Record<string, unknown> {
    const entryJson = (one: HistoryEntry | undefined): Record<string, unknown> | undefined =>
      one && {
        sizeBytes: one.sizeBytes,
        permissions: one.permissions.toString(8).padStart(4, '0'),
        uid: one.uid,
        gid: one.gid,
        mtimeNs: String(one.mtimeNs),
        inode: String(one.inode),
        digest: one.digest?.toString('hex'),
      };
    const type = Object.entries(EntryType).find(([, number]) => number === entry.type)?.[0];
    const path = jsonName(this.pathOf(entry));
    const { set } = this.set;
    return { set, what, ...path, type, now: entryJson(now), before: entryJson(before) };
  }

  private printTotals(): void {
    const { set, before, counts, bytes } = this;
    const totals = { set: set.set, since: before?.set ?? null, counts, bytes };
    printJson({ totals });
  }

  private summary(): string {
    const { counts, bytes, set, before } = this;
    const since = before === undefined ? 'the first set' : `since set ${before.set}`;
    const of = (what: What): string => `${counts[what]} ${what} (${formatBytes(bytes[what])})`;
    const all = counts.added + counts.changed + counts.gone;
    const line = `set ${set.set}, ${since}: ${counted(all, 'change')}: ${of('added')}, ${of('changed')}, ${of('gone')}`;
    return all === 0 ? line : `\n${line}`;
  }
}

/** Number of the pseudo-directory that contains the roots' own entries. */
const ROOTS = 0;
/** Stands for a path that is in neither set, for example after damage. */
const LOST = Buffer.from('?');
const DIGEST_CHARS = 64;

/** Returns the changes in a list of versions. Two versions of one name, which follow each other, are one change. */
function changesIn(entries: readonly HistoryEntry[], set: SetNumber): Change[] {
  const changes: Change[] = [];
  let last: HistoryEntry | undefined;
  for (const entry of entries) {
    const isNow = entry.lastSet === undefined || entry.lastSet >= set;
    const isSame = last?.directory === entry.directory && last.name.equals(entry.name);
    const other = isSame ? changes.pop() : undefined;
    const now = isNow ? entry : other?.now;
    const before = isNow ? other?.before : entry;
    const what = now === undefined ? 'gone' : before === undefined ? 'added' : 'changed';
    changes.push({ what, now, before });
    last = entry;
  }
  return changes;
}
