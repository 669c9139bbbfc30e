/** Compares an existing file with the content that a restore would write, and reads one that the restore has written. */
import { MAX_EXTENTS, SparseMap, SparseWriter } from '../contents/index.js';
import { contentDigest, type ContentKeys, DIGEST_BYTES } from '../model/index.js';
import { TardisError } from '../errors/index.js';
import { OpenKind, type System } from '../system/index.js';
import { createHash } from 'node:crypto';
import { anotherFile } from './restore-errors.js';
import { RestoreHow } from './restore-types.js';

const READ_BYTES = 1 << 20;
const ZEROS: Buffer = Buffer.alloc(READ_BYTES);

/** A piece of a content; the pieces follow one another. */
interface WantedPiece {
  readonly digest: Uint8Array;
  readonly sizeBytes: number;
}

/** True if an open file consists of these pieces. Throws any error of reading it. */
export function hasContent(
  { files, native }: System,
  fd: number,
  pieces: readonly WantedPiece[],
  keys: ContentKeys | undefined,
): boolean {
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let position = 0;
  for (const { digest, sizeBytes } of pieces) {
    const hash = createHash('sha256');
    for (let left = sizeBytes; left > 0; ) {
      const bytes = files.read(fd, buffer, 0, Math.min(left, READ_BYTES), position);
      if (bytes === 0) return false;
      hash.update(buffer.subarray(0, bytes));
      position += bytes;
      left -= bytes;
    }
    const found = contentDigest(native, keys, hash.digest());
    if (found.compare(digest, 0, DIGEST_BYTES) !== 0) return false;
  }
  return files.read(fd, buffer, 0, 1, position) === 0;
}

/**
 * True if an open file has the bytes of a sparse file, whose stored form is given: its data, and zeros elsewhere. Holes of
 * the open file are not read. Throws CONTENT_DAMAGED for a form that makes no sense, and any error of reading the file.
 */
export async function hasSparseContent(
  { files, native }: System,
  fd: number,
  form: AsyncIterable<Buffer>,
): Promise<boolean> {
  const { sizeBytes } = files.statusOf(fd);
  const head = native.sparseHead(fd, sizeBytes, MAX_EXTENTS);
  const found = head.length === 0 ? undefined : new SparseMap(head);
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  const has = (from: number, to: number, wanted?: Buffer): boolean => {
    for (let at = from; at < to; ) {
      const count = files.read(fd, buffer, 0, Math.min(to - at, READ_BYTES), at);
      const [start, end] = wanted === undefined ? [0, count] : [at - from, at - from + count];
      if (count === 0 || buffer.compare(wanted ?? ZEROS, start, end, 0, count) !== 0) return false;
      at += count;
    }
    return true;
  };
  const isZero = (from: number, to: number): boolean => {
    for (let at = from; at < to; ) {
      const data = found === undefined ? { offset: at, bytes: to - at } : found.dataFrom(at);
      if (data === undefined || data.offset >= to) return true;
      const end = Math.min(to, data.offset + data.bytes);
      if (!has(Math.max(at, data.offset), end)) return false;
      at = end;
    }
    return true;
  };
  const sparse = new SparseWriter();
  let isEqual = true;
  let end = 0;
  for await (const bytes of form) {
    sparse.push(bytes, (data, position) => {
      const to = position + data.length;
      isEqual &&= isZero(end, position) && has(position, to, data);
      end = to;
    });
    if (!isEqual) return false;
  }
  return sparse.finish() === sizeBytes && isZero(end, sizeBytes);
}

/**
 * Yields a piece of a content from an open file that has the piece at a position. Each part is valid until the next one is
 * requested. Throws CONTENT_DAMAGED at the end if the file has other bytes there.
 */
export async function* pieceInFile(
  { files, native }: System,
  { fd, position, keys }: { readonly fd: number; position: number; keys: ContentKeys | undefined },
  { digest, sizeBytes }: WantedPiece,
): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(sizeBytes, READ_BYTES));
  const hash = createHash('sha256');
  for (let done = 0; done < sizeBytes; ) {
    const wanted = Math.min(sizeBytes - done, READ_BYTES);
    const part = buffer.subarray(0, files.read(fd, buffer, 0, wanted, position + done));
    if (part.length === 0) break;
    hash.update(part);
    done += part.length;
    yield part;
  }
  const found = contentDigest(native, keys, hash.digest());
  if (found.compare(digest, 0, DIGEST_BYTES) === 0) return;
  throw new TardisError('CONTENT_DAMAGED', 'a file that the restore has written was changed');
}

/**
 * If `how` (RestoreHow) lets a file be replaced only if it was begun, requires that it is a beginning of the new one,
 * `whole`. Otherwise removes the new one and throws TARGET_EXISTS.
 */
export function requireBegun(
  system: System,
  directoryFd: number,
  { name, how, whole }: { readonly name: Buffer; readonly how: number; readonly whole: Buffer },
): void {
  if ((how & RestoreHow.begun) === 0) return;
  const one = { directoryFd, name };
  if (isBeginning(system, one, { directoryFd, name: whole }, (how & RestoreHow.torn) !== 0)) return;
  system.native.unlinkAt(directoryFd, whole);
  throw anotherFile();
}

interface OpenableFile {
  readonly directoryFd: number;
  readonly name: Buffer;
}

/**
 * True if a file is a beginning of the file `whole`, or equal to it. With `isTorn`, each of its bytes may be zero instead.
 * Throws any error of reading them.
 */
export function isBeginning(
  { files, native }: System,
  one: OpenableFile,
  whole: OpenableFile,
  isTorn: boolean,
): boolean {
  const fds: number[] = [];
  const [part, other] = [Buffer.allocUnsafe(READ_BYTES), Buffer.allocUnsafe(READ_BYTES)];
  try {
    for (const { directoryFd, name } of [one, whole]) {
      fds.push(native.openBeneath(directoryFd, name, OpenKind.file));
    }
    for (let position = 0; ; ) {
      const bytes = files.read(fds[0]!, part, 0, READ_BYTES, position);
      if (bytes === 0) return true;
      for (let have = 0; have < bytes; ) {
        const more = files.read(fds[1]!, other, have, bytes - have, position + have);
        if (more === 0) return false;
        have += more;
      }
      const isEqual = part.compare(other, 0, bytes, 0, bytes) === 0;
      const isLost = (byte: number, index: number): boolean => byte === 0 || byte === other[index];
      if (!isEqual && !(isTorn && part.subarray(0, bytes).every(isLost))) return false;
      position += bytes;
    }
  } finally {
    for (const fd of fds) native.close(fd);
  }
}
