/** Compares an existing file with the content that a restore would write, and reads one that the restore has written. */
import { MAX_EXTENTS, SparseMap, SparseWriter } from '../contents/index.js';
import { contentDigest, type ContentKeys, DIGEST_BYTES, isZeros } from '../model/index.js';
import { type Files, OpenFd, OpenKind, type System } from '../system/index.js';
import { createHash } from 'node:crypto';
import { anotherFile } from './target-file.js';
import { RestoreHow, type RestorePiece } from './restore-types.js';

const READ_BYTES = 1 << 20;

/** Lets other tasks work between the steps of long work; see `yieldRegularly`. */
type Breathe = () => Promise<void> | undefined;

/** A piece of a content; the pieces follow one another. */
export type WantedPiece = Pick<RestorePiece, 'digest' | 'sizeBytes'>;

/**
 * Yields the bytes of an open file from a position on: `sizeBytes`, or fewer at the end of the file. Each part is valid
 * until the one after the next is requested.
 */
export function* bytesIn(
  files: Files,
  fd: number,
  position: number,
  sizeBytes: number,
): Generator<Buffer> {
  const partBytes = Math.min(sizeBytes, READ_BYTES);
  let [buffer, other] = [Buffer.allocUnsafe(partBytes), Buffer.allocUnsafe(partBytes)];
  for (let done = 0; done < sizeBytes; ) {
    const wanted = Math.min(sizeBytes - done, partBytes);
    const part = buffer.subarray(0, files.read(fd, buffer, 0, wanted, position + done));
    if (part.length === 0) return;
    yield part;
    done += part.length;
    [buffer, other] = [other, buffer];
  }
}

/** True if an open file consists of these pieces. Throws any error of reading it, and of `breathe`, which is called for each part. */
export async function hasContent(
  { files, native }: System,
  fd: number,
  pieces: readonly WantedPiece[],
  { keys, breathe }: { readonly keys: ContentKeys | undefined; readonly breathe?: Breathe },
): Promise<boolean> {
  let position = 0;
  for (const { digest, sizeBytes } of pieces) {
    const hash = createHash('sha256');
    for (const part of bytesIn(files, fd, position, sizeBytes)) {
      hash.update(part);
      await breathe?.();
    }
    const found = contentDigest(native, keys, hash.digest());
    if (found.compare(digest, 0, DIGEST_BYTES) !== 0) return false;
    position += sizeBytes;
  }
  return files.read(fd, Buffer.alloc(1), 0, 1, position) === 0;
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
      const read = buffer.subarray(0, count);
      const isWanted = wanted?.subarray(at - from, at - from + count).equals(read) ?? isZeros(read);
      if (count === 0 || !isWanted) return false;
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
  let isBegun = false;
  try {
    isBegun = isBeginning(system, one, { directoryFd, name: whole }, (how & RestoreHow.torn) !== 0);
  } finally {
    if (!isBegun) system.native.unlinkAt(directoryFd, whole);
  }
  if (!isBegun) throw anotherFile();
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
  const opened = ({ directoryFd, name }: OpenableFile): OpenFd =>
    new OpenFd(native, native.openBeneath(directoryFd, name, OpenKind.file));
  using beginning = opened(one);
  using file = opened(whole);
  const [part, other] = [Buffer.allocUnsafe(READ_BYTES), Buffer.allocUnsafe(READ_BYTES)];
  for (let position = 0; ; ) {
    const bytes = files.read(beginning.fd, part, 0, READ_BYTES, position);
    if (bytes === 0) return true;
    for (let have = 0; have < bytes; ) {
      const more = files.read(file.fd, other, have, bytes - have, position + have);
      if (more === 0) return false;
      have += more;
    }
    const isEqual = part.compare(other, 0, bytes, 0, bytes) === 0;
    const isLost = (byte: number, index: number): boolean => byte === 0 || byte === other[index];
    if (!isEqual && !(isTorn && part.subarray(0, bytes).every(isLost))) return false;
    position += bytes;
  }
}
