// Pace: slow
import path from 'node:path';
import { crc32 } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { type ContentId, EntryType } from '../../../src/model/index.js';
import { Catalog } from '../../../src/store/catalog/index.js';
import { nodeSystem } from '../../../src/system/index.js';
import {
  buildCommit,
  buildEvent,
  buildListing,
  buildRecord,
  Codec,
  listPacks,
  packName,
  PackWriter,
  recordBytes,
  RecordKind,
  type RecordKindNumber,
  scanPack,
  type StoreEvent,
} from '../../../src/store/index.js';
import { MemoryBackend } from '../../support/memory-backend.js';
import { configWith } from '../../helpers/client-configs.js';
import { rejectedCode } from '../../helpers/codes.js';
import { dumpCatalog, PackedStore, rebuild, sectionOf } from '../../helpers/packed-store.js';
import { entryOf, sha256 } from '../../helpers/rows.js';
import { scratchInMemory } from '../../helpers/scratch.js';

const directoryEntry = (name: string, inode: bigint) =>
  entryOf(name, { type: EntryType.directory, inode, birthTimeNs: inode * 10n });

const fileEntry = (name: string, content: string | Buffer, mtimeNs = 5n) =>
  entryOf(name, { digest: sha256(content), sizeBytes: content.length, mtimeNs });

/** Returns two paths for catalogs in a new folder. */
function places(t: ExecutionContext): { live: string; rebuilt: string } {
  const folder = scratchInMemory(t);
  return { live: path.join(folder, 'live.db'), rebuilt: path.join(folder, 'rebuilt.db') };
}

async function scanEverything(backend: MemoryBackend) {
  const found = [];
  for (const pack of await listPacks(backend)) {
    for await (const record of scanPack(backend, pack, 0)) found.push({ ...record, pack });
  }
  return found;
}

/** Replaces an object by the result of `change`, or by the buffer that `change` modified in place. */
async function spoil(
  backend: MemoryBackend,
  name: string,
  change: (bytes: Buffer) => Buffer | undefined,
): Promise<void> {
  const bytes = Buffer.alloc((await backend.size(name))!);
  await backend.read(name, 0, bytes, bytes.length);
  const changed = change(bytes) ?? bytes;
  await backend.remove(name);
  const writer = backend.create(name);
  writer.append(changed);
}

/** Writes three sets with all kinds of changes and contents, over several packs. */
async function writeHistory(store: PackedStore): Promise<void> {
  const first = store.openSet('first');
  store.frame(Buffer.from('one'), Buffer.from('two'));
  store.content(Buffer.alloc(9000, 1));
  store.change(
    first,
    1,
    [fileEntry('a', 'one'), fileEntry('b', 'two'), directoryEntry('sub', 50n)],
    [],
    [2],
  );
  await store.checkpoint();
  store.change(first, 2, [fileEntry('middle', Buffer.alloc(9000, 1)), entryOf('empty')]);
  store.event({
    type: 'notes',
    set: first,
    notes: [{ directory: 2, name: Buffer.from([0xff]), what: 'unreadable', reason: 'EACCES' }],
  });
  store.byAccount(Buffer.alloc(6000, 5), Buffer.from('sums of an account'));
  store.event({ type: 'by-account', set: first, account: 'robot', roots: [1] });
  const owners = [
    { isGroup: false, id: 7, name: Buffer.from('seven') },
    { isGroup: true, id: 7, name: Buffer.from([0xff]) },
  ];
  store.event({ type: 'owners', set: first, owners });
  store.closeSet(first);
  await store.checkpoint();

  const second = store.openSet('second');
  store.signature(Buffer.alloc(5000, 2), Buffer.from('before its content'));
  store.object(Buffer.alloc(5000, 2));
  store.signature(Buffer.alloc(9000, 1), Buffer.from('behind its content'));
  const whole = store.inParts(Buffer.alloc(700, 3), Buffer.alloc(300, 4));
  store.change(second, 1, [
    fileEntry('large', Buffer.alloc(5000, 2)),
    entryOf('parts', { digest: whole, sizeBytes: 1000 }),
    entryOf('link', { type: EntryType.symlink, linkTarget: Buffer.from([0xfe, 0x2f]) }),
  ]);
  await store.checkpoint(); // the set is interrupted here

  const third = store.openSet('third');
  store.change(third, 1, [fileEntry('a', 'two', 9n), directoryEntry('moved', 50n)], ['sub'], [2]);
  store.change(third, 2, [], ['middle']);
  const [seal, none, setSeal] = [Buffer.alloc(32, 7), Buffer.alloc(32), Buffer.alloc(40, 9)];
  store.event({
    type: 'seals',
    set: second,
    directories: [1, 2],
    seals: Buffer.concat([seal, seal]),
  });
  store.event({ type: 'seals', set: third, directories: [2], seals: none });
  store.event({ type: 'set-sealed', set: third, seal: setSeal });
  store.event({ type: 'set-configured', set: third, config: configWith('x') });
  store.event({ type: 'setting', key: 'SaveFull', value: 'yes' });
  const requested = { path: Buffer.from('/gone'), lastSet: 2, requestedAtMs: 1, dueAtMs: 2 };
  for (const id of [1, 2]) store.event({ type: 'forget-requested', id, ...requested });
  store.event({ type: 'forget-withdrawn', id: 1 });
  store.event({ type: 'removed', packs: [999], objects: [Buffer.alloc(32, 3)], atMs: 5 });
  store.closeSet(third);
  store.counters.directory = 2;
  await store.checkpoint();
}

