/** Owners of restored entries, by name and by number. */
import test from 'ava';
import { BytesBuilder, metadataOf, RowReader } from '../../src/model/index.js';
import { OwnerMap } from '../../src/restore/index.js';
import { withNative } from '../helpers/inline.js';
import { rowOf } from '../helpers/rows.js';

/** A machine on which "ann" is user 7, and "staff" is group 8. */
const system = withNative(() => ({
  userId: (name) => (name.toString() === 'ann' ? 7 : undefined),
  groupId: (name) => (name.toString() === 'staff' ? 8 : undefined),
}));

const user = (id: number, name: string) => ({ isGroup: false, id, name: Buffer.from(name) });
const group = (id: number, name: string) => ({ isGroup: true, id, name: Buffer.from(name) });

test('an owner whose name exists here gets its number here, and any other keeps its own', (t) => {
  const map = new OwnerMap(system, [user(1000, 'ann'), user(1001, 'bob'), group(100, 'staff')]);
  t.deepEqual(map.of({ uid: 1000, gid: 100 }), { uid: 7, gid: 8 });
  t.deepEqual(map.of({ uid: 1001, gid: 101 }), { uid: 1001, gid: 101 });
});

test('users and groups of one number, or of one name, are not confused', (t) => {
  const map = new OwnerMap(system, [user(500, 'staff'), group(500, 'staff'), group(600, 'ann')]);
  t.deepEqual(map.of({ uid: 500, gid: 500 }), { uid: 500, gid: 8 });
  t.deepEqual(map.of({ uid: 600, gid: 600 }), { uid: 600, gid: 600 });
});

test('without names, all numbers stay', (t) => {
  t.deepEqual(new OwnerMap(system, []).of({ uid: 1000, gid: 100 }), { uid: 1000, gid: 100 });
});

test('a row gets the new owners, and nothing else of it changes', (t) => {
  const name = Buffer.from('file');
  const stored = rowOf(name, { uid: 1000, gid: 100 });
  const metadata = metadataOf(new RowReader(stored), 0);
  const rows = new BytesBuilder(0);
  new OwnerMap(system, [user(1000, 'ann'), group(100, 'staff')]).append(rows, metadata, name);
  new OwnerMap(system, []).append(rows, metadata, name);
  t.deepEqual(rows.take(), Buffer.concat([rowOf(name, { uid: 7, gid: 8 }), stored]));
});
