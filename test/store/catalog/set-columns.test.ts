/** Statistics and marks of sets as columns of the catalog. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { NO_MARKS, type SetMarks } from '../../../src/model/index.js';
import { Catalog, CatalogAudit } from '../../../src/store/catalog/index.js';
import { plainPackr } from '../../../src/system/msgpack/index.js';
import { nodeSystem, type SqlValue } from '../../../src/system/index.js';
import { scratch } from '../../helpers/scratch.js';

const MARKS: SetMarks = {
  title: 'before the move',
  priority: -7,
  isLocked: true,
  isExpendable: false,
  tags: ['a', 'b'],
};
const STATS = { entries: 3, scannedBytes: 2 ** 40, stretchMs: -1.5 };

const UNREADABLE = { what: 'statistics or marks of a set cannot be read', rows: 1 };

/** Returns the path of a catalog with one set that has statistics and marks. */
function catalogWithSet(t: ExecutionContext): string {
  const file = path.join(scratch(t), 'tardis.db');
  const catalog = Catalog.openForWriting(nodeSystem(), file);
  catalog.begin();
  catalog.sets.open(1, 'first', 10, 20);
  catalog.sets.complete(1, 30, STATS);
  catalog.sets.mark(1, MARKS);
  catalog.commit();
  catalog.close();
  return file;
}

function change(file: string, column: string, value: SqlValue): void {
  const database = nodeSystem().openDatabase(file, { readonly: false });
  database.prepare(`UPDATE backup_sets SET ${column} = ?`).run(value);
  database.close();
}

function audited(file: string): { faults: unknown[]; set: unknown } {
  const audit = CatalogAudit.open(nodeSystem(), file);
  const faults = audit.inconsistencies();
  const { stats, marks } = audit.catalog.sets.find(1)!;
  audit.close();
  return { faults, set: { stats, marks } };
}

test('statistics and marks are read as they were written, in their order', (t) => {
  const { faults, set } = audited(catalogWithSet(t));
  t.deepEqual(set, { stats: STATS, marks: MARKS });
  t.deepEqual(Object.keys((set as { stats: object }).stats), Object.keys(STATS));
  t.deepEqual(faults, []);
});

test('a set without statistics and marks has NULL in both columns, and no fault', (t) => {
  const file = catalogWithSet(t);
  for (const column of ['stats', 'marks']) change(file, column, null);
  t.deepEqual(audited(file), { faults: [], set: { stats: {}, marks: NO_MARKS } });
});

const packr = plainPackr();
const BROKEN: readonly (readonly [what: string, column: string, value: SqlValue])[] = [
  ['statistics end in the middle', 'stats', packr.pack(STATS).subarray(0, 9)],
  ['statistics are a list', 'stats', packr.pack([1, 2])],
  ['statistics are of no numbers', 'stats', packr.pack({ entries: 'three' })],
  ['statistics are JSON', 'stats', '{"entries":3}'],
  [
    'statistics are larger than any',
    'stats',
    packr.pack({ entries: 3, more: 'x'.repeat(1 << 17) }),
  ],
  ['marks are not there', 'marks', Buffer.alloc(0)],
  ['marks lack a field', 'marks', packr.pack({ ...MARKS, tags: undefined })],
  ['marks have a number in place of a title', 'marks', packr.pack({ ...MARKS, title: 5 })],
];

for (const [what, column, value] of BROKEN) {
  test(`a check reports that ${what}, and readers get nothing of it`, (t) => {
    const file = catalogWithSet(t);
    change(file, column, value);
    const { faults, set } = audited(file);
    t.deepEqual(faults, [UNREADABLE]);
    const { stats, marks } = set as { stats: Record<string, number>; marks: SetMarks };
    if (column === 'marks') t.deepEqual(marks, NO_MARKS);
    else t.true(Object.values(stats).every((stat) => Number.isFinite(stat)));
  });
}
