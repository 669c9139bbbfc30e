/** Makes the parity file of a pack or an object. */
import { releaseMemory } from '../../model/index.js';
import { crc32, type NativeCalls } from '../../system/index.js';
import type { Backend, ObjectWriter } from '../backends/backend.js';
import { parityName } from '../layout/layout.js';
import type { RecordReader } from '../packs/scan.js';
import { coefficient } from './galois-field.js';
import { buildHead, HEAD_BYTES, type ParityIndex } from './parity-file.js';
import { type Shape, shapeOf, type Stretch, SUM_BYTES, tableBytes } from './shape.js';

/** Number of bytes read at once, a whole number of blocks. */
const PIECE_BYTES = 1 << 20;

export type ParityMath = Pick<NativeCalls, 'multiplyAdd'>;

export interface ParityRequest {
  /** Bytes of the object, from its start, to protect; at least one. */
  readonly coveredBytes: number;
  readonly percent: number;
  /** Called after each piece, so that other work can run. */
  readonly breathe: () => Promise<void> | undefined;
}

/**
 * Makes the parity file of an object, which must be sound and must not change meanwhile. Replaces an earlier one. The
 * file is not synced: after a power cut its checksums show if it is complete. Returns its length.
 */
export async function makeParity(
  backend: Backend,
  math: ParityMath,
  name: string,
  { coveredBytes, percent, breathe }: ParityRequest,
): Promise<number> {
  using staged = backend.stage();
  const source = { reader: backend, name };
  const request = { coveredBytes, percent, breathe };
  staged.replaceStart(await appendParity(staged, math, source, request));
  await backend.remove(parityName(name));
  staged.publish(parityName(name));
  return staged.sizeBytes;
}

/** The object whose first bytes are protected by parity. */
export interface Protected {
  readonly reader: Pick<RecordReader, 'read'>;
  readonly name: string;
}

/**
 * Appends the parity of an object to `staged`. The head and the table at its start are zeros, since their values are
 * known only at the end. Returns the bytes to write in place of the zeros. It needs memory for the parity of one
 * stretch.
 */
export async function appendParity(
  staged: ObjectWriter,
  math: ParityMath,
  source: Protected,
  { coveredBytes, percent, breathe }: ParityRequest,
): Promise<Buffer> {
  const shape = shapeOf(coveredBytes, percent);
  const table = Buffer.alloc(tableBytes(shape));
  staged.append(Buffer.alloc(HEAD_BYTES + table.length));
  for (const stretch of shape.stretches) {
    const parity = await parityOf(source, math, { shape, stretch, table, breathe });
    addSums(table, shape.blocks + stretch.firstParity, parity, shape.blockBytes);
    staged.append(parity);
    releaseMemory(parity);
  }
  const index: ParityIndex = { shape, table };
  const head = buildHead(index);
  staged.append(table);
  staged.append(head);
  return Buffer.concat([head, table]);
}

interface Work {
  readonly shape: Shape;
  readonly stretch: Stretch;
  readonly table: Buffer;
  readonly breathe: () => Promise<void> | undefined;
}

/** Returns the parity blocks of a stretch, and records the checksums of the stretch's blocks in the table. */
async function parityOf(
  { reader, name }: Protected,
  math: ParityMath,
  { shape, stretch, table, breathe }: Work,
): Promise<Buffer> {
  const { blockBytes, coveredBytes } = shape;
  const { first, blocks, columns, rows } = stretch;
  const rowBytes = columns * blockBytes;
  const parity = Buffer.alloc(rows * rowBytes);
  const from = first * blockBytes;
  const to = Math.min((first + blocks) * blockBytes, coveredBytes);
  const pieceBytes = Math.min(PIECE_BYTES, blocks * blockBytes);
  const piece = Buffer.allocUnsafe(pieceBytes);
  for (let at = from; at < to; at += pieceBytes) {
    const wanted = Math.min(pieceBytes, to - at);
    const got = await reader.read(name, at, piece, wanted);
    if (got < wanted) throw new Error(`${name} has become shorter`);
    const whole = Math.ceil(wanted / blockBytes) * blockBytes;
    piece.fill(0, wanted, whole); // for parity, zeros follow the file's last byte up to the end of the block
    addSums(table, at / blockBytes, piece.subarray(0, whole), blockBytes);
    addToRows(math, parity, { rowBytes, rows }, piece.subarray(0, whole), at - from);
    await breathe();
  }
  releaseMemory(piece);
  return parity;
}

/** Adds some bytes of a stretch to its rows of parity. The bytes begin at `offset` in the stretch. */
export function addToRows(
  math: ParityMath,
  parity: Buffer,
  { rowBytes, rows }: { readonly rowBytes: number; readonly rows: number },
  bytes: Buffer,
  offset: number,
): void {
  for (let done = 0; done < bytes.length; ) {
    const shard = Math.floor((offset + done) / rowBytes);
    const at = (offset + done) % rowBytes;
    const count = Math.min(bytes.length - done, rowBytes - at, CACHED_BYTES);
    for (let row = 0; row < rows; row += 1) {
      const factor = coefficient(row, shard);
      math.multiplyAdd(parity, row * rowBytes + at, bytes, done, count, factor, false);
    }
    done += count;
  }
}

/** Number of bytes that are added to all rows before the next bytes, so that they stay in the processor's cache. */
const CACHED_BYTES = 64 << 10;

function addSums(table: Buffer, firstBlock: number, bytes: Buffer, blockBytes: number): void {
  for (let at = 0, block = firstBlock; at < bytes.length; at += blockBytes, block += 1) {
    table.writeUInt32LE(crc32(bytes.subarray(at, at + blockBytes)), block * SUM_BYTES);
  }
}
