/**
 * The format of `regenerate --zip`: APPNOTE 6.3 with zip64, with times and owners in the fields of Info-ZIP, and
 * permissions and symbolic links as zip on Unix stores them. No library is used, since those for Node.js treat names as
 * text, and hold each entry as objects (docs/using/restoring.md has the figures).
 */
import { isUtf8 } from 'node:buffer';
import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { SECOND_NS, SLASH } from '../model/index.js';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

export const ZipMethod = Object.freeze({ stored: 0, deflated: 8 });
type ZipMethodNumber = (typeof ZipMethod)[keyof typeof ZipMethod];

export interface ZipEntry {
  /** Relative path; that of a directory ends in a slash. */
  readonly name: Buffer;
  /** File type and permissions in the form of `st_mode`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly method: ZipMethodNumber;
  /** True if checksum and sizes follow the content, in a data descriptor. */
  readonly isStreamed: boolean;
  /** True if sizes take 8 bytes. */
  readonly isLarge: boolean;
}

/** Checksum and sizes of an entry's content, for the central directory. */
export interface ZipContent {
  readonly crc: number;
  readonly sizeBytes: number;
  readonly storedBytes: number;
}

const SIGNATURE = Object.freeze({
  local: 0x04034b50,
  descriptor: 0x08074b50,
  central: 0x02014b50,
  end64: 0x06064b50,
  locator64: 0x07064b50,
  end: 0x06054b50,
});
const VERSION = 20;
const VERSION_64 = 45;
/** Value of the field `version made by`: Unix, version 6.3. */
const MADE_BY = (3 << 8) | 63;
const FLAG_STREAMED = 1 << 3;
const FLAG_UTF8 = 1 << 11;
const IS_DIRECTORY = 0x10;
const EXTRA_ZIP64 = 0x0001;
const EXTRA_TIME = 0x5455;
const EXTRA_OWNER = 0x7875;
export const MAX_UINT16 = 0xffff;
export const MAX_UINT32 = 0xffff_ffff;
const MAX_INT32 = 0x7fff_ffffn;
const NO_CONTENT: ZipContent = Object.freeze({ crc: 0, sizeBytes: 0, storedBytes: 0 });

/**
 * Returns the header that precedes a content. Without `content`, it is the header of a streamed entry, whose sizes are
 * not known yet.
 */
export function zipLocalHeader(entry: ZipEntry, content: ZipContent = NO_CONTENT): Buffer {
  const { isLarge, isStreamed } = entry;
  const sizes = isLarge ? uint64s([content.sizeBytes, content.storedBytes]) : undefined;
  const extra = Buffer.concat([
    ...(sizes === undefined ? [] : [extraField(EXTRA_ZIP64, sizes)]),
    ...ownExtra(entry),
  ]);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(SIGNATURE.local, 0);
  common(entry).copy(header, 4);
  header.writeUInt32LE(isStreamed ? 0 : content.crc, 14);
  header.writeUInt32LE(isLarge ? MAX_UINT32 : content.storedBytes, 18);
  header.writeUInt32LE(isLarge ? MAX_UINT32 : content.sizeBytes, 22);
  header.writeUInt16LE(entry.name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, entry.name, extra]);
}

/** Returns the data descriptor that follows a streamed content. */
export function zipDescriptor({ isLarge }: ZipEntry, content: ZipContent): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(SIGNATURE.descriptor, 0);
  head.writeUInt32LE(content.crc, 4);
  const sizes = [content.storedBytes, content.sizeBytes];
  return Buffer.concat([head, isLarge ? uint64s(sizes) : uint32s(sizes)]);
}

