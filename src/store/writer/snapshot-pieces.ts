/**
 * Pieces of a copy of the catalog in a bucket (docs/inside/formats.md, "Copies in a bucket"). Each piece is a sequence of
 * frames, so that neither writer nor reader compresses much at once.
 */
import { recordDamaged, TardisError } from '../../errors/index.js';
import { Codec, decode, encode, encodedBound, SNAPSHOT_PIECE_BYTES } from '../index.js';
import { atOnce, type Files } from '../../system/index.js';

/** Bytes of the catalog in each frame but the last one. */
const FRAME_BYTES = 1 << 20;
const HEAD_BYTES = 4;
const LEVEL = 1;
/** Number of pieces that are fetched at once. */
const MOST_FETCHING = 4;
const MAX_FRAMES: number = SNAPSHOT_PIECE_BYTES / FRAME_BYTES;
/** Maximum size of the object of a piece. */
export const MAX_STORED_BYTES: number =
  MAX_FRAMES * (HEAD_BYTES + encodedBound(Codec.zstd, FRAME_BYTES));

/** A part of a file. */
interface PieceOfFile {
  readonly fd: number;
  readonly at: number;
  readonly sizeBytes: number;
}

/** A file, and the size of its pieces but the last one. */
interface FileInPieces {
  readonly fd: number;
  readonly fileBytes: number;
  readonly pieceBytes: number;
}

/** Returns piece `index` of a file. */
export function pieceOf({ fd, fileBytes, pieceBytes }: FileInPieces, index: number): PieceOfFile {
  const at = index * pieceBytes;
  return { fd, at, sizeBytes: Math.min(pieceBytes, fileBytes - at) };
}

/**
 * Writes a file from its pieces, some of which are fetched at once. `onPiece` is called after each. Rejects with the
 * first error once no piece is being fetched, and with RECORD_DAMAGED if a piece is damaged.
 */
export async function fetchPieces(
  files: Files,
  file: FileInPieces,
  fetch: (index: number) => Promise<Buffer>,
  onPiece: (done: number, count: number) => void = () => undefined,
): Promise<void> {
  const count = Math.ceil(file.fileBytes / file.pieceBytes);
  let done = 0;
  await atOnce(Array.from({ length: count }).keys(), MOST_FETCHING, async (index) => {
    unpackPiece(files, await fetch(index), pieceOf(file, index));
    done += 1;
    onPiece(done, count);
  });
}

/** Reads and compresses a piece. Throws CATALOG_DAMAGED if the file ends within it. */
export async function packPiece(
  files: Files,
  { fd, at, sizeBytes }: PieceOfFile,
  breathe: () => Promise<void> | undefined,
): Promise<Buffer> {
  const raw = Buffer.allocUnsafe(Math.min(FRAME_BYTES, sizeBytes));
  const frames: Buffer[] = [];
  for (let done = 0; done < sizeBytes; done += FRAME_BYTES) {
    const part = raw.subarray(0, Math.min(FRAME_BYTES, sizeBytes - done));
    if (files.read(fd, part, 0, part.length, at + done) < part.length) {
      throw new TardisError('CATALOG_DAMAGED', 'the catalog became shorter while it was read');
    }
    const frame = Buffer.allocUnsafe(HEAD_BYTES + encodedBound(Codec.zstd, part.length));
    const bytes = encode(Codec.zstd, LEVEL, part, frame, HEAD_BYTES);
    frame.writeUInt32LE(bytes, 0);
    frames.push(Buffer.from(frame.subarray(0, HEAD_BYTES + bytes)));
    await breathe();
  }
  return Buffer.concat(frames);
}

/**
 * Decompresses a piece into its place in a file. Throws RECORD_DAMAGED if the bytes are damaged, or are those of a
 * piece of another length.
 */
export function unpackPiece(
  files: Files,
  stored: Buffer,
  { fd, at, sizeBytes }: PieceOfFile,
): void {
  const raw = Buffer.allocUnsafe(Math.min(FRAME_BYTES, sizeBytes));
  let from = 0;
  for (let done = 0; done < sizeBytes; done += FRAME_BYTES) {
    const part = raw.subarray(0, Math.min(FRAME_BYTES, sizeBytes - done));
    const bytes = from + HEAD_BYTES <= stored.length ? stored.readUInt32LE(from) : Infinity;
    from += HEAD_BYTES;
    if (from + bytes > stored.length) throw notWhole();
    decode(Codec.zstd, stored.subarray(from, from + bytes), part);
    files.write(fd, part, at + done);
    from += bytes;
  }
  if (from !== stored.length) throw notWhole();
}

function notWhole(): TardisError {
  return recordDamaged('a piece of a copy of the catalog is not whole');
}
