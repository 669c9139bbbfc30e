// Pace: slow
/** Packed pages that the addon opens, beside a reference in plain Node: sound ones, and hostile ones. */
import test from 'ava';
import * as fc from 'fast-check';
import { createDecipheriv, createHash, createHmac } from 'node:crypto';
import { SealSum, TreeSealer } from '../../src/crypto/index.js';
import { systemCode } from '../../src/errors/index.js';
import {
  appendRow,
  attributesOf,
  BytesBuilder,
  type Entry,
  EntryType,
  linkTargetOf,
  METADATA_FLAGS_AT,
  metadataFault,
  metadataOf,
  readAttributes,
  RowFlag,
  RowReader,
  SEAL_BYTES,
} from '../../src/model/index.js';
import { nodeSystem, type SealingCalls } from '../../src/system/index.js';
import { type Choose, chooser } from '../helpers/random-tree.js';
import { anyEntry, rowsOf } from '../helpers/rows.js';

const KEY_BYTES = 32;
const SEAL_VALUE_BYTES = 2 * SEAL_BYTES;
const MAX_NAME_BYTES = 0xffff;
const TWO_256 = 2n ** 256n;
const [NAME_LABEL, LINK_LABEL, ATTRIBUTES_LABEL] = [0, 1, 2];
const [NUL, ESCAPE, DOT, SLASH] = [0, 1, 0x2e, 0x2f];
/** The bytes that two bytes stand for, by the first and the second one. */
const ESCAPES: Readonly<Record<number, readonly (number | undefined)[]>> = {
  [ESCAPE]: [undefined, NUL, ESCAPE],
  [DOT]: [undefined, DOT, SLASH],
};

interface PackedRow {
  readonly name: Buffer;
  readonly metadata: Buffer;
  /** The sets, flags and ids, as the page has them. */
  readonly numbers: string;
  readonly childId: number;
  readonly contentId: number;
}

type SealKeys = ConstructorParameters<typeof TreeSealer>[2];

interface ReferencePage {
  readonly count: number;
  readonly children: readonly { readonly id: number; readonly place: Buffer }[];
  readonly hashes: Buffer;
  readonly page: Buffer;
}

function hmac(key: Uint8Array, ...data: readonly Uint8Array[]): Buffer {
  const sum = createHmac('sha256', key);
  for (const bytes of data) sum.update(bytes);
  return sum.digest();
}

const CALLS = {
  mac: (key, data, at, bytes, out, outAt, outBytes) => {
    hmac(key, data.subarray(at, at + bytes)).copy(out, outAt, 0, outBytes);
  },
  addMacs: (key, data, each, sum) => {
    for (let at = 0; at < data.length; at += each) {
      const mac = hmac(key, data.subarray(at, at + each));
      const both = (numberOf(sum) + numberOf(mac)) % TWO_256;
      sum.set(Buffer.from(both.toString(16).padStart(64, '0'), 'hex').reverse());
    }
  },
} as Pick<SealingCalls, 'mac' | 'addMacs'> as SealingCalls;

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}

/** Returns the entries of a packed page; undefined if it is malformed. */
function rowsIn(page: Buffer): PackedRow[] | undefined {
  const text = page.toString('latin1');
  const [head, count, sound] = /^(\d+),(\d+);/.exec(text) ?? [];
  if (head === undefined || BigInt(count!) !== BigInt(sound!)) return undefined;
  const rows: PackedRow[] = [];
  let at = head.length;
  for (let left = BigInt(count!); left > 0n; left -= 1n) {
    const form = /(\d+),(\d+),(\d+),(\d*),(\d+),(\d*),(\d*);/y;
    form.lastIndex = at;
    const [given, ...fields] = form.exec(text) ?? [];
    if (given === undefined) return undefined;
    const [nameBytes, metadataBytes, firstSet, lastSet, flags, contentId, childId] =
      fields.map(Number);
    const ids = [fields[3]!, fields[5]!, fields[6]!];
    const areIds = ids.every((field) => field === '' || Number(field) > 0);
    const numbers = `${firstSet},${lastSet || ''},${flags},${contentId || ''},${childId || ''};`;
    if (!areIds || !fields.map(Number).every(Number.isSafeInteger)) return undefined;
    const nameAt = at + given.length;
    const metadataAt = nameAt + nameBytes!;
    at = metadataAt + metadataBytes!;
    if (at > page.length) return undefined;
    const name = page.subarray(nameAt, metadataAt);
    const metadata = page.subarray(metadataAt, at);
    rows.push({ name, metadata, numbers, childId: childId!, contentId: contentId! });
  }
  return at === page.length ? rows : undefined;
}

