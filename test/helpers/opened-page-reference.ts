/** `openListing` of the addon in plain Node, as the reference of property tests. */
import { createDecipheriv, createHmac } from 'node:crypto';
import { type SealSum, TreeSealer } from '../../src/crypto/index.js';
import {
  appendRow,
  attributesOf,
  BytesBuilder,
  EntryType,
  isSparse,
  linkTargetOf,
  METADATA_FLAGS_AT,
  metadataFault,
  packAttributes,
  readAttributes,
  RowFlag,
  SEAL_BYTES,
} from '../../src/model/index.js';
import type { SealingCalls } from '../../src/system/index.js';

const KEY_BYTES = 32;
const SEAL_VALUE_BYTES = 2 * SEAL_BYTES;
const MAX_NAME_BYTES = 0xffff;
const TWO_256 = 2n ** 256n;
const [NAME_LABEL, LINK_LABEL] = [0, 1];
const [NUL, ESCAPE, DOT, SLASH] = [0, 1, 0x2e, 0x2f];
/** The bytes that two bytes stand for, by the first and the second one. */
const ESCAPES: Readonly<Record<number, readonly (number | undefined)[]>> = {
  [ESCAPE]: [undefined, NUL, ESCAPE],
  [DOT]: [undefined, DOT, SLASH],
};

interface PackedRow {
  readonly name: Buffer;
  readonly metadata: Buffer;
  readonly childId: number;
  readonly contentId: number;
}

export type SealKeys = ConstructorParameters<typeof TreeSealer>[2];

export interface ReferencePage {
  readonly count: number;
  readonly children: readonly { readonly id: number; readonly place: Buffer }[];
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
    const form = /(\d+),(\d+),(\d*),(\d*);/y;
    form.lastIndex = at;
    const [given, ...fields] = form.exec(text) ?? [];
    if (given === undefined) return undefined;
    const [nameBytes, metadataBytes, childId, contentId] = fields.map(Number);
    const areIds = fields.slice(2).every((field) => field === '' || Number(field) > 0);
    if (!areIds || !fields.map(Number).every(Number.isSafeInteger)) return undefined;
    const nameAt = at + given.length;
    const metadataAt = nameAt + nameBytes!;
    at = metadataAt + metadataBytes!;
    if (at > page.length) return undefined;
    const name = page.subarray(nameAt, metadataAt);
    const metadata = page.subarray(metadataAt, at);
    rows.push({ name, metadata, childId: childId!, contentId: contentId! });
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
  const bytes = unescaped(sealed);
  if (bytes === undefined || bytes.length < SEAL_BYTES) return undefined;
  const vector = bytes.subarray(0, SEAL_BYTES);
  const cipher = createDecipheriv('aes-256-ctr', keys.subarray(KEY_BYTES), vector);
  const opened = Buffer.concat([cipher.update(bytes.subarray(SEAL_BYTES)), cipher.final()]);
  const mac = hmac(keys.subarray(0, KEY_BYTES), Buffer.from([label]), opened);
  return mac.subarray(0, SEAL_BYTES).equals(vector) ? opened : undefined;
}

export class ReferenceSealer {
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
    if (rows === undefined || rows.some((row) => !this.isUsual(row))) return undefined;
    const opened = rows.map((row) => this.open(row, sum));
    const sound = opened.flatMap((one) => one ?? []);
    if (sound.length < rows.length) return undefined;
    const children = rows
      .filter(({ childId }) => childId > 0)
      .map(({ childId, name }) => ({ id: childId, place: this.tree.place(place, name) }));
    if (sorts) sound.sort((one, other) => Buffer.compare(one.name, other.name));
    const count = sound.length;
    const head = Buffer.from(`${count},${count}${sorts ? ';' : ':'}`);
    return { count, children, page: Buffer.concat([head, ...sound.map(({ bytes }) => bytes)]) };
  }

  private isUsual({ name, metadata }: PackedRow): boolean {
    if (name.length > MAX_NAME_BYTES || metadataFault(metadata) !== undefined) return false;
    const attributes = attributesOf(metadata);
    if (attributes === undefined || isSparse(metadata)) return false;
    const alone = packAttributes([{ name: Buffer.from('seal'), value: Buffer.alloc(32) }]);
    return attributes.length === alone.length;
  }

  private open({ name: sealedName, metadata, childId, contentId }: PackedRow, sum: SealSum) {
    const seal = readAttributes(attributesOf(metadata))[0]!;
    if (seal.name.toString() !== 'seal' || seal.value.length !== SEAL_VALUE_BYTES) return undefined;
    const row = new BytesBuilder(1);
    appendRow(row, metadata, sealedName);
    const content = seal.value.subarray(SEAL_BYTES);
    const unlisted = Buffer.concat([content, Buffer.alloc(SEAL_BYTES)]);
    const stored = seal.value.subarray(0, SEAL_BYTES);
    if (!this.tree.sealOf(row.view(), unlisted).equals(stored)) return undefined;
    this.tree.addEntry(stored, sum);
    const target = linkTargetOf(metadata);
    const name = openBytes(this.nameKeys, NAME_LABEL, sealedName);
    const link = target.length === 0 ? target : openBytes(this.nameKeys, LINK_LABEL, target);
    if (name === undefined || link === undefined) return undefined;
    if (content.some((byte) => byte !== 0) !== contentId > 0) return undefined;
    if ((metadata[0] === EntryType.directory) !== childId > 0) return undefined;
    const isDevice =
      metadata[0] === EntryType.characterDevice || metadata[0] === EntryType.blockDevice;
    const fixed = Buffer.from(metadata.subarray(0, isDevice ? 64 : 56));
    fixed[METADATA_FLAGS_AT]! &= ~(RowFlag.hasAttributes | RowFlag.hasDigest);
    const lengths = `${name.length},${fixed.length + link.length},${childId || ''},${contentId || ''};`;
    return { name, bytes: Buffer.concat([Buffer.from(lengths), name, fixed, link]) };
  }
}
