/** Records of each kind from the encoders, and valid checksums for mutated records. */
import { crc32 } from 'node:zlib';
import { EntryType } from '../../../src/model/index.js';
import {
  buildCommit,
  buildEvent,
  buildImagePiece,
  buildListing,
  buildRecord,
  Codec,
  RECORD_CHUNKED,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC_BYTES,
  RecordKind,
  writeDeltaIndex,
} from '../../../src/store/index.js';
import { configWith } from '../../helpers/client-configs.js';
import { chunkedRecord, contentRecord, frameRecord, sliced } from '../../helpers/records.js';
import { entryOf, rowsOf, sha256 } from '../../helpers/rows.js';

const CODECS = Object.values(Codec);
const CHUNK_BYTES = 64;
const COUNTERS = { set: 3, root: 2, directory: 9, sequence: 40 };
const OPENED_AT_MS = 1_700_000_000_123;

export function contentRecords(): Buffer[] {
  const contents = ['one', 'two '.repeat(30), ''].map((text) => Buffer.from(text));
  const { source, slices } = sliced(contents);
  return CODECS.flatMap((codec) => [
    frameRecord(source, slices, { codec, level: 1 }),
    contentRecord(source, slices[1]!, { codec, level: 1 }),
    chunkedRecord(contents[1]!, CHUNK_BYTES, codec),
  ]);
}

function deltaRecord(): Buffer {
  const digest = sha256('after');
  const content = { digest, sizeBytes: 5, fileSizeBytes: 5, chunkBytes: 0 };
  const index = writeDeltaIndex({ ...content, basis: sha256('before'), isPart: true });
  const header = { kind: RecordKind.delta, codec: Codec.none, rawBytes: 5 };
  return buildRecord(header, index, Buffer.from('after'));
}

function imageRecord(): Buffer {
  const rows = rowsOf(entryOf('file'), entryOf('sub', { type: EntryType.directory }));
  const directory = { directory: 2, root: 1, parent: 0, name: Buffer.from('a'), isUnplaced: false };
  const eight = Buffer.alloc(8, 1);
  return buildImagePiece(9, {
    image: 9,
    piece: 0,
    isLast: true,
    items: [
      { type: 'head', counters: COUNTERS, packs: [1, 2], doubtfulUpTo: 0 },
      { type: 'objects', digests: [sha256('a')] },
      { type: 'roots', roots: [{ root: 1, path: Buffer.from('/'), directory: 2 }] },
      { type: 'directories', directories: [{ ...directory, inode: eight, birthTimeNs: eight }] },
      {
        type: 'entries',
        directory: 2,
        rows,
        flags: Buffer.alloc(2),
        firsts: [1, 1],
        lasts: [0, 2],
        children: [3],
      },
      { type: 'config', set: 1, config: configWith('x') },
    ],
  });
}

/** Returns listings, events, commits, deltas and pieces of images. */
export function metadataRecords(): Buffer[] {
  const rows = rowsOf(entryOf('file'), entryOf('sub', { type: EntryType.directory }));
  const section = { set: 2, root: 1, directory: 5, rows, children: [8], closed: false };
  const range = { pack: 1, from: 0, to: 100, checksum: 5 };
  const note = { directory: 7, name: Buffer.from([0xff]), what: 'unreadable', reason: 'EACCES' };
  return [
    buildListing(1, [{ ...section, removed: [Buffer.from('gone')] }]),
    buildEvent(2, {
      type: 'set-opened',
      set: 3,
      name: 'Backup-3',
      openedAtMs: OPENED_AT_MS,
      clientTimeMs: -5,
      roots: [{ root: 1, path: Buffer.from('/'), directory: 2 }],
    }),
    buildEvent(3, { type: 'set-closed', set: 3, closedAtMs: OPENED_AT_MS, stats: { files: 5 } }),
    buildEvent(4, { type: 'notes', set: 3, notes: [note] }),
    buildEvent(5, {
      type: 'owners',
      set: 3,
      owners: [{ isGroup: true, id: 5, name: Buffer.from('users') }],
    }),
    buildEvent(6, { type: 'damage', digests: [sha256('a')] }),
    buildCommit(7, {
      commit: 7,
      previous: 0xffff_ffff,
      ranges: [range],
      objects: [{ digest: sha256('b'), bytes: 9 }],
      counters: COUNTERS,
    }),
    imageRecord(),
    deltaRecord(),
  ];
}

const BODY_BYTES_AT = 32;
const INDEX_BYTES_AT = 40;
const BODY_CHECKSUM_AT = 64;
const HEADER_CHECKSUM_AT = 68;
const FLAGS_AT = 12;

/** Corrects the checksums of all records in place, as far as their lengths fit. */
export function withChecksums(data: Buffer): Buffer {
  for (let at = data.indexOf(RECORD_MAGIC_BYTES); at >= 0; ) {
    if (at + RECORD_HEADER_BYTES > data.length) break;
    const bodyAt = at + RECORD_HEADER_BYTES + data.readUInt32LE(at + INDEX_BYTES_AT);
    const isChunked = (data.readUInt32LE(at + FLAGS_AT) & RECORD_CHUNKED) !== 0;
    const end = isChunked ? bodyAt : bodyAt + data.readUInt32LE(at + BODY_BYTES_AT);
    const covered = data.subarray(at + RECORD_HEADER_BYTES, Math.min(end, data.length));
    data.writeUInt32LE(crc32(covered), at + BODY_CHECKSUM_AT);
    const head = data.subarray(at, at + HEADER_CHECKSUM_AT);
    data.writeUInt32LE(crc32(head), at + HEADER_CHECKSUM_AT);
    at = data.indexOf(RECORD_MAGIC_BYTES, at + RECORD_HEADER_BYTES);
  }
  return data;
}

/** Corrects the body length of one record, most of the time, and its checksums. */
export function wholeRecord(data: Buffer, chance: number): Buffer {
  const indexBytes = data.length < RECORD_HEADER_BYTES ? 0 : data.readUInt32LE(INDEX_BYTES_AT);
  const bodyBytes = data.length - RECORD_HEADER_BYTES - indexBytes;
  if (bodyBytes >= 0 && chance < 0.9) data.writeBigUInt64LE(BigInt(bodyBytes), BODY_BYTES_AT);
  return withChecksums(data);
}
