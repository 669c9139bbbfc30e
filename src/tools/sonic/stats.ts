/** Implements `sonic stats`: prints the size of a client's store, and the space saved. */
import type { StoreFigures } from '../../history/index.js';
import type { Settings } from '../../config/index.js';
import { displayName, jsonName } from '../../model/index.js';
import { withReports } from '../opening/history.js';
import { unlockForNames } from '../opening/keys.js';
import { print, printJson } from '../output/output.js';
import { counted, formatBytes, formatCount, formatTable } from '../output/units.js';

export function stats(options: Settings<'sonic stats'>): Promise<void> {
  const { client, json } = options;
  return withReports({ ...options, unlock: unlockForNames }, async (history) => {
    const { numbers, busiest } = await history.reports.figures();
    const newest = (await history.sets()).at(-1)?.set ?? 0;
    const directories = busiest.map(({ directory }) => directory);
    const paths =
      directories.length === 0 ? [] : await history.reports.directoryPaths(newest, directories);
    const busy = busiest.map((one, index) => ({ ...one, path: paths[index] }));
    if (json) {
      const shown = busy.map(({ path, versions, bytes }) => ({
        ...(path === undefined ? {} : jsonName(path)),
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
    const rows = busy.map(({ path, versions, bytes }) => [
      formatBytes(bytes),
      counted(versions, 'version'),
      path === undefined ? '(no longer exists)' : displayName(path),
    ]);
    print(formatTable(rows, [0, 1]));
  });
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
    ['not needed', `${formatBytes(deadBytes)} (freed by sonic orphans or the server)`],
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
