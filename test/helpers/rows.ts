/** Entries and rows for tests. */
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import type { HistoryEntry } from '../../src/history/index.js';
import {
  decodeRow,
  type Entry,
  EntryType,
  encodeRow,
  forEachRow,
  metadataOf,
  packAttributes,
  RowReader,
} from '../../src/model/index.js';

export function sha256(data: Uint8Array | string): Buffer {
  return createHash('sha256').update(data).digest();
}

/** Returns a file, unless the changes override its type. */
export function entryOf(name: string | Buffer, changes: Partial<Entry> = {}): Entry {
  return {
    name: Buffer.from(name),
    type: EntryType.file,
    flags: 0,
    permissions: 0o644,
    uid: 1000,
    gid: 100,
    linkCount: 1,
    sizeBytes: 0,
    mtimeNs: 1_700_000_000_123_456_789n,
    ctimeNs: 1_700_000_001_000_000_000n,
    birthTimeNs: 1_600_000_000_000_000_000n,
    inode: 4711n,
    device: 0n,
    digest: undefined,
    linkTarget: undefined,
    attributes: undefined,
    ...changes,
  };
}

/** Returns an entry as a history gives it: one of directory 1, unless the changes override that. */
export function historyEntryOf(name: string, changes: Partial<HistoryEntry> = {}): HistoryEntry {
  const entry = {
    ...entryOf(name),
    directory: 1,
    firstSet: 1,
    lastSet: undefined,
    contentId: undefined,
    childId: undefined,
    ...changes,
  };
  return { ...entry, metadata: Buffer.from(metadataOf(new RowReader(encodeRow(entry)), 0)) };
}

export function rowOf(name: string | Buffer, changes: Partial<Entry> = {}): Buffer {
  return encodeRow(entryOf(name, changes));
}

export function rowsOf(...entries: readonly Entry[]): Buffer {
  return Buffer.concat(entries.map(encodeRow));
}

export function entriesOf(rows: Uint8Array): Entry[] {
  const reader = new RowReader(rows);
  const entries: Entry[] = [];
  forEachRow(reader, (at) => entries.push(decodeRow(reader, at)));
  return entries;
}

/** Any bytes that are a valid name. */
export const anyName: fc.Arbitrary<Buffer> = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x41 : byte))))
  .filter((name) => !/^\.{1,2}$/.test(name.toString('latin1')));

const anyU64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const anyI64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const anyU32 = fc.integer({ min: 0, max: 0xffff_ffff });

/** Any packed attributes, mostly none. */
const anyAttributes: fc.Arbitrary<Buffer | undefined> = fc
  .uniqueArray(
    fc.record({
      name: anyName,
      value: fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
    }),
    { maxLength: 3, selector: ({ name }) => name.toString('latin1') },
  )
  .map((attributes) => attributes.toSorted((a, b) => Buffer.compare(a.name, b.name)))
  .map((attributes) => (attributes.length === 0 ? undefined : packAttributes(attributes)));

/** Any entry that the format can represent. */
export const anyEntry: fc.Arbitrary<Entry> = fc
  .record({
    name: anyName,
    type: fc.constantFrom(...Object.values(EntryType)),
    flags: fc.nat(255),
    permissions: fc.nat(0o7777),
    uid: anyU32,
    gid: anyU32,
    linkCount: anyU32,
    sizeBytes: fc.maxSafeNat(),
    mtimeNs: anyI64,
    ctimeNs: anyI64,
    birthTimeNs: anyI64,
    inode: anyU64,
    device: anyU64,
    digest: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 })),
    linkTarget: fc.uint8Array({ minLength: 1, maxLength: 60 }),
    attributes: anyAttributes,
  })
  .map(({ digest, linkTarget, flags, ...entry }) => {
    const hasDigest = entry.type === EntryType.file && digest !== null;
    return {
      ...entry,
      flags: (flags & ~33) | (hasDigest ? 1 : 0) | (entry.attributes === undefined ? 0 : 32),
      digest: hasDigest ? Buffer.from(digest) : undefined,
      linkTarget: entry.type === EntryType.symlink ? Buffer.from(linkTarget) : undefined,
    };
  });
