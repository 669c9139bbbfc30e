import { Packr } from 'msgpackr';
import test from 'ava';
import * as fc from 'fast-check';
import { EntryType, type EntryTypeNumber } from '../../src/model/index.js';
import {
  buildCommit,
  buildEvent,
  buildListing,
  buildRecord,
  Codec,
  type CommitBody,
  encode,
  encodedBound,
  type ListingSection,
  type ParsedRecord,
  parseRecord,
  readCommit,
  readEvent,
  readListing,
  RecordKind,
  type StoreEvent,
} from '../../src/store/index.js';
import { thrownCode } from '../helpers/codes.js';
import { anyEntry, anyName, entryOf, rowOf, rowsOf, sha256 } from '../helpers/rows.js';

const packr = new Packr({ useRecords: false });

/** Returns an event record with a valid checksum around any body, as a hostile writer could make it. */
function eventRecord(body: unknown): ParsedRecord {
  return around(packr.pack(body));
}

function around(body: Buffer, more: { codec?: 0 | 1; rawBytes?: number } = {}): ParsedRecord {
  const { codec = Codec.none, rawBytes = body.length } = more;
  return parseRecord(
    buildRecord({ kind: RecordKind.event, codec, rawBytes }, Buffer.alloc(0), body),
  );
}

const CLOSED_AT_MS = 1_700_000_100_000;
const EVENTS: readonly StoreEvent[] = [
  {
    type: 'set-opened',
    set: 3,
    name: 'Backup-3 «ä»',
    openedAtMs: 1_700_000_000_123,
    clientTimeMs: -5,
    roots: [
      { root: 1, path: Buffer.from('/'), directory: 2 },
      { root: 2, path: Buffer.from([0x2f, 0xff, 0xfe]), directory: 9 },
    ],
  },
  { type: 'set-closed', set: 3, closedAtMs: CLOSED_AT_MS, stats: { files: 5, bytes: 2 ** 50 } },
  {
    type: 'notes',
    set: 3,
    notes: [
      { directory: 7, name: Buffer.from([0xff]), what: 'unreadable', reason: 'EACCES' },
      { directory: 7, name: Buffer.from('b'), what: 'vanished', reason: 'ENOENT' },
    ],
  },
  {
    type: 'owners',
    set: 3,
    owners: [
      { isGroup: true, id: 0xffff_ffff, name: Buffer.from([0xff]) },
      { isGroup: true, id: 0, name: Buffer.alloc(0) },
    ],
  },
  { type: 'damage', digests: [sha256('a'), sha256('b')] },
];

test('every event comes back as it was written', (t) => {
  for (const [at, event] of EVENTS.entries()) {
    const record = parseRecord(buildEvent(at + 1, event));
    t.is(record.header.kind, RecordKind.event);
    t.is(record.header.sequence, at + 1);
    t.deepEqual(readEvent(record), event);
  }
});

test('an event this release does not know is of a newer store', (t) => {
  for (const type of ['set-dropped', 'purge', 'x'.repeat(5000), '__proto__', 'toString', '']) {
    const code = thrownCode(() => readEvent(eventRecord({ type, set: 1 })));
    t.is(code, 'STORE_NEWER', type.slice(0, 20));
  }
});

/** Values that are invalid as a whole number, a text, bytes and a list. */
const WRONG = [
  undefined,
  null,
  -1,
  1.5,
  Number.NaN,
  2 ** 60,
  true,
  {},
  [null],
  [[]],
  2n ** 64n - 1n,
];

/** Yields copies of a value in which one part, at any depth, is replaced by each of the wrong values. */
function* spoiled(value: unknown): Generator<unknown> {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return;
  for (const key of Object.keys(value)) {
    const part = (value as Record<string, unknown>)[key];
    const put = (wrong: unknown): unknown =>
      Array.isArray(value)
        ? value.map((item: unknown, at) => (String(at) === key ? wrong : item))
        : { ...value, [key]: wrong };
    for (const wrong of WRONG) if (wrong !== part) yield put(wrong);
    yield put(typeof part === 'string' ? Buffer.from(part) : 'text');
    for (const inner of spoiled(part)) yield put(inner);
  }
}

