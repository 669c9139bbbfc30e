/**
 * Numbers and layouts of the kernel's FUSE protocol (linux/fuse.h), version 7. All numbers are in the order of
 * this machine, which is little-endian.
 */
import os from 'node:os';

export const FUSE_MAJOR = 7;
/** Minor version of the layouts in this file. A newer kernel uses the older of the two versions. */
export const FUSE_MINOR = 38;
/** Minimum version that has all features that this file system needs (Linux 4.20). */
export const LEAST_MINOR = 28;

export const Op = Object.freeze({
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  setxattr: 21,
  getxattr: 22,
  listxattr: 23,
  removexattr: 24,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  create: 35,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  fallocate: 43,
  readdirplus: 44,
  rename2: 45,
  lseek: 46,
  tmpfile: 51,
});

/** Codes of requests that change something. */
export const WRITING: ReadonlySet<number> = new Set([
  Op.setattr,
  Op.symlink,
  Op.mknod,
  Op.mkdir,
  Op.unlink,
  Op.rmdir,
  Op.rename,
  Op.link,
  Op.write,
  Op.setxattr,
  Op.removexattr,
  Op.create,
  Op.fallocate,
  Op.rename2,
  Op.tmpfile,
]);

/** Flags of the first message. */
export const InitFlag = Object.freeze({
  asyncRead: 1 << 0,
  /** Cached contents and listings are dropped if times or sizes change. This occurs only at the top level. */
  autoInvalidate: 1 << 12,
  readdirplus: 1 << 13,
  readdirplusAuto: 1 << 14,
  /** Files are not opened and closed: their contents never change, so no request is needed. */
  noOpen: 1 << 17,
  parallelDirectories: 1 << 18,
  posixAcl: 1 << 20,
  maxPages: 1 << 22,
  cacheSymlinks: 1 << 23,
  noOpenDirectory: 1 << 24,
});

export const NotifyCode = Object.freeze({ invalidateEntry: 3 });

const IN_HEADER_BYTES = 40;
export const OUT_HEADER_BYTES = 16;
export const ENTRY_BYTES = 128;
export const DIRENT_BYTES = 24;
export const ROOT_NODE = 1;
/** Maximum length of a name (NAME_MAX of Linux). */
export const MAX_NAME_BYTES = 255;

const { errno } = os.constants;

/** Error numbers of replies. */
export const Errno = Object.freeze({
  EROFS: errno.EROFS,
  ENOENT: errno.ENOENT,
  ENOSYS: errno.ENOSYS,
  EIO: errno.EIO,
  EACCES: errno.EACCES,
  ESTALE: errno.ESTALE,
  ENODATA: errno.ENODATA,
  ERANGE: errno.ERANGE,
  EINVAL: errno.EINVAL,
  ENXIO: errno.ENXIO,
  ENOTDIR: errno.ENOTDIR,
  EISDIR: errno.EISDIR,
  EINTR: errno.EINTR,
  EPROTO: errno.EPROTO,
  ENOMEM: errno.ENOMEM,
  ENAMETOOLONG: errno.ENAMETOOLONG,
});

/** A failed request; `number` is one of `Errno`. */
export class FuseError extends Error {
  constructor(readonly number: number) {
    super(`errno ${number}`);
  }
}

/** A request: a view of memory that is reused when the function that received it returns. */
export interface Request {
  readonly bytes: Buffer;
  readonly at: number;
  readonly opcode: number;
  /** Number to reply to, in two halves. */
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  /** Node of the request, in two halves. */
  readonly nodeLow: number;
  readonly nodeHigh: number;
  /** Offset of the data after the header; `bodyBytes` is its length. */
  readonly bodyAt: number;
  readonly bodyBytes: number;
}

/** Calls `visit` with each request of a batch. */
export function forEachRequest(
  memory: Buffer,
  offset: number,
  bytes: number,
  visit: (request: Request) => void,
): void {
  const end = offset + bytes;
  for (let at = offset; at + IN_HEADER_BYTES <= end; ) {
    const length = memory.readUInt32LE(at);
    visit({
      bytes: memory,
      at,
      opcode: memory.readUInt32LE(at + 4),
      uniqueLow: memory.readUInt32LE(at + 8),
      uniqueHigh: memory.readUInt32LE(at + 12),
      nodeLow: memory.readUInt32LE(at + 16),
      nodeHigh: memory.readUInt32LE(at + 20),
      bodyAt: at + IN_HEADER_BYTES,
      bodyBytes: length - IN_HEADER_BYTES,
    });
    at += (length + 7) & ~7;
  }
}

/** True if a batch contains exactly one request. */
export function isOneRequest(memory: Buffer, offset: number, bytes: number): boolean {
  return bytes >= IN_HEADER_BYTES && memory.readUInt32LE(offset) + 8 > bytes;
}

/** Returns a copy of the name in a request, without its terminating NUL. */
export function nameIn({ bytes, bodyAt, bodyBytes }: Request, from = 0): Buffer {
  const body = bytes.subarray(bodyAt + from, bodyAt + bodyBytes);
  const end = body.indexOf(0);
  return Buffer.from(end < 0 ? body : body.subarray(0, end));
}
