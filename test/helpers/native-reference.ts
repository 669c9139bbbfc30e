/**
 * The read side of the native addon in plain Node: the same rows to the byte, with paths instead of open
 * directories. The file calls are injected, so that a test can fail the n-th of them. It is slower, and does not
 * notice if a directory is replaced by a link at the wrong moment.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { constants } from 'node:os';
import {
  DIGEST_BYTES,
  EntryType,
  ROW_FIXED_BYTES,
  RowFlag,
  RowOffset,
} from '../../src/model/index.js';
import type { ListingCalls } from '../../src/system/native.js';

export type BasicCalls = Pick<
  typeof fs,
  'openSync' | 'readSync' | 'fstatSync' | 'closeSync' | 'readdirSync' | 'lstatSync' | 'readlinkSync'
>;

export interface FallbackCalls extends ListingCalls {
  /** `readFileAt` of the addon, with the path of the directory. */
  readFile(
    directoryPath: Buffer,
    name: Buffer,
    rows: Uint8Array,
    rowOffset: number,
    target: Uint8Array,
    targetOffset: number,
    limitBytes: number,
    digest: Uint8Array,
    digestOffset: number,
  ): number;
}

type Status = fs.BigIntStats;

const SLASH = Buffer.from('/');
const MAX_NAME_BYTES = 0xffff;
const MAX_I64 = 2n ** 63n - 1n;
const MIN_I64 = -(2n ** 63n);
const READ_FLAGS =
  fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY;

const byBytes = (left: Buffer, right: Buffer): number => left.compare(right);

