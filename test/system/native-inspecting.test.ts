/** The addon inspects the rows of a listing: it counts, marks and finds what a walk needs, with the identities of directories. */
import test from 'ava';
import * as fc from 'fast-check';
import {
  decodeRow,
  EntryType,
  forEachRow,
  IDENTITY_BYTES,
  identityBelow,
  identityIn,
  MountState,
  RowFlag,
  RowReader,
} from '../../src/model/index.js';
import { anyName, entryOf, rowsOf } from '../helpers/rows.js';
import { native } from '../helpers/native.js';

const FROM_NS = 1_700_000_000_000_000_000n;

const entries = fc.array(
  fc
    .record({
      name: anyName,
      type: fc.constantFrom(...Object.values(EntryType)),
      flags: fc.constantFrom(
        0,
        RowFlag.otherDevice,
        RowFlag.unreadable,
        RowFlag.unreadable | RowFlag.unknownType,
      ),
      sizeBytes: fc.constantFrom(0, 1, MountState.empty, 2 ** 40 + 7),
      ctimeNs: fc.constantFrom(-1n, 0n, FROM_NS - 1n, FROM_NS, FROM_NS + 1n),
      uid: fc.constantFrom(0, 7, 0xffff_fffe),
      gid: fc.constantFrom(0, 9),
      inode: fc.bigInt(1n, 2n ** 64n - 1n),
      permissions: fc.constantFrom(0o755, 0o7777),
    })
    .map(({ name, ...entry }) => {
      const isDirectory = entry.type === EntryType.directory;
      const sizeBytes = isDirectory ? Math.min(entry.sizeBytes, MountState.empty) : entry.sizeBytes;
      return entryOf(name, { ...entry, sizeBytes });
    }),
);
/** Identities with all parts, of a directory without one above it on its device, and of one on an unknown device. */
const identities = fc
  .tuple(
    fc.uint8Array({ minLength: IDENTITY_BYTES, maxLength: IDENTITY_BYTES }),
    fc.constantFrom([0, 0], [32, 40], [0, 8]),
  )
  .map(([identity, [from, to]]) => identity.fill(0, from, to));

/** Returns the numbers in the addon's result, list by list. */
function inspected(listing: Buffer, fromNs: bigint, directory: Uint8Array) {
  const found = native.inspectRows(listing, fromNs, directory);
  const numbers = [...new Uint32Array(found.buffer, found.byteOffset, found.length >>> 2)];
  const [low, high, entries, isSettled, ...counts] = numbers.splice(0, 8);
  const [directories, unreadable, owners] = counts.map((count) => numbers.splice(0, count));
  const identitiesAt = found.length - directories!.length * IDENTITY_BYTES;
  return {
    fileBytes: high! * 2 ** 32 + low!,
    entries,
    isSettled: isSettled === 1,
    directories,
    unreadable,
    owners: owners!,
    identities: found.subarray(identitiesAt),
  };
}

test('the addon finds in a listing what a look at each row finds', (t) => {
  fc.assert(
    fc.property(entries, identities, (given, directory) => {
      const listing = rowsOf(...given);
      const before = new RowReader(Buffer.from(listing));
      const found = inspected(listing, FROM_NS, directory);
      const readable = given.filter(({ flags }) => (flags & RowFlag.unreadable) === 0);
      const files = readable.filter(({ type }) => type === EntryType.file);
      t.is(found.entries, given.length);
      t.is(
        found.fileBytes,
        files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      );
      const isOld = readable.every(({ ctimeNs }) => ctimeNs < FROM_NS);
      t.is(found.isSettled, isOld && readable.length === given.length);
      const [directories, unreadable]: number[][] = [[], []];
      const rows = new RowReader(listing);
      forEachRow(before, (at) => {
        const was = decodeRow(before, at);
        const isUnreadable = (was.flags & RowFlag.unreadable) !== 0;
        const isRacy = !isUnreadable && was.ctimeNs >= FROM_NS;
        const kept = isUnreadable ? was.flags & ~RowFlag.unknownType : was.flags;
        t.is(rows.flags(at), kept | (isRacy ? RowFlag.unsettled : 0));
        if (isUnreadable) unreadable!.push(at);
        else if (was.type === EntryType.directory) directories!.push(at);
      });
      t.deepEqual(found.directories, directories);
      t.deepEqual(found.unreadable, unreadable);
      for (const [index, at] of directories!.entries())
        t.deepEqual(identityIn(found.identities, index), identityBelow(before, at, directory));
      const pairs = given.map(({ uid, gid }) => `${uid} ${gid}`);
      const others = pairs.filter((pair, index) => pair !== pairs[index - 1]);
      t.deepEqual(found.owners, others.join(' ').split(' ').filter(Boolean).map(Number));
    }),
  );
});

test('a time beyond 64 bits makes everything settled, or everything unsettled', (t) => {
  const directory = new Uint8Array(IDENTITY_BYTES);
  const listing = (): Buffer =>
    rowsOf(entryOf('a', { ctimeNs: 2n ** 62n }), entryOf('b', { ctimeNs: -(2n ** 62n) }));
  for (const limitNs of [2n ** 63n, 2n ** 64n, 2n ** 90n])
    t.true(inspected(listing(), limitNs, directory).isSettled);
  for (const limitNs of [0n, -(2n ** 63n), -(2n ** 64n), -(2n ** 90n)])
    t.false(inspected(listing(), limitNs, directory).isSettled);
});

test('malformed rows and identities are refused', (t) => {
  const row = rowsOf(entryOf('row'));
  const directory = new Uint8Array(IDENTITY_BYTES);
  for (const rows of [row.subarray(0, 71), row.subarray(1), Buffer.concat([row, Buffer.alloc(1)])])
    t.throws(() => native.inspectRows(rows, 0n, directory), { code: 'EINVAL' });
  t.throws(() => native.inspectRows(row, 0n, directory.subarray(1)), { code: 'EINVAL' });
});