function centralHeader(entry: ZipEntry, content: ZipContent, offset: number): Buffer {
  const isOver32Bits = offset >= MAX_UINT32;
  const large = [
    ...(entry.isLarge ? [content.sizeBytes, content.storedBytes] : []),
    ...(isOver32Bits ? [offset] : []),
  ];
  const extra = Buffer.concat([
    ...(large.length === 0 ? [] : [extraField(EXTRA_ZIP64, uint64s(large))]),
    ...ownExtra(entry),
  ]);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(SIGNATURE.central, 0);
  header.writeUInt16LE(MADE_BY, 4);
  common(entry).copy(header, 6);
  if (isOver32Bits) header.writeUInt16LE(VERSION_64, 6);
  header.writeUInt32LE(content.crc, 16);
  header.writeUInt32LE(entry.isLarge ? MAX_UINT32 : content.storedBytes, 20);
  header.writeUInt32LE(entry.isLarge ? MAX_UINT32 : content.sizeBytes, 24);
  header.writeUInt16LE(entry.name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  const isDirectory = entry.name.at(-1) === SLASH;
  header.writeUInt32LE(((entry.mode << 16) >>> 0) + (isDirectory ? IS_DIRECTORY : 0), 38);
  header.writeUInt32LE(isOver32Bits ? MAX_UINT32 : offset, 42);
  return Buffer.concat([header, entry.name, extra]);
}

/** Returns the fields that local and central headers share: version, flags, method, time and date. */
function common({ name, method, isStreamed, isLarge, mtimeNs }: ZipEntry): Buffer {
  const fields = Buffer.alloc(10);
  const isText = !name.every((byte) => byte < 0x80) && isUtf8(name);
  fields.writeUInt16LE(isLarge ? VERSION_64 : VERSION, 0);
  fields.writeUInt16LE((isStreamed ? FLAG_STREAMED : 0) | (isText ? FLAG_UTF8 : 0), 2);
  fields.writeUInt16LE(method, 4);
  const { time, date } = dosTime(Number(mtimeNs / 1_000_000n));
  fields.writeUInt16LE(time, 6);
  fields.writeUInt16LE(date, 8);
  return fields;
}

/**
 * Returns a local time in the format of DOS, with a resolution of two seconds. It is limited to the years of that
 * format.
 */
function dosTime(timeMs: number): { time: number; date: number } {
  const at = new Date(timeMs);
  const year = at.getFullYear();
  if (!(year >= 1980)) return { time: 0, date: (1 << 5) | 1 };
  if (year > 2107) return { time: (23 << 11) | (59 << 5) | 29, date: (127 << 9) | (12 << 5) | 31 };
  return {
    time: (at.getHours() << 11) | (at.getMinutes() << 5) | (at.getSeconds() >> 1),
    date: ((year - 1980) << 9) | ((at.getMonth() + 1) << 5) | at.getDate(),
  };
}

/**
 * Returns the extra fields: the time in seconds, and the owners. The time is left out unless all readers interpret it
 * equally (1970 to 2038).
 */
function ownExtra({ mtimeNs, uid, gid }: ZipEntry): Buffer[] {
  const seconds = mtimeNs / SECOND_NS;
  const owners = Buffer.alloc(11);
  owners.set([1, 4]);
  owners.writeUInt32LE(uid, 2);
  owners[6] = 4;
  owners.writeUInt32LE(gid, 7);
  const owner = extraField(EXTRA_OWNER, owners);
  if (mtimeNs < 0n || seconds > MAX_INT32) return [owner];
  const time = Buffer.from([1, 0, 0, 0, 0]);
  time.writeInt32LE(Number(seconds), 1);
  return [extraField(EXTRA_TIME, time), owner];
}

function extraField(id: number, data: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(id, 0);
  head.writeUInt16LE(data.length, 2);
  return Buffer.concat([head, data]);
}

function uint64s(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), 8 * index);
  return bytes;
}

function uint32s(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, 4 * index);
  return bytes;
}

/** Number of bytes of headers that are compressed together. */
const PART_BYTES = 256 << 10;

/**
 * The list of all entries at the end of an archive. Until then it is kept compressed, with about 20 bytes for each
 * entry, since it is the only data in memory that grows with the archive.
 */
export class CentralDirectory {
  private entries = 0;
  private bytes = 0;
  private readonly parts: Buffer[] = [];
  private headers: Buffer[] = [];
  private headerBytes = 0;

  async add(entry: ZipEntry, content: ZipContent, offset: number): Promise<void> {
    const header = centralHeader(entry, content, offset);
    this.headers.push(header);
    this.headerBytes += header.length;
    this.bytes += header.length;
    this.entries += 1;
    if (this.headerBytes < PART_BYTES) return;
    const part = Buffer.concat(this.headers);
    this.headers = [];
    this.headerBytes = 0;
    this.parts.push(await deflate(part, { level: 1 }));
  }

  /** Yields the central directory and the end of an archive. `offset` is the number of bytes of the archive so far. */
  async *all(offset: number): AsyncGenerator<Buffer> {
    for (const part of this.parts) yield inflate(part);
    yield Buffer.concat(this.headers);
    const isLarge = this.entries >= MAX_UINT16 || this.bytes >= MAX_UINT32 || offset >= MAX_UINT32;
    if (isLarge) yield this.end64(offset);
    const end = Buffer.alloc(22);
    end.writeUInt32LE(SIGNATURE.end, 0);
    const entries = Math.min(this.entries, MAX_UINT16);
    end.writeUInt16LE(entries, 8);
    end.writeUInt16LE(entries, 10);
    end.writeUInt32LE(Math.min(this.bytes, MAX_UINT32), 12);
    end.writeUInt32LE(Math.min(offset, MAX_UINT32), 16);
    yield end;
  }

  private end64(offset: number): Buffer {
    const record = Buffer.alloc(56);
    record.writeUInt32LE(SIGNATURE.end64, 0);
    record.writeBigUInt64LE(44n, 4);
    record.writeUInt16LE(MADE_BY, 12);
    record.writeUInt16LE(VERSION_64, 14);
    uint64s([this.entries, this.entries, this.bytes, offset]).copy(record, 24);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(SIGNATURE.locator64, 0);
    locator.writeBigUInt64LE(BigInt(offset + this.bytes), 8);
    locator.writeUInt32LE(1, 16);
    return Buffer.concat([record, locator]);
  }
}