test('a catalog made from the packs alone has what the lost one had', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live, undefined, 600);
  await writeHistory(store);
  store.close();
  t.true((await listPacks(store.backend)).length > 2);
  const report = await rebuild(rebuilt, store.backend);
  t.like(report, { commits: 4, damagedRecords: 0, counters: store.counters });
  const [wanted, found] = [dumpCatalog(live), dumpCatalog(rebuilt)];
  for (const table of Object.keys(wanted)) t.deepEqual(found[table], wanted[table], table);
  for (const [table, rows] of Object.entries(wanted)) {
    // These tables contain derived or temporary data, which no pack contains.
    const mayBeEmpty = ['unplaced_directories', 'skip_seals', 'pack_metadata'].includes(table);
    if (!mayBeEmpty) t.true(rows.length > 0, `the history has no ${table}`);
  }
});

test('an old catalog is brought up to the packs by the commits it lacks', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live, undefined, 600);
  const behind = await PackedStore.open(rebuilt, store.backend);
  behind.close();
  await writeHistory(store);
  store.close();
  const report = await rebuild(rebuilt, store.backend, false);
  t.is(report.commits, 4);
  t.deepEqual(dumpCatalog(rebuilt), dumpCatalog(live));
  t.like(await rebuild(rebuilt, store.backend, false), { commits: 0, point: report.point });
});

test('a commit the catalog did not hear of is applied at the next opening', async (t) => {
  const { live, rebuilt } = places(t);
  let store = await PackedStore.open(live);
  const set = store.openSet();
  store.frame(Buffer.from('one'));
  store.change(set, 1, [fileEntry('a', 'one')]);
  await store.checkpoint();
  store.change(set, 1, [fileEntry('b', 'one')]);
  await store.commitPacks();
  const counters = { ...store.counters };
  store = await store.crash();
  t.like(store.report, { commits: 1, damagedRecords: 0, counters });
  t.is(store.catalog.entries.versions(1, Buffer.from('b')).length, 1);
  store.close();
  await rebuild(rebuilt, store.backend);
  t.deepEqual(dumpCatalog(rebuilt), dumpCatalog(live));
});

test('what no commit covers never was, now and for ever', async (t) => {
  const { live, rebuilt } = places(t);
  let store = await PackedStore.open(live);
  const set = store.openSet();
  store.frame(Buffer.from('one'));
  store.change(set, 1, [fileEntry('a', 'one')]);
  await store.checkpoint();
  store.frame(Buffer.from('lost'));
  store.change(set, 1, [fileEntry('lost', 'lost'), directoryEntry('lost-too', 60n)], [], [7]);
  store = await store.crash();
  t.is(store.report.commits, 0);
  // The next session uses the same numbers for other entries.
  store.frame(Buffer.from('kept'));
  store.change(set, 1, [fileEntry('kept', 'kept'), directoryEntry('kept-too', 61n)], [], [7]);
  await store.checkpoint();
  store.change(set, 1, [fileEntry('later', 'kept')]);
  await store.checkpoint();
  store.close();

  for (const checkBodies of [true, false]) {
    const file = `${rebuilt}-${checkBodies}`;
    t.is((await rebuild(file, store.backend, checkBodies)).commits, 3);
    const dump = dumpCatalog(file);
    t.deepEqual(dump['entries'], dumpCatalog(live)['entries']);
    t.deepEqual(dump, dumpCatalog(live));
  }
});

