/**
 * The format of `regenerate --tar`: POSIX pax (IEEE 1003.1). Each entry has a ustar header. An extended header before
 * it contains everything that ustar cannot express: long and non-ASCII names, nanoseconds, times before 1970, sizes
 * from 8 GiB, large owner numbers. Names are bytes; if they are not UTF-8, the extended header declares this
 * (`hdrcharset=BINARY`). No library is used, since libraries treat names as text.
 */
import { isUtf8 } from 'node:buffer';
import { SECOND_NS, SLASH } from '../model/index.js';

export const TAR_BLOCK_BYTES = 512;
/** Length in bytes of which the length of an archive is a multiple. */
const TAR_RECORD_BYTES = 20 * TAR_BLOCK_BYTES;

export const TarType = Object.freeze({
  file: '0',
  hardLink: '1',
  symlink: '2',
  characterDevice: '3',
  blockDevice: '4',
  directory: '5',
  fifo: '6',
  extended: 'x',
});
export type TarTypeFlag = (typeof TarType)[keyof typeof TarType];

export interface TarEntry {
  readonly type: TarTypeFlag;
  /** Relative path without a trailing slash. */
  readonly path: Buffer;
  /** Path that a link points to. */
  readonly linkPath?: Buffer | undefined;
  readonly permissions: number;
  readonly uid: number;
  readonly gid: number;
  /** Size of the data after the header. */
  readonly sizeBytes: number;
  /** Size of a sparse file with its holes; a map precedes its data. */
  readonly sparseBytes?: number | undefined;
  readonly userName?: Buffer | undefined;
  readonly groupName?: Buffer | undefined;
  readonly mtimeNs: bigint;
  /** Numbers of the device, for device nodes only. */
  readonly deviceMajor?: number;
  readonly deviceMinor?: number;
  /** Further records of the extended header, such as extended attributes. */
  readonly extended?: readonly (readonly [key: string, value: Buffer])[];
}

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
/** Maximum number of bytes of an owner's name: one less than the size of the field, which ends in a NUL. */
const OWNER_BYTES = 31;
const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;

/** Returns the header blocks of an entry. Its content, padded to whole blocks, follows them. */
export function tarHeader(entry: TarEntry): Buffer {
  const path =
    entry.type === TarType.directory ? Buffer.concat([entry.path, Buffer.from('/')]) : entry.path;
  const link = entry.linkPath ?? Buffer.alloc(0);
  const records = extendedRecords(entry, path, link);
  // The real name of a sparse file is in the extended header.
  const shown = entry.sparseBytes === undefined ? path : Buffer.from('GNUSparseFile.0');
  const header = ustarHeader(entry, shown, link);
  if (records.length === 0) return header;
  const body = Buffer.concat(records);
  const own = ustarHeader(
    {
      type: TarType.extended,
      path: Buffer.from('PaxHeader'),
      permissions: 0o644,
      uid: 0,
      gid: 0,
      sizeBytes: body.length,
      mtimeNs: 0n,
    },
    Buffer.from('PaxHeader'),
    Buffer.alloc(0),
  );
  return Buffer.concat([own, body, tarPadding(body.length), header]);
}

