/** Reads the form of a file that is sent: its bytes, or its sparse form. */
import type { System } from '../system/index.js';
import type { SparseMap } from './sparse.js';

/**
 * Reads a range of that form to the start of `target`. Returns the number of bytes; fewer if the file was truncated.
 */
export function readForm(
  system: System,
  file: number,
  sparse: SparseMap | undefined,
  target: Buffer,
  bytes: number,
  position: number,
): number {
  if (sparse === undefined) return system.files.read(file, target, 0, bytes, position);
  return readSparse(system, file, sparse, target, bytes, position);
}

function readSparse(
  system: System,
  file: number,
  sparse: SparseMap,
  target: Buffer,
  bytes: number,
  position: number,
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
