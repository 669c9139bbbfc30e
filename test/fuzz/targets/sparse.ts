/** The sparse form of files: its head, and the data after it in pieces. */
import { SparseMap, SparseWriter } from '../../../src/contents/index.js';
import { attempt, magnitude, must, type Target } from '../engine/target.js';

const FIXED_BYTES = 16;
const EXTENT_BYTES = 16;

function head(
  fileBytes: number,
  ...extents: readonly (readonly [from: number, bytes: number])[]
): Buffer {
  const bytes = Buffer.alloc(FIXED_BYTES + EXTENT_BYTES * extents.length);
  bytes.writeBigUInt64LE(BigInt(fileBytes), 0);
  bytes.writeBigUInt64LE(BigInt(extents.length), 8);
  extents.forEach(([from, count], index) => {
    bytes.writeBigUInt64LE(BigInt(from), FIXED_BYTES + EXTENT_BYTES * index);
    bytes.writeBigUInt64LE(BigInt(count), FIXED_BYTES + EXTENT_BYTES * index + 8);
  });
  return bytes;
}

/** Writes the form in pieces of a given length. The written data must be in order and within the file. */
function write(data: Buffer, pieceBytes: number): string {
  const writer = new SparseWriter();
  let end = 0;
  let written = 0;
  for (let at = 0; at < data.length; at += pieceBytes) {
    writer.push(data.subarray(at, at + pieceBytes), (piece, position) => {
      must(position >= end, 'data is written twice');
      end = position + piece.length;
      written += piece.length;
    });
  }
  const sizeBytes = writer.finish();
  must(end <= sizeBytes, 'data is written behind the end of the file');
  return `${magnitude(sizeBytes)} ${written}`;
}

function map(data: Buffer): string {
  const count = data.length < FIXED_BYTES ? 0 : Number(data.readBigUInt64LE(8));
  const whole = new SparseMap(data.subarray(0, FIXED_BYTES + EXTENT_BYTES * Math.min(count, 255)));
  must(whole.fileBytes >= 0 && Number.isSafeInteger(whole.formBytes), 'impossible lengths');
  let pieces = 0;
  const from = Math.floor(whole.formBytes / 3);
  let at = from;
  whole.forEachPiece(from, whole.formBytes, (piece) => {
    must(piece.at === at && piece.bytes > 0, 'pieces are not side by side');
    at += piece.bytes;
    pieces += 1;
  });
  must(at === Math.max(from, whole.formBytes), 'pieces do not cover the form');
  return magnitude(pieces);
}

export const target: Target = {
  about: 'sparse forms: refused, or data in order and within the file, however it is cut',
  seeds: () => [
    Buffer.concat([head(100, [10, 5], [50, 7]), Buffer.alloc(12, 1)]),
    head(1 << 30),
    Buffer.concat([head(20, [0, 20]), Buffer.alloc(20, 2)]),
    Buffer.concat([head(2 ** 50, [2 ** 50 - 4, 4]), Buffer.alloc(4, 3)]),
  ],
  fuzz: (data) => {
    const words = [1, 7, data.length + 1].map((piece) =>
      attempt(['CONTENT_DAMAGED'], () => write(data, piece)),
    );
    must(new Set(words).size === 1, `the cut makes a difference: ${words.join(' / ')}`);
    return `${words[0]} / ${attempt(['CONTENT_DAMAGED'], () => map(data))}`;
  },
  maxBytes: 2048,
};