test('a commit behind records of a crashed session is no less valid', async (t) => {
  const { live } = places(t);
  let store = await PackedStore.open(live);
  const set = store.openSet();
  await store.checkpoint();
  store.change(set, 1, [entryOf('lost')]);
  store = await store.crash();
  store.change(set, 1, [entryOf('kept')]);
  await store.commitPacks();
  store = await store.crash();
  t.is(store.report.commits, 1);
  t.deepEqual(
    store.catalog.entries.headNames(1, 9).map(({ name }) => name.toString()),
    ['kept'],
  );
  store.close();
});

test('a last commit whose ranges are not all there is given up', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live, undefined, 1 << 20);
  const set = store.openSet();
  store.change(set, 1, [entryOf('acknowledged')]);
  await store.checkpoint();
  const from = (await store.backend.size(packName(1)))!;
  store.frame(Buffer.from('content'));
  store.change(set, 1, [entryOf('in doubt')]);
  const commit = await store.commitPacks();
  store.catalog.abandon();

  // The fsync was cut short: one byte of the commit's range, every seventh in turn, did not reach the disk.
  for (let at = from; at < commit.position; at += 7) {
    const backend = new MemoryBackend();
    const bytes = Buffer.alloc((await store.backend.size(packName(1)))!);
    await store.backend.read(packName(1), 0, bytes, bytes.length);
    bytes[at]! ^= 0x55;
    backend.create(packName(1)).append(bytes);
    const report = await rebuild(`${rebuilt}-${at}`, backend, false);
    t.is(report.commits, 1, `byte ${at}`);
    t.is(report.lastPack, 1);
    t.true(report.counters.sequence < store.counters.sequence);
  }
  // An intact commit counts.
  t.is((await rebuild(rebuilt, store.backend, false)).commits, 2);
});

test('a part that a power cut left, and that nobody knows of, is no damage', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live, undefined, 1 << 20);
  const set = store.openSet();
  store.change(set, 1, [entryOf('told')]);
  await store.checkpoint();
  const from = (await store.backend.size(packName(1)))!;
  store.frame(Buffer.from('lost'));
  store.frame(Buffer.from('there'));
  const last = await store.commitPacks();
  store.catalog.abandon();
  /** Returns the first `bytes` bytes of the pack, with the header of the first uncommitted frame overwritten. */
  const spoiled = async (bytes: number): Promise<MemoryBackend> => {
    const backend = new MemoryBackend();
    const pack = Buffer.alloc(bytes);
    await store.backend.read(packName(1), 0, pack, bytes);
    pack.fill(0, from, from + 20);
    backend.create(packName(1)).append(pack);
    return backend;
  };
  // A record that no commit covers, after one that did not reach the disk.
  const uncovered = await rebuild(`${rebuilt}-1`, await spoiled(last.position));
  t.like(uncovered, { commits: 1, damagedRecords: 0, isMetadataLost: false });
  // The same with the commit record. The missing record is damage only if the catalog had recorded this commit.
  const whole = await spoiled(last.position + last.bytes);
  const unacknowledged = await rebuild(`${rebuilt}-2`, whole, true, 1);
  t.like(unacknowledged, { commits: 1, damagedRecords: 0, isMetadataLost: false });
  const reported = await rebuild(`${rebuilt}-3`, whole, true, 2);
  t.like(reported, { commits: 2, damagedRecords: 1, isMetadataLost: true });
  // The same with a commit record whose last bytes did not reach the disk.
  const torn = new MemoryBackend();
  const pack = Buffer.alloc(last.position + last.bytes);
  await store.backend.read(packName(1), 0, pack, pack.length);
  torn.create(packName(1)).append(pack.fill(0, pack.length - 5));
  for (const [known, damagedRecords] of [
    [1, 0],
    [2, 1],
    [undefined, 1],
  ] as const) {
    const report = await rebuild(`${rebuilt}-torn-${known}`, torn, true, known);
    t.like(report, { commits: 1, damagedRecords }, `${known}`);
  }
});

test('a pack that is lost takes no other with it', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live, undefined, 1);
  const set = store.openSet();
  store.frame(Buffer.from('lost'));
  store.change(set, 1, [entryOf('kept'), fileEntry('b', 'lost')]);
  await store.checkpoint();
  store.close();
  await store.backend.remove(packName(2)); // each record has a pack of its own
  await rebuild(rebuilt, store.backend);
  t.deepEqual(dumpCatalog(rebuilt)['entries'], dumpCatalog(live)['entries']);
});