/** Returns the padding for the last block of a content. */
export function tarPadding(sizeBytes: number): Buffer {
  return ZEROS.subarray(0, (TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);
}

const ZEROS = Buffer.alloc(TAR_BLOCK_BYTES);

/** Returns the end of an archive that has `bytes` bytes so far. */
export function tarEnd(bytes: number): Buffer {
  const least = bytes + 2 * TAR_BLOCK_BYTES;
  const whole = Math.ceil(least / TAR_RECORD_BYTES) * TAR_RECORD_BYTES;
  return Buffer.alloc(whole - bytes);
}

function extendedRecords(entry: TarEntry, path: Buffer, link: Buffer): Buffer[] {
  const records: Buffer[] = [];
  const add = (key: string, value: Buffer | string): void => {
    records.push(paxRecord(key, Buffer.from(value)));
  };
  const isSparseFile = entry.sparseBytes !== undefined;
  const isLongPath = !isSparseFile && (splitUstar(path) === undefined || !isAscii(path));
  const isLongLink = link.length > NAME_BYTES || !isAscii(link);
  if ((isLongPath && !isUtf8(path)) || (isLongLink && !isUtf8(link))) add('hdrcharset', 'BINARY');
  if (isLongPath) add('path', path);
  if (isSparseFile) {
    add('GNU.sparse.major', '1');
    add('GNU.sparse.minor', '0');
    add('GNU.sparse.name', path);
    add('GNU.sparse.realsize', String(entry.sparseBytes));
  }
  if (isLongLink) add('linkpath', link);
  if (entry.sizeBytes > MAX_OCTAL_11) add('size', String(entry.sizeBytes));
  if (entry.uid > MAX_OCTAL_7) add('uid', String(entry.uid));
  if (entry.gid > MAX_OCTAL_7) add('gid', String(entry.gid));
  const { mtimeNs, userName, groupName } = entry;
  if (userName !== undefined && !fitsOwner(userName)) add('uname', userName);
  if (groupName !== undefined && !fitsOwner(groupName)) add('gname', groupName);
  const isPlainTime =
    mtimeNs >= 0n && mtimeNs % SECOND_NS === 0n && mtimeNs / SECOND_NS <= BigInt(MAX_OCTAL_11);
  if (!isPlainTime) add('mtime', decimalSeconds(mtimeNs));
  for (const [key, value] of entry.extended ?? []) records.push(paxRecord(key, value));
  return records;
}

/** Returns a record `LENGTH KEY=VALUE\n`, whose length includes its own digits. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function decimalSeconds(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const fraction = String(size % SECOND_NS)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const text = `${ns < 0n ? '-' : ''}${size / SECOND_NS}`;
  return fraction === '' ? text : `${text}.${fraction}`;
}

function fitsOwner(name: Buffer): boolean {
  return name.length <= OWNER_BYTES && isAscii(name);
}

function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte < 0x80);
}

/** Returns a path as name and prefix; undefined if it does not fit into these fields. */
function splitUstar(path: Buffer): { name: Buffer; prefix: Buffer } | undefined {
  if (path.length <= NAME_BYTES) return { name: path, prefix: Buffer.alloc(0) };
  const from = Math.max(1, path.length - 1 - NAME_BYTES);
  for (let at = from; at < path.length - 1 && at <= PREFIX_BYTES; at += 1) {
    if (path[at] !== SLASH) continue;
    return { name: path.subarray(at + 1), prefix: path.subarray(0, at) };
  }
  return undefined;
}

function ustarHeader(entry: TarEntry, path: Buffer, link: Buffer): Buffer {
  const block = Buffer.alloc(TAR_BLOCK_BYTES);
  const octal = (at: number, bytes: number, value: number): void => {
    block.write(value.toString(8).padStart(bytes - 1, '0'), at, 'latin1');
  };
  const split = splitUstar(path);
  (split?.name ?? path.subarray(0, NAME_BYTES)).copy(block, 0);
  octal(100, 8, entry.permissions & 0o7777);
  octal(108, 8, entry.uid > MAX_OCTAL_7 ? 0 : entry.uid);
  octal(116, 8, entry.gid > MAX_OCTAL_7 ? 0 : entry.gid);
  octal(124, 12, entry.sizeBytes > MAX_OCTAL_11 ? 0 : entry.sizeBytes);
  const seconds = Number(entry.mtimeNs / SECOND_NS);
  octal(136, 12, Math.min(Math.max(seconds, 0), MAX_OCTAL_11));
  block.fill(0x20, 148, 156);
  block.write(entry.type, 156, 'latin1');
  link.subarray(0, NAME_BYTES).copy(block, 157);
  block.write('ustar\u000000', 257, 'latin1');
  if (entry.userName !== undefined) entry.userName.copy(block, 265, 0, OWNER_BYTES);
  if (entry.groupName !== undefined) entry.groupName.copy(block, 297, 0, OWNER_BYTES);
  octal(329, 8, entry.deviceMajor ?? 0);
  octal(337, 8, entry.deviceMinor ?? 0);
  split?.prefix.copy(block, 345);
  let sum = 0;
  for (let at = 0; at < TAR_BLOCK_BYTES; at += 1) sum += block[at]!; // an iterator takes five times as long
  block.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
  return block;
}