function failure(code: string, what: string, syscall: string): NodeJS.ErrnoException {
  const number = (constants.errno as Readonly<Record<string, number>>)[code] ?? 0;
  return Object.assign(new Error(`${code}: ${what}, ${syscall}`), {
    code,
    errno: 0 - number, // never -0
    syscall,
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

function checkText(text: Buffer, syscall: string): void {
  if (text.includes(0)) throw failure('EINVAL', 'a path or name holds a NUL byte', syscall);
}

function checkName(name: Buffer, syscall: string): void {
  checkText(name, syscall);
  const shown = name.toString('latin1');
  if (shown === '' || shown === '.' || shown === '..' || shown.includes('/')) {
    throw failure('EINVAL', 'a name is empty, . or .., or holds a slash', syscall);
  }
}

function checkRange(bytes: Uint8Array, offset: number, count: number, syscall: string): void {
  if (!(offset >= 0 && count >= 0 && offset + count <= bytes.length)) {
    throw failure('EINVAL', 'offset or length outside of the buffer', syscall);
  }
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns the offset of the name within a row; throws EINVAL if the row is malformed. */
function checkRow(rows: Buffer, offset: number, syscall: string): number {
  checkRange(rows, offset, ROW_FIXED_BYTES, syscall);
  const hasDigest = (rows.readUInt8(offset + RowOffset.flags) & RowFlag.hasDigest) !== 0;
  const nameOffset = ROW_FIXED_BYTES + (hasDigest ? DIGEST_BYTES : 0);
  const nameBytes = rows.readUInt16LE(offset + RowOffset.nameBytes);
  const linkBytes = rows.readUInt16LE(offset + RowOffset.linkBytes);
  const rowBytes = rows.readUInt32LE(offset + RowOffset.rowBytes);
  if (rowBytes !== nameOffset + nameBytes + linkBytes) {
    throw failure('EINVAL', 'malformed row', syscall);
  }
  checkRange(rows, offset, rowBytes, syscall);
  return nameOffset;
}

interface TypeTests {
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isCharacterDevice(): boolean;
  isBlockDevice(): boolean;
}

function typeOf(status: TypeTests): number {
  if (status.isDirectory()) return EntryType.directory;
  if (status.isSymbolicLink()) return EntryType.symlink;
  if (status.isFIFO()) return EntryType.fifo;
  if (status.isSocket()) return EntryType.socket;
  if (status.isCharacterDevice()) return EntryType.characterDevice;
  if (status.isBlockDevice()) return EntryType.blockDevice;
  return EntryType.file;
}

function clamped(nanoseconds: bigint): bigint {
  if (nanoseconds > MAX_I64) return MAX_I64;
  return nanoseconds < MIN_I64 ? MIN_I64 : nanoseconds;
}

function emptyRow(name: Buffer, link: Buffer): Buffer {
  const row = Buffer.alloc(ROW_FIXED_BYTES + name.length + link.length);
  row.writeUInt32LE(row.length, RowOffset.rowBytes);
  row.writeUInt16LE(name.length, RowOffset.nameBytes);
  row.writeUInt16LE(link.length, RowOffset.linkBytes);
  name.copy(row, ROW_FIXED_BYTES);
  link.copy(row, ROW_FIXED_BYTES + name.length);
  return row;
}

/** Writes the fields that an open file provides: everything but birth time and device number. */
function putStatus(row: Buffer, status: Status): void {
  row.writeUInt8(typeOf(status), RowOffset.type);
  row.writeUInt16LE(Number(status.mode & 0o7777n), RowOffset.permissions);
  row.writeUInt32LE(Number(BigInt.asUintN(32, status.uid)), RowOffset.uid);
  row.writeUInt32LE(Number(BigInt.asUintN(32, status.gid)), RowOffset.gid);
  row.writeUInt32LE(Number(BigInt.asUintN(32, status.nlink)), RowOffset.linkCount);
  const size = status.isFile() ? BigInt.asUintN(64, status.size) : 0n;
  row.writeBigUInt64LE(size, RowOffset.sizeBytes);
  if (status.isFile() && status.blocks * 512n < size) row[RowOffset.flags]! |= RowFlag.sparse;
  row.writeBigInt64LE(clamped(status.mtimeNs), RowOffset.mtimeNs);
  row.writeBigInt64LE(clamped(status.ctimeNs), RowOffset.ctimeNs);
  row.writeBigUInt64LE(BigInt.asUintN(64, status.ino), RowOffset.inode);
}

function rowOf(status: Status, name: Buffer, link: Buffer): Buffer {
  const row = emptyRow(name, link);
  putStatus(row, status);
  row.writeBigInt64LE(clamped(status.birthtimeNs), RowOffset.birthTimeNs);
  if (status.isCharacterDevice() || status.isBlockDevice()) {
    row.writeBigUInt64LE(BigInt.asUintN(64, status.rdev), RowOffset.device);
  }
  return row;
}

function hashRows(given: Uint8Array): Buffer {
  const rows = view(given);
  const hash = createHash('sha256');
  for (let at = 0; at < rows.length; at += rows.readUInt32LE(at)) {
    const nameAt = at + checkRow(rows, at, 'hashRows');
    hash.update(rows.subarray(at + RowOffset.nameBytes, at + RowOffset.linkBytes));
    hash.update(rows.subarray(nameAt, nameAt + rows.readUInt16LE(at + RowOffset.nameBytes)));
    hash.update(rows.subarray(at + RowOffset.type, at + RowOffset.flags));
    hash.update(rows.subarray(at + RowOffset.permissions, at + RowOffset.linkCount));
    hash.update(rows.subarray(at + RowOffset.sizeBytes, at + RowOffset.birthTimeNs));
    hash.update(rows.subarray(at + RowOffset.inode, at + ROW_FIXED_BYTES));
  }
  return hash.digest();
}

class Fallback implements FallbackCalls {
  readonly hashRows = hashRows;
  private readonly calls: BasicCalls;

  constructor(calls: BasicCalls) {
    this.calls = calls;
  }

  listDirectory(path: Buffer): Buffer {
    checkText(path, 'listDirectory');
    const own = this.calls.lstatSync(path, { bigint: true });
    if (!own.isDirectory()) throw failure('ENOTDIR', 'not a directory', 'listDirectory');
    const names = this.calls.readdirSync(path, { encoding: 'buffer' }).sort(byBytes);
    const rows: Buffer[] = [];
    let types: Map<string, number> | undefined;
    for (const name of names) {
      try {
        const [row, status] = this.look(Buffer.concat([path, SLASH, name]), name);
        if (status.dev !== own.dev) row[RowOffset.flags]! |= RowFlag.otherDevice;
        rows.push(row);
      } catch (error) {
        const code = codeOf(error);
        if (code === undefined) throw error;
        if (code === 'ENOENT') continue;
        types ??= this.typesIn(path);
        const row = emptyRow(name, Buffer.alloc(0));
        const type = types.get(name.toString('latin1'));
        row[RowOffset.type] = type ?? EntryType.file;
        row[RowOffset.flags] = RowFlag.unreadable | (type === undefined ? RowFlag.unknownType : 0);
        rows.push(row);
      }
    }
    return Buffer.concat(rows);
  }

  statRow(path: Buffer, name: Buffer): Buffer {
    checkText(path, 'statRow');
    checkText(name, 'statRow');
    if (name.length > MAX_NAME_BYTES) throw failure('ENAMETOOLONG', 'name too long', 'statRow');
    return this.look(path, name)[0];
  }

  readFile(
    directoryPath: Buffer,
    name: Buffer,
    rows: Uint8Array,
    rowOffset: number,
    target: Uint8Array,
    targetOffset: number,
    limitBytes: number,
    digest: Uint8Array,
    digestOffset: number,
  ): number {
    checkText(directoryPath, 'readFile');
    checkName(name, 'readFile');
    checkRow(view(rows), rowOffset, 'readFile');
    checkRange(target, targetOffset, limitBytes, 'readFile');
    checkRange(digest, digestOffset, DIGEST_BYTES, 'readFile');
    const row = view(rows).subarray(rowOffset);
    const fd = this.openForReading(Buffer.concat([directoryPath, SLASH, name]));
    try {
      const before = this.calls.fstatSync(fd, { bigint: true });
      if (!before.isFile()) throw failure('ENOTREG', 'not a regular file', 'open');
      const listed = Buffer.from(row.subarray(0, ROW_FIXED_BYTES));
      putStatus(row, before);
      if (!listed.equals(row.subarray(0, ROW_FIXED_BYTES))) markChanged(row);
      const size = Number(before.size);
      if (size > limitBytes) throw failure('EFBIG', 'file too large', 'readFile');
      const got = this.readUpTo(fd, target, targetOffset, size);
      const longer = got === size && this.calls.readSync(fd, Buffer.alloc(1), 0, 1, null) > 0;
      const after = this.calls.fstatSync(fd, { bigint: true });
      const touched =
        after.size !== before.size ||
        after.mtimeNs !== before.mtimeNs ||
        after.ctimeNs !== before.ctimeNs;
      if (touched || longer || got < size) {
        markChanged(row);
        row.writeBigUInt64LE(BigInt(got), RowOffset.sizeBytes);
      }
      const read = target.subarray(targetOffset, targetOffset + got);
      digest.set(createHash('sha256').update(read).digest(), digestOffset);
      return got;
    } finally {
      this.calls.closeSync(fd);
    }
  }

  /** Returns the row and the status of a path. */
  private look(path: Buffer, name: Buffer): [Buffer, Status] {
    const status = this.calls.lstatSync(path, { bigint: true });
    const link = status.isSymbolicLink()
      ? this.calls.readlinkSync(path, { encoding: 'buffer' })
      : Buffer.alloc(0);
    return [rowOf(status, name, link), status];
  }

  /** Returns the types of a directory's entries as the directory reports them; empty if it does not. */
  private typesIn(path: Buffer): Map<string, number> {
    try {
      const entries = this.calls.readdirSync(path, { encoding: 'latin1', withFileTypes: true });
      return new Map(entries.map((entry) => [entry.name, typeOf(entry)]));
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
      return new Map();
    }
  }

  private openForReading(path: Buffer): number {
    try {
      return this.calls.openSync(path, READ_FLAGS | fs.constants.O_NOATIME);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENXIO') throw failure('ENOTREG', 'not a regular file', 'open');
      if (code !== 'EPERM') throw error; // only the owner and root may leave the access time alone
    }
    return this.calls.openSync(path, READ_FLAGS);
  }

  private readUpTo(fd: number, target: Uint8Array, targetOffset: number, size: number): number {
    let done = 0;
    while (done < size) {
      const got = this.calls.readSync(fd, target, targetOffset + done, size - done, null);
      if (got === 0) break;
      done += got;
    }
    return done;
  }
}

function markChanged(row: Buffer): void {
  row[RowOffset.flags]! |= RowFlag.changedWhileRead;
}

/** Returns the reference calls, over Node's own file calls or replacements. */
export function createFallback(calls: BasicCalls = fs): FallbackCalls {
  return new Fallback(calls);
}
