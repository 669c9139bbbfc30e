/** Rows that are inserted by one statement are those that a statement for each inserts, whatever bytes it is given. */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  contentIdOf,
  type Entry,
  EntryType,
  forEachRow,
  packAttributes,
  recordIdOf,
  RowFlag,
  RowReader,
} from '../../../src/model/index.js';
import { FRAME_ENTRY_BYTES } from '../../../src/store/index.js';
import { Catalog } from '../../../src/store/catalog/index.js';
import {
  NO_DIRECTORY,
  nodeSystem,
  type SqlDatabase,
  type SqlValue,
} from '../../../src/system/index.js';
import { entryOf, rowsOf, sha256 } from '../../helpers/rows.js';
import { scratchInMemory } from '../../helpers/scratch.js';

const SET = 3;
const attributes = packAttributes([{ name: Buffer.from('user.a'), value: Buffer.from('b') }]);
const ENTRIES: readonly Entry[] = [
  entryOf('file', {
    sizeBytes: 2 ** 53 - 1,
    digest: sha256('a'),
    flags: RowFlag.sparse | RowFlag.otherDevice,
  }),
  entryOf('empty', { attributes, flags: RowFlag.unsettled }),
  entryOf('directory', { type: EntryType.directory, sizeBytes: 2 }),
  entryOf('link', { type: EntryType.symlink, linkTarget: Buffer.from('far/away') }),
  entryOf('attributed link', { type: EntryType.symlink, linkTarget: Buffer.from('x'), attributes }),
  entryOf('device', { type: EntryType.blockDevice, device: 0x801n }),
  entryOf('attributed device', { type: EntryType.characterDevice, device: 5n, attributes }),
  entryOf(Buffer.from([0xff, 0xfe]), { type: EntryType.fifo, flags: RowFlag.changedWhileRead }),
];
const ROWS = rowsOf(...ENTRIES);

/** Returns the numbers of rows: their directory is 9, and their ids follow from their index. */
function placesOf(rows: Buffer): Float64Array {
  const reader = new RowReader(rows);
  const places: number[] = [];
  forEachRow(reader, (at) => {
    const content = reader.hasDigest(at) ? places.length + 1 : 0;
    places.push(9, content, reader.type(at) === EntryType.directory ? 77 : 0, at);
  });
  return Float64Array.from(places);
}

/** Returns a catalog's file after `write`. */
function written(t: ExecutionContext, write: (catalog: Catalog) => void): string {
  const file = path.join(scratchInMemory(t), 'tardis.db');
  const catalog = Catalog.openForWriting(nodeSystem(), file);
  catalog.begin();
  write(catalog);
  catalog.commit();
  catalog.close();
  return file;
}

function rowsIn(file: string, table: string): unknown[] {
  using database = nodeSystem().openDatabase(file, { readonly: true });
  return database.prepare(`SELECT * FROM ${table}`).all();
}

test('entries are those that are written one by one', (t) => {
  const places = placesOf(ROWS);
  const bulk = written(t, (catalog) => catalog.bulk.addEntries(ROWS, places, SET));
  const single = written(t, (catalog) => {
    const rows = new RowReader(ROWS);
    for (let at = 0; at < places.length; at += 4) {
      const [directory, contentId, childId, offset] = places.subarray(
        at,
        at + 4,
      ) as unknown as number[];
      const ids = {
        contentId: contentId ? contentIdOf(contentId) : undefined,
        childId: childId || undefined,
      };
      catalog.entries.put({ directory: directory!, set: SET, ...ids }, rows, offset!);
    }
  });
  t.is(rowsIn(bulk, 'entries').length, ENTRIES.length);
  t.deepEqual(rowsIn(bulk, 'entries'), rowsIn(single, 'entries'));
});

test('a row without a directory is left out, and a name that comes twice is replaced', (t) => {
  const places = placesOf(ROWS);
  places[4] = NO_DIRECTORY;
  const file = written(t, (catalog) => {
    catalog.bulk.addEntries(ROWS, places, SET);
    catalog.bulk.addEntries(ROWS, places, SET);
  });
  t.is(rowsIn(file, 'entries').length, ENTRIES.length - 1);
});

/** Returns the index of a frame with contents of the given sizes. */
function frameOf(sizes: readonly number[], kind: string): Buffer {
  const index = Buffer.alloc(sizes.length * FRAME_ENTRY_BYTES);
  sizes.forEach((bytes, at) => {
    sha256(`${kind} ${at}`).copy(index, at * FRAME_ENTRY_BYTES);
    index.writeUInt32LE(bytes, (at + 1) * FRAME_ENTRY_BYTES - 4);
  });
  return index;
}