function unescaped(sealed: Buffer): Buffer | undefined {
  const bytes: number[] = [];
  for (let at = 0; at < sealed.length; at += 1) {
    const byte = sealed[at]!;
    if (byte === NUL || byte === SLASH) return undefined;
    if (byte !== ESCAPE && byte !== DOT) {
      bytes.push(byte);
      continue;
    }
    at += 1;
    const pair = ESCAPES[byte]![sealed[at] ?? 0];
    if (pair === undefined) return undefined;
    bytes.push(pair);
  }
  return Buffer.from(bytes);
}

function openBytes(keys: Uint8Array, label: number, sealed: Buffer): Buffer | undefined {
  const bytes = label === ATTRIBUTES_LABEL ? sealed : unescaped(sealed);
  if (bytes === undefined || bytes.length < SEAL_BYTES) return undefined;
  const vector = bytes.subarray(0, SEAL_BYTES);
  const cipher = createDecipheriv('aes-256-ctr', keys.subarray(KEY_BYTES), vector);
  const opened = Buffer.concat([cipher.update(bytes.subarray(SEAL_BYTES)), cipher.final()]);
  const mac = hmac(keys.subarray(0, KEY_BYTES), Buffer.from([label]), opened);
  return mac.subarray(0, SEAL_BYTES).equals(vector) ? opened : undefined;
}

class ReferenceSealer {
  private readonly tree: TreeSealer;
  private readonly nameKeys: Uint8Array;

  constructor(nameKeys: Uint8Array, keys: SealKeys) {
    this.nameKeys = nameKeys;
    this.tree = new TreeSealer(CALLS, nameKeys, keys);
  }

  listing(sum: SealSum): Buffer {
    return this.tree.listing(sum);
  }

  openListing(
    page: Buffer,
    place: Buffer,
    sum: SealSum,
    sorts: boolean,
  ): ReferencePage | undefined {
    const rows = rowsIn(page);
    if (rows === undefined || rows.some((row) => !this.isSound(row))) return undefined;
    const opened = rows.map((row) => this.open(row, sum));
    const sound = opened.flatMap((one) => one ?? []);
    if (sound.length < rows.length) return undefined;
    const children = rows
      .filter(({ childId }) => childId > 0)
      .map(({ childId, name }) => ({ id: childId, place: this.tree.place(place, name) }));
    if (sorts) sound.sort((one, other) => Buffer.compare(one.name, other.name));
    const count = sound.length;
    const head = Buffer.from(`${count},${count}${sorts ? ';' : ':'}`);
    const hashes = Buffer.concat(sound.map(({ content }) => content));
    const bytes = Buffer.concat([head, ...sound.map((one) => one.bytes)]);
    return { count, children, hashes, page: bytes };
  }

  private isSound({ name, metadata }: PackedRow): boolean {
    if (name.length > MAX_NAME_BYTES || metadataFault(metadata) !== undefined) return false;
    return attributesOf(metadata) !== undefined;
  }

  private open(packed: PackedRow, sum: SealSum) {
    const { name: sealedName, metadata, numbers, childId, contentId } = packed;
    const [seal, hidden, ...others] = readAttributes(attributesOf(metadata));
    if (seal?.name.toString() !== 'seal' || seal.value.length !== SEAL_VALUE_BYTES)
      return undefined;
    if (others.length > 0 || (hidden && hidden.name.toString() !== 'sealed')) return undefined;
    const hiddenBytes = hidden?.value ?? Buffer.alloc(0);
    const row = new BytesBuilder(1);
    appendRow(row, metadata, sealedName);
    const content = seal.value.subarray(SEAL_BYTES);
    const hash =
      hiddenBytes.length === 0
        ? Buffer.alloc(SEAL_BYTES)
        : createHash('sha256').update(hiddenBytes).digest().subarray(0, SEAL_BYTES);
    const unlisted = Buffer.concat([content, hash]);
    const stored = seal.value.subarray(0, SEAL_BYTES);
    if (!this.tree.sealOf(row.view(), unlisted).equals(stored)) return undefined;
    this.tree.addEntry(stored, sum);
    const target = linkTargetOf(metadata);
    const name = openBytes(this.nameKeys, NAME_LABEL, sealedName);
    const link = target.length === 0 ? target : openBytes(this.nameKeys, LINK_LABEL, target);
    const attributes =
      hiddenBytes.length === 0
        ? hiddenBytes
        : openBytes(this.nameKeys, ATTRIBUTES_LABEL, Buffer.from(hiddenBytes));
    if (name === undefined || link === undefined || attributes === undefined) return undefined;
    if (content.some((byte) => byte !== 0) !== contentId > 0) return undefined;
    if ((metadata[0] === EntryType.directory) !== childId > 0) return undefined;
    const isDevice =
      metadata[0] === EntryType.characterDevice || metadata[0] === EntryType.blockDevice;
    const fixed = Buffer.from(metadata.subarray(0, isDevice ? 64 : 56));
    fixed[METADATA_FLAGS_AT]! &= ~RowFlag.hasDigest;
    const linkBytes = Buffer.alloc(hiddenBytes.length === 0 ? 0 : 2);
    if (linkBytes.length === 0) fixed[METADATA_FLAGS_AT]! &= ~RowFlag.hasAttributes;
    else linkBytes.writeUInt16LE(link.length);
    const opened = Buffer.concat([fixed, linkBytes, link, attributes]);
    const lengths = `${name.length},${opened.length},${numbers}`;
    return { name, content, bytes: Buffer.concat([Buffer.from(lengths), name, opened]) };
  }
}