test('a commit that was given up stays so when others follow', async (t) => {
  const { live, rebuilt } = places(t);
  let store = await PackedStore.open(live);
  const set = store.openSet();
  store.change(set, 1, [entryOf('acknowledged')]);
  await store.checkpoint();
  store.change(set, 1, [entryOf('given up'), directoryEntry('x', 70n)], [], [5]);
  store.frame(Buffer.from('content'));
  const { position } = await store.commitPacks();
  await spoil(store.backend, packName(1), (bytes) => {
    bytes[position - 1]! ^= 1;
    return undefined;
  });
  store = await store.crash();
  t.is(store.report.commits, 0);
  store.change(set, 1, [entryOf('kept'), directoryEntry('y', 71n)], [], [5]);
  await store.checkpoint();
  store.change(set, 1, [entryOf('later')]);
  await store.checkpoint();
  store.close();
  const names = store.backend;
  await rebuild(rebuilt, names);
  t.deepEqual(dumpCatalog(rebuilt), dumpCatalog(live));
});

test('a damaged commit in the middle takes nothing with it', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live, undefined, 1 << 20);
  const set = store.openSet();
  store.change(set, 1, [entryOf('a')]);
  await store.checkpoint();
  store.frame(Buffer.from('one'));
  store.change(set, 1, [fileEntry('b', 'one')]);
  const middle = await store.commitPacks();
  store.change(set, 1, [entryOf('c')]);
  await store.checkpoint();
  store.close();
  await spoil(store.backend, packName(1), (bytes) => {
    bytes[middle.position + middle.bytes - 1]! ^= 1;
    return undefined;
  });
  const report = await rebuild(rebuilt, store.backend);
  t.like(report, { damagedRecords: 1 });
  t.deepEqual(dumpCatalog(rebuilt)['entries'], dumpCatalog(live)['entries']);
  t.deepEqual(dumpCatalog(rebuilt)['contents'], dumpCatalog(live)['contents']);
});

test('records count in the order of their numbers, wherever they stand', async (t) => {
  const { live } = places(t);
  const backend = new MemoryBackend();
  const packs = new PackWriter(backend, 0, 1 << 20);
  const version = (name: string, mtimeNs: bigint, sequence: number): Buffer =>
    buildListing(sequence, [sectionOf(1, 1, [entryOf(name, { mtimeNs })])]);
  const gone = (name: string, sequence: number): Buffer =>
    buildListing(sequence, [sectionOf(1, 1, [], [name])]);
  for (const record of [
    version('a', 3n, 3),
    version('a', 1n, 1),
    gone('b', 5),
    version('b', 4n, 4),
    version('c', 7n, 7),
    gone('c', 6),
  ]) {
    packs.append(record);
  }
  const counters = { set: 1, root: 1, directory: 1, sequence: 8 };
  const ranges = packs.takeRanges();
  packs.appendCommit(buildCommit(8, { commit: 1, previous: 0, ranges, objects: [], counters }));
  await rebuild(live, backend);
  const { catalog } = await PackedStore.open(live, backend);
  const versions = ['a', 'b', 'c'].map((name) => catalog.entries.versions(1, Buffer.from(name)));
  t.deepEqual(
    versions.map((found) => found.map(({ mtimeNs }) => mtimeNs)),
    [[3n], [], [7n]],
  );
  catalog.close();
});

test('a content whose record is damaged is missing, and what names it knows', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live, undefined, 1 << 20);
  const set = store.openSet();
  store.frame(Buffer.from('whole'));
  store.content(Buffer.alloc(5000, 7));
  store.object(Buffer.alloc(6000, 8));
  store.change(set, 1, [
    fileEntry('whole', 'whole'),
    fileEntry('broken', Buffer.alloc(5000, 7)),
    fileEntry('broken-too', Buffer.alloc(6000, 8)),
  ]);
  store.closeSet(set);
  await store.checkpoint();
  store.close();
  const records = await scanEverything(store.backend);
  const content = records.find(({ header }) => header.kind === RecordKind.content)!;
  await spoil(store.backend, packName(content.pack), (bytes) => {
    bytes[content.position + recordBytes(content.header) - 1]! ^= 1;
    return undefined;
  });
  const [object] = (await store.backend.list('')).filter((name) => !name.startsWith('packs/'));
  await spoil(store.backend, object!, (bytes) => bytes.subarray(0, -1));

  const report = await rebuild(rebuilt, store.backend);
  t.like(report, { commits: 1, damagedRecords: 2 });
  const damaged = await PackedStore.open(rebuilt, store.backend);
  const isStored = (bytes: Buffer): boolean | undefined =>
    damaged.catalog.contents.find(sha256(bytes))?.isStored;
  t.true(isStored(Buffer.from('whole')));
  t.false(isStored(Buffer.alloc(5000, 7)));
  t.false(isStored(Buffer.alloc(6000, 8)));
  t.is(damaged.catalog.entries.headNames(1, 9).length, 3);
  // A content that is sent again is stored again.
  damaged.content(Buffer.alloc(5000, 7));
  t.true(isStored(Buffer.alloc(5000, 7)));
  damaged.close();
});