test('contents are those that are written one by one, with consecutive ids', (t) => {
  const sizes = [5, 0xffff_ffff, 0, 2 << 20];
  const bulk = written(t, (catalog) => {
    t.is(catalog.bulk.addContents(frameOf(sizes, 'first'), recordIdOf(41)), contentIdOf(1));
    t.is(catalog.bulk.addContents(frameOf(sizes, 'second'), recordIdOf(42)), contentIdOf(5));
  });
  const single = written(t, (catalog) => {
    for (const [kind, record] of [
      ['first', 41],
      ['second', 42],
    ] as const) {
      let offset = 0;
      for (const [at, bytes] of sizes.entries()) {
        catalog.contents.add(sha256(`${kind} ${at}`), bytes, recordIdOf(record), offset);
        offset += bytes;
      }
    }
  });
  t.deepEqual(rowsIn(bulk, 'contents'), rowsIn(single, 'contents'));
});

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Values of `packed_entries` that are malformed. */
function wrongEntries(): [what: string, ...values: SqlValue[]][] {
  const places = placesOf(ROWS);
  const changed = (at: number, value: number): Uint8Array => bytesOf(places.with(at, value));
  const cut = Buffer.from(ROWS);
  cut.writeUInt32LE(ROWS.length + 1, 0);
  return [
    ['rows are cut off', ROWS.subarray(0, -1), bytesOf(places), SET],
    ['a row is longer than all', cut, bytesOf(places), SET],
    ['places are cut off', ROWS, bytesOf(places).subarray(1), SET],
    ['a place is missing', ROWS, bytesOf(places.subarray(4)), SET],
    [
      'a place is too many',
      ROWS,
      bytesOf(Float64Array.from([...places, 9, 0, 0, ROWS.length])),
      SET,
    ],
    ['no number', ROWS, changed(0, NaN), SET],
    ['a fraction', ROWS, changed(1, 1.5), SET],
    ['a negative id', ROWS, changed(1, -1), SET],
    ['a huge id', ROWS, changed(2, 2 ** 53), SET],
    ['another offset', ROWS, changed(7, 8), SET],
    ['text', 'rows', bytesOf(places), SET],
    ['nothing', null, null, SET],
    ['no set', ROWS, bytesOf(places), null],
    ['half a set', ROWS, bytesOf(places), 1.5],
  ];
}

function opened(t: ExecutionContext): SqlDatabase {
  const file = written(t, () => undefined);
  const database = nodeSystem().openDatabase(file, { readonly: false });
  t.teardown(() => void database.close());
  database.extend();
  return database;
}

test('malformed values are refused, and nothing of them is written', (t) => {
  const database = opened(t);
  const entries = database.prepare('INSERT INTO packed_entries VALUES (?, ?, ?)');
  for (const [what, ...values] of wrongEntries()) {
    t.throws(() => entries.run(...values), { message: 'a packed value is malformed' }, what);
  }
  const contents = database.prepare('INSERT INTO packed_contents VALUES (?, ?)');
  const index = frameOf([1, 2], 'a');
  for (const values of [
    [index.subarray(1), 1],
    [Buffer.alloc(0), 1],
    [index, -1],
    [index, null],
    ['x', 1],
  ] as SqlValue[][]) {
    t.throws(() => contents.run(...values), { message: 'a packed value is malformed' });
  }
  for (const table of ['entries', 'contents']) {
    t.deepEqual(database.prepare(`SELECT * FROM ${table}`).all(), [], table);
  }
});

test('the tables can only be inserted into, and by no schema', (t) => {
  const database = opened(t);
  t.deepEqual(database.prepare('SELECT * FROM packed_entries').all(), []);
  t.is(database.prepare('DELETE FROM packed_contents').run().changes, 0);
  database.exec(
    "CREATE TRIGGER bad AFTER INSERT ON roots BEGIN INSERT INTO packed_contents VALUES (x'00', 1); END",
  );
  t.throws(() => database.exec("INSERT INTO roots VALUES (1, x'2f', 1, '')"), {
    message: /unsafe use/,
  });
});

test('the error of an inner statement is that of the outer one', (t) => {
  const database = opened(t);
  database.exec('DROP TABLE contents');
  const contents = database.prepare('INSERT INTO packed_contents VALUES (?, ?)');
  t.throws(() => contents.run(frameOf([1], 'a'), 1), {
    message: /no such table: (?:main\.)?contents/,
  });
});