const { native } = nodeSystem();
const PLACE = Buffer.alloc(16, 0x11);
const SOUND_RUNS = 300;
const HOSTILE_RUNS = 6000;

function keysFrom(byte: number): { names: Buffer; keys: SealKeys } {
  const key = (offset: number, bytes = 32): Buffer =>
    Buffer.from(Array.from({ length: bytes }, (_, at) => (byte * 31 + offset * 7 + at) & 0xff));
  const [places, listings, proofs, sets] = [key(3), key(4), key(5), key(6)];
  return { names: key(1, 64), keys: { entries: key(2, 64), places, listings, proofs, sets } };
}

const OWN = keysFrom(1);
const tree = new TreeSealer(native, OWN.names, OWN.keys);
const reference = new ReferenceSealer(OWN.names, OWN.keys);

/** An entry of a page. */
interface Row {
  name: Buffer;
  metadata: Buffer;
  childId: string;
  contentId: string;
  /** The first and the last set, and the flags. */
  sets: string;
}

/** Seals entries, and adds their seals to `sum`. */
function sealed(entries: readonly Entry[], sum: SealSum): Row[] {
  const reader = new RowReader(tree.rows(rowsOf(...entries), entries.length, sum));
  let at = 0;
  return entries.map(({ type, digest }, index) => {
    const name = Buffer.from(reader.name(at));
    const metadata = Buffer.from(metadataOf(reader, at));
    at += reader.rowBytes(at);
    const childId = type === EntryType.directory ? `${index + 5}` : '';
    const sets = `${index + 1},${index % 2 === 0 ? '' : index + 2},${index}`;
    return { name, metadata, childId, contentId: digest === undefined ? '' : `${index + 9}`, sets };
  });
}

/** Returns rows as the catalog packs them, at the end of their memory. */
function pageOf(rows: readonly Row[], head = `${rows.length},${rows.length};`): Buffer {
  const parts = rows.flatMap(({ name, metadata, childId, contentId, sets }) => [
    Buffer.from(`${name.length},${metadata.length},${sets},${contentId},${childId};`),
    name,
    metadata,
  ]);
  return Buffer.from(new Uint8Array(Buffer.concat([Buffer.from(head), ...parts])).buffer);
}

/** Only devices have a device number in the catalog. */
function stored(entry: Entry): Entry {
  const { characterDevice, blockDevice } = EntryType;
  const isDevice = entry.type === characterDevice || entry.type === blockDevice;
  return isDevice ? entry : { ...entry, device: 0n };
}

const someEntry = anyEntry.map(stored);
const entriesOfOne = fc.uniqueArray(someEntry, {
  maxLength: 12,
  selector: ({ name }) => name.toString('latin1'),
});

/** Opens a page in both ways, which must agree; returns it, and the seal of a listing with these entries. */
function open(
  t: { deepEqual(one: unknown, other: unknown): unknown },
  page: Buffer,
  { sealer = tree, sorts = true } = {},
) {
  const [sum, wantedSum] = [new SealSum(), new SealSum()];
  const range = { value: page, from: 0, bytes: page.length };
  const opened = sealer.openListing(range, PLACE, sum, sorts);
  const wanted = sealer === tree ? reference.openListing(page, PLACE, wantedSum, sorts) : undefined;
  t.deepEqual(opened?.page, wanted?.page);
  t.deepEqual(opened?.children, wanted?.children);
  t.deepEqual(opened?.hashes, wanted?.hashes);
  if (opened === undefined) return undefined;
  t.deepEqual(sum.bytes, wantedSum.bytes);
  t.deepEqual(opened.count, wanted!.count);
  return { ...opened, seal: tree.listing(sum) };
}

