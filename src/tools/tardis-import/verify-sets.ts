/** Implements `tardis-import --verify`: compares sets with the states that they came from. */
import type { Settings } from '../../config/index.js';
import type { BackupSet, History } from '../../history/index.js';
import { displayName, displayText, deviceOf, joinPath, liesBelow } from '../../model/index.js';
import {
  type Compared,
  compareTrees,
  Contents,
  DiskSide,
  isDifference,
  type Seen,
  SetSide,
} from '../../restore/diff/index.js';
import { nodeSystem } from '../../system/index.js';
import { openAdministered } from '../opening/history.js';
import { counted, formatBytes, formatCount } from '../output/units.js';
import {
  aspectsText,
  jsonDifference,
  jsonNotCompared,
  kindOf,
} from '../shared/report-differences.js';
import { print, printJson } from '../output/output.js';
import { complain } from '../output/command-names.js';
import type { State, StateRoot } from './import-sources.js';

/** Lines about one set that are printed; --json prints all. */
const MAX_SHOWN = 100;
/** Files that are remembered as compared, so that a file of many states is read once. They take about 100 MB. */
const MAX_COMPARED = 1_000_000;

/** Counts of one set. */
interface Counts {
  /** Files that were read in the source; those of an earlier set that are still the same are counted beside. */
  files: number;
  bytes: number;
  known: number;
  differing: number;
}

/** The sets that were compared, and what the store has of each file. */
export class Verification implements Disposable {
  private readonly system = nodeSystem();
  private history: History | undefined;
  /** Contents that files of the source were found to have, by file and change time. */
  private compared = new Map<string, number>();
  private differing = 0;

  constructor(
    private readonly settings: Settings<'tardis'>,
    private readonly signal: AbortSignal,
  ) {}

  /** True if something was not equal. */
  get hasFound(): boolean {
    return this.differing > 0;
  }

  /** Reports a state that the store has no set of. */
  missing({ shown, name }: State): void {
    this.differing += 1;
    if (this.settings.json) {
      printJson({ verified: { source: shown, setName: name } });
    } else print(`${shown}: the store has no set "${displayText(name)}"`);
  }

  /**
   * Compares each entry and content of a set with its state, and prints the differences. Throws the errors of opening the
   * client.
   */
  async compare({ shown: source, name }: State, roots: readonly StateRoot[]): Promise<void> {
    const history = await this.opened();
    const set = (await history.sets()).find(
      (one) => one.firstName === name && one.state === 'complete',
    )!;
    const counts: Counts = { files: 0, bytes: 0, known: 0, differing: 0 };
    const report = (one: Compared): void => {
      counts.differing += 1;
      if (this.settings.json) print(isDifference(one) ? jsonDifference(one) : jsonNotCompared(one));
      else if (counts.differing <= MAX_SHOWN) print(`${source}: ${textOf(one)}`);
    };
    for await (const one of this.differences(history, set, roots, counts)) {
      report({ ...one, path: pathInSet(one.path, roots) });
    }
    this.differing += counts.differing;
    if (this.settings.json) {
      const verified = { set: set.set, setName: name, source, ...counts };
      printJson({ verified });
    } else printCounts(source, set, counts);
  }

  private async *differences(
    history: History,
    { set }: BackupSet,
    roots: readonly StateRoot[],
    counts: Counts,
  ): AsyncGenerator<Compared, void> {
    const { system, signal } = this;
    using contents = new Contents(system, history, true);
    const before = new SetSide({ history, set, other: undefined });
    yield* compareTrees({
      system,
      before,
      after: new DiskSide(system),
      contents: { areSame: (one, other) => this.areSame(contents, one, other, counts) },
      paths: roots.map(({ keptAs, directory }) => ({ before: keptAs, after: directory })),
      recurse: true,
      entersOnly: false,
      metadata: true,
      signal,
    });
    for (const path of await before.roots()) {
      if (roots.some(({ keptAs }) => keptAs.equals(path))) continue;
      yield { path, before: await before.find(path), after: undefined, aspects: [] };
    }
  }

  /** True if two files have the same content. A file that was compared with this content before is not read again. */
  private async areSame(
    contents: Contents,
    stored: Seen,
    disk: Seen,
    counts: Counts,
  ): Promise<boolean> {
    const { inode, ctimeNs, sizeBytes } = disk.entry;
    const file = `${deviceOf(disk.listed!.directory)} ${inode} ${ctimeNs} ${sizeBytes}`;
    const { contentId } = stored.stored!;
    if (contentId !== undefined && this.compared.get(file) === contentId) {
      counts.known += 1;
      return true;
    }
    counts.files += 1;
    counts.bytes += sizeBytes;
    const isSame = await contents.areSame(stored, disk);
    if (isSame && contentId !== undefined) {
      if (this.compared.size === MAX_COMPARED) this.compared.clear();
      this.compared.set(file, contentId);
    }
    return isSame;
  }

  /** Runs work that writes to the store, while no comparison holds its catalog. */
  async whileWriting<T>(work: () => Promise<T>): Promise<T> {
    return this.history?.whileWriting?.(work) ?? work();
  }

  private async opened(): Promise<History> {
    const warn = (line: string): void => complain('tardis-import', line);
    const settings = { ...this.settings, throughServer: undefined };
    return (this.history ??= await openAdministered(this.system, settings, warn));
  }

  [Symbol.dispose](): void {
    this.history?.close();
  }
}

/** Returns the path in the set of an entry that only the source has, or that could not be read there. */
function pathInSet(path: Buffer, roots: readonly StateRoot[]): Buffer {
  for (const { directory, keptAs } of roots) {
    if (path.equals(directory)) return keptAs;
    if (liesBelow(path, directory)) return joinPath(keptAs, path.subarray(directory.length + 1));
  }
  return path;
}

function textOf(one: Compared): string {
  const name = displayName(one.path);
  if (!isDifference(one)) return displayText(`not compared: ${name}: ${one.error.message}`);
  const kind = kindOf(one);
  if (kind === 'added') return `not in the set: ${name}`;
  return kind === 'removed'
    ? `only in the set: ${name}`
    : `differs: ${name} (${aspectsText(one, () => true)})`;
}

function printCounts(source: string, { set }: BackupSet, counts: Counts): void {
  const { files, bytes, known, differing } = counts;
  if (differing > MAX_SHOWN)
    print(`… and ${formatCount(differing - MAX_SHOWN)} more; --json lists all.`);
  const read = `${counted(files, 'file')} read (${formatBytes(bytes)}), ${formatCount(known)} known`;
  const result = differing === 0 ? 'equal' : counted(differing, 'difference');
  print(`Compared set ${set} with ${source}: ${result}; ${read}.`);
}
