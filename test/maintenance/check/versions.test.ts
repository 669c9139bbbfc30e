/** The paths of damaged versions are found however deep they are, and in catalogs that make no sense. */
import test from 'ava';
import { contentIdOf } from '../../../src/model/index.js';
import { VersionNames } from '../../../src/maintenance/check/index.js';
import type { CatalogAudit, ContentVersion } from '../../../src/store/catalog/index.js';

const CONTENT = contentIdOf(1);

interface Row {
  readonly directory: number;
  readonly name: string;
  readonly child?: number;
  readonly firstSet?: number;
  readonly lastSet?: number;
}

/** Returns the paths and sets that are named for the only content of a catalog with these rows, and two sets. */
function named(rows: readonly Row[]): string[] {
  const held = ({ directory, name, firstSet = 1, lastSet }: Row): ContentVersion =>
    ({ directory, name: Buffer.from(name), firstSet, lastSet, sizeBytes: 5 }) as ContentVersion;
  const audit = {
    catalog: {
      sets: {
        listed: () => [{ set: 1 }, { set: 2 }],
        rootsOf: () => [{ root: 7, path: Buffer.from('/root') }],
      },
    },
    versionsOf: () => rows.filter(({ child }) => child === undefined).map(held),
    waysTo: (directory: number) => rows.filter(({ child }) => child === directory).map(held),
  } as unknown as CatalogAudit;
  const names = new VersionNames(audit, undefined);
  return [...names.of(CONTENT)].map(({ path, sets }) => `${path.toString()} ${sets.join()}`);
}

const ROOT: Row = { directory: 0, name: '7', child: 1 };

test('the version of a file is named by its paths in all sets', (t) => {
  const rows = [
    ROOT,
    { directory: 1, name: 'before', child: 2, lastSet: 1 },
    { directory: 1, name: 'after', child: 2, firstSet: 2 },
    { directory: 2, name: 'file' },
  ];
  t.deepEqual(named(rows), ['/root/before/file 1', '/root/after/file 2']);
});

test('a file is named however deep it is', (t) => {
  const depth = 3000;
  const rows = Array.from({ length: depth }, (_, index) => ({
    directory: index + 1,
    name: 'd',
    child: index + 2,
  }));
  const file = { directory: depth + 1, name: 'file' };
  t.deepEqual(named([ROOT, ...rows, file]), [`/root${'/d'.repeat(depth)}/file 1,2`]);
});

test('a circle of directories ends, and what it leads to is named', (t) => {
  const twice = (row: Row): Row[] => [
    { ...row, lastSet: 1 },
    { ...row, firstSet: 2 },
  ];
  const rows = [
    ROOT,
    { directory: 1, name: 'a', child: 2 },
    ...twice({ directory: 2, name: 'b', child: 3 }),
    ...twice({ directory: 3, name: 'c', child: 4 }),
    ...twice({ directory: 4, name: 'circle', child: 2 }),
    { directory: 4, name: 'file' },
    { directory: 2, name: 'other' },
  ];
  t.deepEqual(named(rows), ['/root/a/b/c/file 1,2', '/root/a/other 1,2']);
  t.deepEqual(named(rows.toReversed()).sort(), ['/root/a/b/c/file 1,2', '/root/a/other 1,2']);
  const lost = [
    { directory: 9, name: 'x', child: 9 },
    { directory: 9, name: 'file' },
  ];
  t.deepEqual(named([ROOT, ...lost]), []);
});