test('sound pages are opened as the reference opens them, sorted by their names', (t) => {
  fc.assert(
    fc.property(entriesOfOne, (entries) => {
      const sum = new SealSum();
      const rows = sealed(entries, sum);
      const opened = open(t, pageOf(rows));
      t.is(opened?.count, entries.length);
      t.deepEqual(opened!.seal, reference.listing(sum));
      const names = entries.map(({ name }) => name).sort(Buffer.compare);
      let at = 0;
      for (const name of names) {
        at = opened!.page.indexOf(name, at);
        t.true(at >= 0);
      }
      t.is(
        opened!.children.length,
        entries.filter(({ type }) => type === EntryType.directory).length,
      );
    }),
    { numRuns: SOUND_RUNS },
  );
});

test('without sorting, entries keep their order, and the page says so', (t) => {
  fc.assert(
    fc.property(entriesOfOne, (entries) => {
      const rows = sealed(entries, new SealSum());
      const opened = open(t, pageOf(rows), { sorts: false });
      let at = opened!.page.indexOf(':');
      t.is(opened!.page.toString('latin1', 0, at), `${entries.length},${entries.length}`);
      for (const { name } of entries) {
        at = opened!.page.indexOf(name, at + 1);
        t.true(at > 0);
      }
    }),
    { numRuns: SOUND_RUNS },
  );
});

test('other keys open nothing', (t) => {
  fc.assert(
    fc.property(entriesOfOne, (entries) => {
      const page = pageOf(sealed(entries, new SealSum()));
      const other = keysFrom(2);
      const isEmpty = entries.length === 0;
      const range = { value: page, from: 0, bytes: page.length };
      for (const [names, keys] of [
        [other.names, OWN.keys],
        [OWN.names, { ...OWN.keys, entries: other.keys.entries }],
      ] as const) {
        const opened = new TreeSealer(native, names, keys).openListing(range, PLACE, new SealSum());
        t.is(opened !== undefined, isEmpty);
      }
    }),
    { numRuns: SOUND_RUNS },
  );
});

/** Changes of rows, as a store could make them. All leave a page whose form is sound. */
const CHANGES: readonly ((rows: Row[], choose: Choose) => void)[] = [
  (rows, choose) => rows.splice(choose(rows.length), 1),
  (rows, choose) => rows.push({ ...rows[choose(rows.length)]! }),
  (rows, choose) => swap(rows, choose, 'name'),
  (rows, choose) => swap(rows, choose, 'metadata'),
  (rows, choose) => swap(rows, choose, 'childId'),
  (rows, choose) => swap(rows, choose, 'contentId'),
  (rows, choose) =>
    (rows[choose(rows.length)]!.childId = ['', '0', '7', '00', `${2 ** 53}`][choose(5)]!),
  (rows, choose) =>
    (rows[choose(rows.length)]!.contentId = ['', '0', '7', '-1', '1.5'][choose(5)]!),
  (rows, choose) => flip(rows[choose(rows.length)]!.name, choose),
  (rows, choose) => flip(rows[choose(rows.length)]!.metadata, choose),
  (rows, choose) => {
    const row = rows[choose(rows.length)]!;
    row.metadata = row.metadata.subarray(0, choose(row.metadata.length));
  },
  (rows, choose) => {
    const row = rows[choose(rows.length)]!;
    row.metadata = Buffer.concat([row.metadata, Buffer.alloc(1 + choose(60), choose(256))]);
  },
];

function swap(rows: Row[], choose: Choose, field: keyof Row): void {
  const [one, other] = [choose(rows.length), choose(rows.length)];
  const [first, second] = [{ ...rows[one]! }, { ...rows[other]! }];
  rows[one] = { ...rows[one]!, [field]: second[field] };
  rows[other] = { ...rows[other]!, [field]: first[field] };
}

function flip(bytes: Buffer, choose: Choose): void {
  if (bytes.length > 0) bytes[choose(bytes.length)]! ^= 1 << choose(8);
}

const KINDS = [EntryType.file, EntryType.directory, EntryType.symlink, EntryType.blockDevice];

