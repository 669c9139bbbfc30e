/**
 * Parity within an object of a bucket: the last record of the object, which protects all bytes before it. It needs no
 * request of its own. It is locked and deleted with its object, and cannot be the parity of another object.
 */
import { crc32 } from '../../system/index.js';
import type { ObjectWriter } from '../backends/backend.js';
import { stagedPieces } from '../backends/staged-pieces.js';
import { parityName } from '../layout/layout.js';
import { Codec } from '../packs/codec.js';
import { RECORD_HEADER_BYTES, RecordKind, writeHeader } from '../packs/record.js';
import type { RecordReader } from '../packs/scan.js';
import type { HealingBackend } from './heal.js';
import {
  appendParity,
  type ParityMath,
  type ParityRequest,
  type Protected,
} from './make-parity.js';
import { HEAD_BYTES, PARITY_MAGIC, parityBytes, readExactly, shapeIn } from './parity-file.js';
import { type Shape, shapeOf } from './shape.js';

/** Number of bytes read at once. */
const PIECE_BYTES = 1 << 20;

/** The place of parity in an object. */
export interface InnerParity {
  /** Number of protected bytes. The parity record follows them, and is the last record of the object. */
  readonly coveredBytes: number;
  readonly percent: number;
}

/** Returns the length of the parity record that protects `coveredBytes` bytes. */
export function innerParityBytes(coveredBytes: number, percent: number): number {
  return RECORD_HEADER_BYTES + parityBytes(shapeOf(coveredBytes, percent));
}

/** Writes the record with the parity of an object to a staged object, which must be empty. */
export async function stageInnerParity(
  staged: ObjectWriter,
  math: ParityMath,
  source: Protected,
  request: ParityRequest,
): Promise<void> {
  const header = Buffer.alloc(RECORD_HEADER_BYTES);
  staged.append(header);
  const start = await appendParity(staged, math, source, request);
  staged.replaceStart(Buffer.concat([header, start]));
  const bodyBytes = staged.sizeBytes - RECORD_HEADER_BYTES;
  let bodyChecksum = 0;
  for await (const piece of stagedPieces(staged, RECORD_HEADER_BYTES)) {
    bodyChecksum = crc32(piece, bodyChecksum);
  }
  const sizes = { rawBytes: bodyBytes, bodyBytes, indexBytes: 0 };
  writeHeader(header, 0, { kind: RecordKind.parity, codec: Codec.none, ...sizes, bodyChecksum });
  staged.replaceStart(header);
}

/**
 * Finds the parity of an object by either of its two heads; undefined if there is none. It reads only the last bytes of
 * the object. If these are damaged and `isThorough` is true, it searches the whole object.
 */
export async function findInnerParity(
  reader: RecordReader,
  name: string,
  isThorough: boolean,
): Promise<InnerParity | undefined> {
  const sizeBytes = (await reader.size(name)) ?? 0;
  const last = await readExactly(reader, name, sizeBytes - HEAD_BYTES, HEAD_BYTES);
  const found = last && fitting(shapeIn(last), sizeBytes);
  if (found !== undefined || !isThorough) return found;
  for (let at = 0; at < sizeBytes; at += PIECE_BYTES) {
    // Pieces overlap, so that no head is cut in two.
    const bytes = Math.min(PIECE_BYTES + HEAD_BYTES, sizeBytes - at);
    const piece = await readExactly(reader, name, at, bytes);
    const first = piece && headIn(piece, at);
    if (first !== undefined) return first;
  }
  return undefined;
}

/**
 * Returns the parity whose first head is in a piece of an object, at the position that the head itself implies;
 * undefined if there is none. The end of the parity may be cut off.
 */
function headIn(piece: Buffer, pieceAt: number): InnerParity | undefined {
  let at = piece.indexOf(PARITY_MAGIC);
  for (; at >= 0 && at + HEAD_BYTES <= piece.length; at = piece.indexOf(PARITY_MAGIC, at + 1)) {
    const shape = shapeIn(piece.subarray(at, at + HEAD_BYTES));
    if (shape?.coveredBytes !== pieceAt + at - RECORD_HEADER_BYTES) continue;
    return { coveredBytes: shape.coveredBytes, percent: shape.percent };
  }
  return undefined;
}

/**
 * Returns the parity of a shape. Returns undefined unless the protected bytes and the parity together have the size of
 * the object.
 */
function fitting(shape: Shape | undefined, sizeBytes: number): InnerParity | undefined {
  if (shape === undefined) return undefined;
  const { coveredBytes, percent } = shape;
  const isOfThis = coveredBytes + RECORD_HEADER_BYTES + parityBytes(shape) === sizeBytes;
  return isOfThis ? { coveredBytes, percent } : undefined;
}

/** Presents an object with inner parity as a file and its parity file, the form that `examine` and `heal` use. */
export class InnerParityView implements HealingBackend {
  /** The healed bytes; undefined until `heal` has replaced the object. */
  healed: ObjectWriter | undefined;

  constructor(
    private readonly copy: ObjectWriter,
    private readonly found: InnerParity,
    private readonly makeStaged: () => ObjectWriter,
  ) {}

  async size(name: string): Promise<number> {
    return this.rangeOf(name).bytes;
  }

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    const { at, bytes: all } = this.rangeOf(name);
    const wanted = Math.max(0, Math.min(bytes, all - position));
    return wanted === 0 ? 0 : this.copy.readBack(at + position, target, wanted);
  }

  stage(): ObjectWriter {
    return this.makeStaged();
  }

  /** Copies the healed bytes to a staged object of its own, since `heal` closes the one it passes. */
  async replace(staged: ObjectWriter): Promise<void> {
    const healed = this.makeStaged();
    this.healed = healed;
    for await (const piece of stagedPieces(staged)) healed.append(piece);
  }

  private rangeOf(name: string): { readonly at: number; readonly bytes: number } {
    const { coveredBytes } = this.found;
    if (name !== INNER_PARITY) return { at: 0, bytes: coveredBytes };
    const at = coveredBytes + RECORD_HEADER_BYTES;
    return { at, bytes: this.copy.sizeBytes - at };
  }
}

/** Name of the object in its `InnerParityView`. */
export const INNER_OBJECT = 'object';
const INNER_PARITY = parityName(INNER_OBJECT);