test('an event with a part of a wrong kind is damage, whichever part it is', (t) => {
  let tried = 0;
  for (const event of EVENTS) {
    for (const wrong of spoiled(event)) {
      const { type } = wrong as Partial<StoreEvent>;
      // An event of another type may be one of a newer store.
      if (type !== event.type || isAllowed(wrong as Record<string, unknown>)) continue;
      tried += 1;
      const code = thrownCode(() => readEvent(eventRecord(wrong)));
      if (code !== 'RECORD_DAMAGED') t.fail(`${code}: ${describe(wrong)}`);
    }
  }
  t.true(tried > 200, `${tried}`);
});

test('a root may have its device, in words', (t) => {
  const opened = EVENTS.find((event) => event.type === 'set-opened')!;
  const rootOn = (device: unknown): unknown => ({
    ...opened,
    roots: [{ root: 1, path: Buffer.from('/'), directory: 2, device }],
  });
  t.deepEqual(readEvent(eventRecord(rootOn('2049'))), rootOn('2049') as StoreEvent);
  for (const device of [2049, null, Buffer.from('2049'), ['2049']]) {
    t.is(
      thrownCode(() => readEvent(eventRecord(rootOn(device)))),
      'RECORD_DAMAGED',
    );
  }
});

/** True if the changed event is valid: any time may be before 1970, and any number may be a statistic. */
function isAllowed({ openedAtMs, clientTimeMs, closedAtMs, set, stats }: Record<string, unknown>) {
  if ([openedAtMs, clientTimeMs, closedAtMs].includes(-1)) return true;
  if (set !== 3 || closedAtMs !== CLOSED_AT_MS || typeof stats !== 'object') return false;
  const counts = Object.values(stats ?? [true]);
  // A bigint that was written is read as a number.
  const isCount = (count: unknown): boolean => typeof count === 'bigint' || Number.isFinite(count);
  return !Array.isArray(stats) && counts.every(isCount);
}

function describe(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? `${part}n` : part,
  );
}

const NOT_MSGPACK = [
  Buffer.alloc(0),
  Buffer.from([0xc1]),
  Buffer.from([0x81]),
  Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]),
  Buffer.from([0xc6, 0xff, 0xff, 0xff, 0xff]),
  Buffer.alloc(100_000, 0x91),
  Buffer.concat([packr.pack({ type: 'damage', digests: [] }), Buffer.alloc(3)]),
];

test('a body that is no message at all is damage, and claims are not believed', (t) => {
  const before = process.memoryUsage();
  for (const body of NOT_MSGPACK) {
    for (const read of [readEvent, readListing, readCommit]) {
      t.is(
        thrownCode(() => read(around(body))),
        'RECORD_DAMAGED',
        body.subarray(0, 8).toString('hex'),
      );
    }
  }
  for (const value of [null, 7, 'text', [], [7], [null], {}, { type: 7 }]) {
    for (const read of [readEvent, readCommit]) {
      const code = thrownCode(() => read(eventRecord(value)));
      t.is(code, 'RECORD_DAMAGED', describe(value));
    }
  }
  const after = process.memoryUsage();
  t.true(after.arrayBuffers + after.heapTotal - before.arrayBuffers - before.heapTotal < 64 << 20);
});