test('a damaged mark counts until the content was sent again', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live);
  const set = store.openSet();
  store.frame(Buffer.from('one'), Buffer.from('two'));
  store.change(set, 1, [fileEntry('a', 'one'), fileEntry('b', 'two')]);
  await store.checkpoint();
  store.event({ type: 'damage', digests: [sha256('one'), sha256('two'), sha256('unknown')] });
  await store.checkpoint();
  t.false(store.catalog.contents.find(sha256('one'))?.isStored);
  store.frame(Buffer.from('one'));
  await store.checkpoint();
  t.true(store.catalog.contents.find(sha256('one'))?.isStored);
  t.false(store.catalog.contents.find(sha256('two'))?.isStored);
  store.close();
  await rebuild(rebuilt, store.backend);
  t.deepEqual(dumpCatalog(rebuilt), dumpCatalog(live));
});

test('a record that is sound but makes no sense keeps no other from being used', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live);
  const set = store.openSet();
  const strange = (kind: RecordKindNumber, sequence = 0): void => {
    const header = { kind, codec: Codec.none, rawBytes: 3, sequence };
    store.packs.append(buildRecord(header, Buffer.from('index'), Buffer.from([0x93, 1, 2])));
  };
  strange(RecordKind.frame);
  strange(RecordKind.content);
  strange(RecordKind.assembly);
  strange(RecordKind.listing, store.nextSequence());
  strange(RecordKind.event, store.nextSequence());
  store.change(set, 1, [entryOf('a')]);
  await store.checkpoint();
  store.close();
  const report = await rebuild(rebuilt, store.backend);
  t.like(report, { commits: 1, damagedRecords: 5 });
  t.deepEqual(dumpCatalog(rebuilt), dumpCatalog(live));
});

test('a store of a later release is not half rebuilt', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live);
  store.openSet();
  await store.checkpoint();
  store.packs.append(strangeEvent(store.nextSequence()));
  await store.checkpoint();
  store.close();
  t.is(await rejectedCode(rebuild(rebuilt, store.backend)), 'STORE_NEWER');
});

test('a record of a kind from the future keeps a store from being half opened', async (t) => {
  const { live, rebuilt } = places(t);
  const store = await PackedStore.open(live);
  store.openSet();
  await store.checkpoint();
  const record = strangeEvent(store.nextSequence());
  record[KIND_AT] = 99;
  record.writeUInt32LE(crc32(record.subarray(0, HEADER_CHECKSUM_AT)), HEADER_CHECKSUM_AT);
  store.packs.append(record);
  await store.checkpoint();
  store.close();
  t.is(await rejectedCode(rebuild(rebuilt, store.backend)), 'STORE_NEWER');
});

/** Offsets in a record's header (docs/inside/formats.md). */
const KIND_AT = 5;
const HEADER_CHECKSUM_AT = 68;

/** Builds an event of an unknown type, as a later release could write it. */
function strangeEvent(sequence: number): Buffer {
  const event = { type: 'purge', set: 1 } as unknown as StoreEvent;
  return buildEvent(sequence, event);
}

test('a version whose part is lost, or rests on a lost basis, counts as broken', async (t) => {
  const { live } = places(t);
  const store = await PackedStore.open(live);
  const set = store.openSet();
  const [first, second, basis] = [3, 4, 5].map((byte) => Buffer.alloc(700, byte));
  store.content(basis!);
  const whole = store.inParts(first!, second!);
  const { catalog } = store;
  store.change(set, 1, [entryOf('parts', { digest: whole, sizeBytes: 1400 })]);
  store.closeSet(set);
  await store.checkpoint();
  const idOf = (content: Buffer): ContentId => catalog.contents.find(sha256(content))!.contentId;
  catalog.bases.set(idOf(second!), idOf(basis!));
  await store.checkpoint();
  t.is(catalog.history.brokenVersions, 0);
  store.close();
  for (const lost of [first!, second!, basis!]) {
    const database = nodeSystem().openDatabase(live, { readonly: false });
    const lose = database.prepare('UPDATE contents SET record_id = ? WHERE digest = ?');
    const recordOf = database.prepare('SELECT record_id FROM contents WHERE digest = ?').pluck();
    const record = recordOf.get(sha256(lost)) as number;
    lose.run(null, sha256(lost));
    const broken = Catalog.reading(nodeSystem(), live, ({ history }) => history.brokenVersions);
    t.is(broken, 1);
    lose.run(record, sha256(lost));
    database.close();
  }
});
