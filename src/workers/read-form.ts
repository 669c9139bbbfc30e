/** Reads a file in the form in which it is sent: its bytes, or its sparse form. */
import type { SparseMap } from '../contents/index.js';
import type { System } from '../system/index.js';

/** An open file, and the map of its data if it is sent in sparse form. */
interface SentForm {
  readonly file: number;
  readonly sparse?: SparseMap | undefined;
}

interface ByteRange {
  readonly position: number;
  readonly bytes: number;
}

/**
 * Reads a range of a file, in the form in which it is sent, to the start of `target`. Returns the number of bytes that
 * were read; fewer if the file was truncated.
 */
export function readForm(
  system: System,
  { file, sparse }: SentForm,
  target: Buffer,
  range: ByteRange,
): number {
  if (sparse !== undefined) return readSparse(system, { file, sparse }, target, range);
  return system.files.read(file, target, 0, range.bytes, range.position);
}

function readSparse(
  system: System,
  { file, sparse }: Required<SentForm>,
  target: Buffer,
  { position, bytes }: ByteRange,
): number {
  let got = 0;
  let isShort = false;
  sparse.forEachPiece(position, bytes, ({ bytes: pieceBytes, offset, head }) => {
    if (isShort) return;
    if (head !== undefined) got += head.copy(target, got);
    else {
      const read = system.files.read(file, target, got, pieceBytes, offset);
      got += read;
      isShort = read < pieceBytes;
    }
  });
  return got;
}