test('a metadata record may not decode to more than one can have', (t) => {
  const raw = packr.pack([]);
  const body = Buffer.alloc(encodedBound(Codec.zstd, raw.length));
  const packed = body.subarray(0, encode(Codec.zstd, 1, raw, body, 0));
  t.deepEqual(readListing(around(packed, { codec: Codec.zstd, rawBytes: raw.length })), []);
  for (const rawBytes of [raw.length + 1, (64 << 20) + 1, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    const code = thrownCode(() => readListing(around(packed, { codec: Codec.zstd, rawBytes })));
    t.is(code, 'RECORD_DAMAGED', `${rawBytes}`);
  }
});

const SECTION: ListingSection = {
  set: 2,
  root: 1,
  directory: 5,
  rows: rowsOf(entryOf('file', { sizeBytes: 3 }), entryOf('sub', { type: EntryType.directory })),
  children: [8],
  removed: [Buffer.from([0xff]), Buffer.from('gone')],
  closed: false,
};

test('a listing comes back as it was written', (t) => {
  const sections = fc.array(
    fc
      .record({
        set: fc.nat(),
        root: fc.nat(),
        directory: fc.maxSafeNat(),
        entries: fc.array(anyEntry, { maxLength: 5 }),
        removed: fc.array(anyName, { maxLength: 5 }),
        closed: fc.boolean(),
      })
      .map(({ entries, ...section }) => ({
        ...section,
        rows: rowsOf(...entries),
        children: entries.filter(({ type }) => type === EntryType.directory).map((_, at) => at + 1),
      })),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(sections, fc.maxSafeNat(), (written, sequence) => {
      const record = parseRecord(buildListing(sequence, written));
      t.is(record.header.kind, RecordKind.listing);
      t.is(record.header.sequence, sequence);
      t.deepEqual(readListing(record), written);
    }),
  );
});

test('a listing with a part of a wrong kind is damage', (t) => {
  let tried = 0;
  t.deepEqual(readListing(eventRecord([SECTION])), [SECTION]);
  for (const wrong of spoiled([SECTION])) {
    const [section] = wrong as [Partial<ListingSection> | null];
    if (section?.closed !== false && typeof section?.closed === 'boolean') continue;
    tried += 1;
    const code = thrownCode(() => readListing(eventRecord(wrong)));
    if (code !== 'RECORD_DAMAGED') t.fail(`${code}: ${describe(wrong)}`);
  }
  t.true(tried > 80, `${tried}`);
});

test('a listing has one id for each directory in it, and sound rows', (t) => {
  const cut = SECTION.rows.subarray(0, -1);
  const wrongs: Partial<ListingSection>[] = [
    { children: [] },
    { children: [8, 9] },
    { rows: rowOf('file'), children: [8] },
    { rows: cut },
    { rows: rowOf('a/b'), children: [] },
    { rows: rowOf('..'), children: [] },
    { rows: rowOf('x', { type: 9 as EntryTypeNumber }), children: [] },
  ];
  for (const wrong of wrongs) {
    const code = thrownCode(() => readListing(eventRecord([{ ...SECTION, ...wrong }])));
    t.is(code, 'RECORD_DAMAGED', describe(wrong));
  }
});

const COMMIT: CommitBody = {
  commit: 12,
  previous: 0xffff_ffff,
  ranges: [
    { pack: 1, from: 100, to: 2 ** 33, checksum: 0xffff_ffff },
    { pack: 2, from: 0, to: 50, checksum: 0 },
  ],
  objects: [{ digest: sha256('object'), bytes: 2 ** 40 }],
  counters: { set: 3, root: 1, directory: 99, sequence: 2 ** 40 },
};

test('a commit comes back as it was written, a wrong one is damage', (t) => {
  const record = parseRecord(buildCommit(77, COMMIT));
  t.is(record.header.kind, RecordKind.commit);
  t.is(record.header.sequence, 77);
  t.deepEqual(readCommit(record), COMMIT);
  let tried = 0;
  for (const wrong of spoiled(COMMIT)) {
    tried += 1;
    const code = thrownCode(() => readCommit(eventRecord(wrong)));
    if (code !== 'RECORD_DAMAGED') t.fail(`${code}: ${describe(wrong)}`);
  }
  t.true(tried > 150, `${tried}`);
});
