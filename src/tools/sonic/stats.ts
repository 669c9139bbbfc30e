/** Implements `sonic stats`: prints the size of a client's store, and the space saved. */
import {
  type BusyDirectory,
  type History,
  setsCovering,
  type StoreFigures,
} from '../../history/index.js';
import { defaultOf, type Settings } from '../../config/index.js';
import { type DirectoryId, displayName, jsonName } from '../../model/index.js';
import { withReports } from '../opening/history.js';
import { unlockForNames } from '../opening/keys.js';
import { isUnopened, SEALED_NAME } from '../shared/report-sets.js';
import { print, printJson } from '../output/output.js';
import { counted, formatBytes, formatCount, formatTable } from '../output/units.js';

export function stats(options: Settings<'sonic stats'>): Promise<void> {
  const { client, json } = options;
  return withReports({ ...options, unlock: unlockForNames }, async (history) => {
    const { numbers, busiest } = await history.reports.figures();
    const busy = await placed(history, busiest);
    if (json) {
      const shown = busy.map(({ path, isGone, isSealed, versions, bytes }) => ({
        ...(path === undefined || isSealed ? {} : jsonName(path)),
        isGone,
        isSealed,
        versions,
        bytes,
      }));
      const ratios = ratiosOf(numbers);
      printJson({ client, ...numbers, ...ratios, busiest: shown });
      return;
    }
    if (numbers.sets === 0) {
      print('No backup sets yet.');
      return;
    }
    print(formatTable(rowsOf(numbers), []));
    if (busy.length === 0) return;
    print('\nOlder versions of files use most space in:');
    const rows = busy.map((one) => [
      formatBytes(one.bytes),
      counted(one.versions, 'version'),
      shownPlace(one),
    ]);
    print(formatTable(rows, [0, 1]));
  });
}

/** A directory with its last known path; undefined if no set shows it. */
interface PlacedDirectory extends BusyDirectory {
  readonly path: Buffer | undefined;
  /** True if the newest set that has its root does not show it. */
  readonly isGone: boolean;
  readonly isSealed: boolean;
}

/** Returns the directories with their paths as of the newest set that shows each. */
async function placed(
  history: History,
  busiest: readonly BusyDirectory[],
): Promise<PlacedDirectory[]> {
  const sets = (await history.sets()).toReversed();
  const roots = await history.reports.rootsOfSets();
  const isSealed = sets.some((set) => isUnopened(history, set));
  const paths = new Map<DirectoryId, { path: Buffer; isGone: boolean }>();
  for (const [index, { set }] of sets.entries()) {
    const missing = busiest.map(({ directory }) => directory).filter((one) => !paths.has(one));
    if (missing.length === 0) break;
    const found = await history.reports.directoryPaths(set, missing);
    for (const [at, path] of found.entries()) {
      if (path === undefined) continue;
      const [newer] = setsCovering(roots, sets.slice(0, index), path);
      const isGone = newer !== undefined && (await history.find(path, newer)) === undefined;
      paths.set(missing[at]!, { path, isGone });
    }
  }
  const placed = busiest.map((one) => {
    const { path, isGone = true } = paths.get(one.directory) ?? {};
    return { ...one, path, isGone, isSealed };
  });
  // A directory within two roots is there twice, with the same versions.
  const shown = Map.groupBy(placed, ({ path, directory }) => path?.toString('latin1') ?? directory);
  return [...shown.values()].map(([largest]) => largest!);
}

function shownPlace({ path, isGone, isSealed }: PlacedDirectory): string {
  const name = path === undefined ? '' : isSealed ? SEALED_NAME : displayName(path);
  return `${name}${isGone ? ' (no longer exists)' : ''}`.trim();
}

/** Returns the ratios of deduplication and compression. A ratio is undefined if nothing is stored. */
function ratiosOf({ versionBytes, contentBytes, rawBytes, recordBytes }: StoreFigures['numbers']) {
  const ratio = (one: number, other: number): number | undefined =>
    other === 0 ? undefined : Math.round((one / other) * 100) / 100;
  return {
    dedupeRatio: ratio(versionBytes, contentBytes),
    compressionRatio: ratio(rawBytes, recordBytes),
  };
}

function rowsOf(numbers: StoreFigures['numbers']): string[][] {
  const { dedupeRatio, compressionRatio } = ratiosOf(numbers);
  const { packBytes, objectBytes, recordBytes, deadBytes, olderBytes } = numbers;
  const many = (count: number, bytes: number, what: string): string =>
    `${formatBytes(bytes)} in ${counted(count, what)}`;
  const otherBytes = Math.max(0, packBytes + objectBytes - recordBytes);
  const times = (ratio: number | undefined): string =>
    ratio === undefined ? '' : `, ${ratio} : 1`;
  return [
    ['packs', many(numbers.packs, packBytes, 'file')],
    ['objects', many(numbers.objects, objectBytes, 'file')],
    ['  contents', many(numbers.records, recordBytes, 'record')],
    ['  listings, other', formatBytes(otherBytes)],
    [
      'not needed',
      `${formatBytes(deadBytes)} (freed by sonic orphans or the server where it is ${defaultOf('wastePercent')} % of a pack, or --waste)`,
    ],
    ['only older sets', `${formatBytes(olderBytes)} (deleting all but the newest would free it)`],
    ['catalog', formatBytes(numbers.catalogBytes)],
    ['sets', formatCount(numbers.sets)],
    [
      'versions',
      `${formatCount(numbers.versions)} of all entries, ${formatCount(numbers.openVersions)} current`,
    ],
    ['contents', `${formatCount(numbers.contents)}, including ${counted(numbers.deltas, 'delta')}`],
    [
      'deduplicated',
      `${formatBytes(numbers.versionBytes)} of versions to ${formatBytes(numbers.contentBytes)} of contents${times(dedupeRatio)}`,
    ],
    [
      'compressed',
      `${formatBytes(numbers.rawBytes)} to ${formatBytes(recordBytes)}${times(compressionRatio)}`,
    ],
  ];
}