function someEntries(choose: Choose): Entry[] {
  return Array.from({ length: 1 + choose(5) }, (_, index) => {
    const [entry] = fc.sample(someEntry, { numRuns: 1, seed: choose(2 ** 30) });
    const type = KINDS[choose(KINDS.length)]!;
    const isFile = type === EntryType.file;
    const digest = isFile && choose(2) === 0 ? Buffer.alloc(32, index) : undefined;
    return stored({
      ...entry!,
      name: Buffer.from(`name ${index}`),
      type,
      flags: digest === undefined ? 0 : RowFlag.hasDigest,
      digest,
      linkTarget: type === EntryType.symlink ? Buffer.from('target/./x') : undefined,
    });
  });
}

test('changed pages get the verdict of the reference, and never the seal of the listing', (t) => {
  const choose = chooser(17);
  let [refused, others] = [0, 0];
  for (let round = 0; round < HOSTILE_RUNS / 4; round += 1) {
    const sum = new SealSum();
    const rows = sealed(someEntries(choose), sum);
    const before = pageOf(rows);
    CHANGES[round % CHANGES.length]!(rows, choose);
    const page = pageOf(rows);
    const opened = open(t, page);
    if (opened === undefined) refused += 1;
    // Ids of contents and directories are the store's own; all else is what the seal covers.
    const bare = (bytes: Buffer): string => bytes.toString('latin1').replaceAll(/(,\d*){5};/g, ';');
    if (opened === undefined || bare(page) === bare(before)) continue;
    others += 1;
    const isFlagOrSame = opened.seal.equals(reference.listing(sum));
    if (isFlagOrSame) t.true(isUncovered(before, page));
  }
  t.true(refused > 300 && others > 100, `${refused} ${others}`);
});

/** True if two pages differ in one byte at most, as of the flags and other fields that a seal does not cover. */
function isUncovered(before: Buffer, after: Buffer): boolean {
  if (before.length !== after.length) return false;
  return before.filter((byte, at) => byte !== after[at]).length <= 1;
}

test('pages that are damaged in any way get the verdict of the reference', (t) => {
  const choose = chooser(18);
  const sound = pageOf(sealed(someEntries(choose), new SealSum()));
  let refused = 0;
  for (let round = 0; round < HOSTILE_RUNS; round += 1) {
    const cut = choose(3) === 0 ? choose(sound.length) : undefined;
    const page = Buffer.from(new Uint8Array(sound.subarray(0, cut)).buffer);
    for (let change = choose(3); change >= 0 && page.length > 0; change -= 1) {
      const digits = Buffer.from('0123456789,;-');
      const byte = choose(2) === 0 ? digits[choose(digits.length)]! : choose(256);
      page[choose(choose(2) === 0 ? Math.min(24, page.length) : page.length)] = byte;
    }
    if (open(t, page) === undefined) refused += 1;
  }
  t.true(refused > HOSTILE_RUNS / 2 && refused < HOSTILE_RUNS, `${refused}`);
  for (const head of [
    '',
    '1',
    '1,1',
    '9007199254740993,9007199254740993;',
    '4000000000,4000000000;',
  ]) {
    t.is(open(t, Buffer.from(head)), undefined, head);
  }
});

test('buffers that are too short are refused', (t) => {
  const { names, keys } = OWN;
  const page = pageOf([]);
  const call = (change: Readonly<Record<number, unknown>> = {}): string | undefined => {
    const args: unknown[] = [
      names,
      keys.entries,
      keys.places,
      PLACE,
      page,
      0,
      page.length,
      Buffer.alloc(32),
      true,
    ];
    for (const [index, value] of Object.entries(change)) args[Number(index)] = value;
    try {
      (native.openListing as (...given: unknown[]) => unknown)(...args);
      return undefined;
    } catch (error) {
      return systemCode(error);
    }
  };
  t.is(call(), undefined);
  const short = [Buffer.alloc(63), Buffer.alloc(63), Buffer.alloc(31), Buffer.alloc(15)];
  short.forEach((key, index) => t.is(call({ [index]: key }), 'EINVAL', `${index}`));
  t.is(call({ 5: 1 }), 'EINVAL');
  t.is(call({ 6: page.length + 1 }), 'EINVAL');
  t.is(call({ 5: 2 ** 40, 6: 0 }), 'EINVAL');
  t.is(call({ 7: Buffer.alloc(31) }), 'EINVAL');
  t.is(call({ 8: undefined }), 'EINVAL');
});
