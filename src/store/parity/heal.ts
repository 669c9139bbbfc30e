/**
 * Restores damaged blocks of a pack or an object from its parity. The healed copy replaces the damaged file only if its
 * own records prove that it is sound. Parity is no proof, since it may itself be damaged or hostile.
 */
import type { MendableBackend, ObjectWriter } from '../backends/backend.js';
import { stagedReader } from '../backends/staged-pieces.js';
import { parityName } from '../layout/layout.js';
import type { RecordReader } from '../packs/scan.js';
import { inverseOf } from './galois-field.js';
import { addToRows, type ParityMath } from './make-parity.js';
import {
  type ParityIndex,
  parityBytes,
  parityPosition,
  readExactly,
  readIndex,
  sumOf,
} from './parity-file.js';
import type { Shape, Stretch } from './shape.js';
import { isBetter, type SoundRecords, soundRecords, zeroed } from './sound-records.js';
import { crc32 } from '../../system/index.js';

/** The state of an object and its parity, before anything is done. */
type ParityState =
  /** Every block of the object and of its parity matches its checksum. */
  | 'sound'
  /** The object is sound by its own records, but its parity is damaged, or belongs to another object. */
  | 'badParity'
  /** The object is sound by its own records, and has no parity. */
  | 'noParity'
  /** The object's own records show damage. */
  | 'damaged';

export interface Examined {
  readonly state: ParityState;
  /** Head and table of the parity; undefined if there is no usable parity. */
  readonly index: ParityIndex | undefined;
  /** Numbers of the blocks that do not match the checksums in the parity, ascending. */
  readonly badBlocks: readonly number[];
  /** The object's sound records; undefined if they did not have to be read. */
  readonly records: SoundRecords | undefined;
}

/** The part of a backend that a repair of one object needs. */
export type HealingBackend = Pick<MendableBackend, 'read' | 'size' | 'stage' | 'replace'>;

export interface HealTools<Healing extends HealingBackend = MendableBackend> {
  readonly backend: Healing;
  readonly math: ParityMath;
  readonly breathe: () => Promise<void> | undefined;
}

/** Number of bytes copied or compared at once. */
const COPY_BYTES = 1 << 20;

/** Reads a whole object and its parity, and returns their state. The object must exist. */
export async function examine(
  { backend, breathe }: HealTools<HealingBackend>,
  name: string,
): Promise<Examined> {
  const file = parityName(name);
  const index = await readIndex(backend, file);
  const hasFile = (await backend.size(file)) !== undefined;
  const badBlocks = index === undefined ? [] : await badBlocksOf(backend, name, index, breathe);
  if (index !== undefined && badBlocks.length === 0) {
    const isWhole = await isParityWhole(backend, file, index, breathe);
    return { state: isWhole ? 'sound' : 'badParity', index, badBlocks, records: undefined };
  }
  const records = await soundRecords(backend, name, breathe);
  const sizeBytes = (await backend.size(name)) ?? 0;
  const state = isDamaged(records, index, sizeBytes)
    ? 'damaged'
    : hasFile
      ? 'badParity'
      : 'noParity';
  return { state, index, badBlocks, records };
}

/**
 * True if the parity file of an object is there and not as it was written. Does not read the object. Garbage collection
 * may delete both meanwhile.
 */
export async function isParityDamaged(
  backend: RecordReader,
  name: string,
  breathe: () => Promise<void> | undefined,
): Promise<boolean> {
  const file = parityName(name);
  const index = await readIndex(backend, file);
  if (index !== undefined && (await isParityWhole(backend, file, index, breathe))) return false;
  return (await backend.size(name)) !== undefined && (await backend.size(file)) !== undefined;
}

/**
 * True if the records show damage. With parity, all protected bytes must be sound records. Without parity, bytes at the
 * end of a file may have been left by an interrupted session, so they are not damage if a sound record precedes them.
 */
function isDamaged(
  { hasGap, wholeBytes }: SoundRecords,
  index: ParityIndex | undefined,
  sizeBytes: number,
): boolean {
  if (hasGap) return true;
  if (index !== undefined) return wholeBytes < index.shape.coveredBytes;
  return wholeBytes === 0 && sizeBytes > 0;
}

/**
 * Returns the numbers of the blocks that do not match their checksums, or that end behind the end of the object. Bytes
 * that the disk cannot read count as zeros.
 */
async function badBlocksOf(
  backend: RecordReader,
  name: string,
  { shape, table }: ParityIndex,
  breathe: () => Promise<void> | undefined,
): Promise<number[]> {
  const reader = zeroed(backend);
  const { blockBytes, blocks } = shape;
  const sizeBytes = (await backend.size(name)) ?? 0;
  const bad: number[] = [];
  const perPiece = Math.max(1, Math.floor(COPY_BYTES / blockBytes));
  const piece = Buffer.alloc(Math.min(perPiece, blocks) * blockBytes);
  for (let first = 0; first < blocks; first += perPiece) {
    const count = Math.min(perPiece, blocks - first);
    await readBlocks(reader, name, shape, first, piece.subarray(0, count * blockBytes));
    for (let at = 0; at < count; at += 1) {
      const block = first + at;
      const end = Math.min((block + 1) * blockBytes, shape.coveredBytes);
      const bytes = piece.subarray(at * blockBytes, (at + 1) * blockBytes);
      if (end > sizeBytes || crc32(bytes) !== sumOf(table, block)) bad.push(block);
    }
    await breathe();
  }
  return bad;
}

/**
 * Reads whole blocks of an object. Bytes beyond the object's end, or beyond its protected bytes, are returned as zeros.
 */
async function readBlocks(
  reader: RecordReader,
  name: string,
  { blockBytes, coveredBytes }: Shape,
  first: number,
  target: Buffer,
): Promise<void> {
  const at = first * blockBytes;
  const bytes = Math.min(target.length, coveredBytes - at);
  const got = await reader.read(name, at, target, bytes);
  target.fill(0, got);
}

async function isParityWhole(
  backend: RecordReader,
  file: string,
  index: ParityIndex,
  breathe: () => Promise<void> | undefined,
): Promise<boolean> {
  const { shape, table } = index;
  if ((await backend.size(file)) !== parityBytes(shape)) return false;
  for (let block = 0; block < shape.parityBlocks; block += 1) {
    await breathe();
    if ((await parityBlock(backend, file, index, block)) === undefined) return false;
  }
  // The two copies of head and table, at both ends of the file.
  const indexBytes = parityPosition(shape, 0);
  const start = await readExactly(backend, file, 0, indexBytes);
  const end = await readExactly(backend, file, parityBytes(shape) - indexBytes, indexBytes);
  if (start === undefined || end === undefined) return false;
  const headBytes = indexBytes - table.length;
  const isTwice =
    start.subarray(headBytes).equals(table) && end.subarray(0, table.length).equals(table);
  return isTwice && start.subarray(0, headBytes).equals(end.subarray(table.length));
}

/** Returns a block of parity; undefined if the file ends before it, or if it does not match its checksum. */
async function parityBlock(
  backend: RecordReader,
  file: string,
  { shape, table }: ParityIndex,
  block: number,
): Promise<Buffer | undefined> {
  const bytes = await readExactly(backend, file, parityPosition(shape, block), shape.blockBytes);
  const isRight = bytes !== undefined && crc32(bytes) === sumOf(table, shape.blocks + block);
  return isRight ? bytes : undefined;
}

interface Healed {
  /**
   * Result of the repair. `healed`: all damage is repaired. `partly`: some is left. `beyond`: the parity does not
   * suffice, and nothing was changed.
   */
  readonly outcome: 'healed' | 'partly' | 'beyond';
  readonly restoredBlocks: number;
  readonly lostBlocks: number;
}

/**
 * Heals a damaged object as far as its parity allows. The object is replaced atomically, and only by a copy that has
 * all of its sound records and more. If it throws DISK_FULL or a system error, nothing was changed.
 */
export async function heal(
  tools: HealTools<HealingBackend>,
  name: string,
  examined: Examined,
): Promise<Healed> {
  const { index, badBlocks, records } = examined;
  const lost = { restoredBlocks: 0, lostBlocks: badBlocks.length };
  if (index === undefined || records === undefined || badBlocks.length === 0) {
    return { outcome: 'beyond', ...lost };
  }
  // No parity restores more blocks than it has. Without this check, the parity of a much longer file could fill the
  // disk with a copy.
  if (badBlocks.length > index.shape.parityBlocks) return { outcome: 'beyond', ...lost };
  const { backend, breathe } = tools;
  using staged = backend.stage();
  const restored = await writeHealed(tools, name, { index, badBlocks }, staged);
  if (restored === 0) return { outcome: 'beyond', ...lost };
  const copy = stagedReader(staged);
  const after = await soundRecords(copy, name, breathe);
  if (!isBetter(after, records)) return { outcome: 'beyond', ...lost };
  await backend.replace(staged, name);
  const outcome = restored === badBlocks.length && !after.hasGap ? 'healed' : 'partly';
  return { outcome, restoredBlocks: restored, lostBlocks: badBlocks.length - restored };
}

interface Damage {
  readonly index: ParityIndex;
  readonly badBlocks: readonly number[];
}

/** Writes a copy of an object, with its damaged blocks restored. Returns the number of restored blocks. */
async function writeHealed(
  { backend, math, breathe }: HealTools<HealingBackend>,
  name: string,
  { index, badBlocks }: Damage,
  staged: ObjectWriter,
): Promise<number> {
  const { shape } = index;
  const reader = zeroed(backend);
  const { blockBytes, coveredBytes } = shape;
  const sizeBytes = (await backend.size(name)) ?? 0;
  const buffer = Buffer.alloc(blockBytes);
  let restored = 0;
  for (const stretch of shape.stretches) {
    const end = stretch.first + stretch.blocks;
    const bad = badBlocks.filter((block) => block >= stretch.first && block < end);
    const solver = { reader, math, name, index, stretch, breathe };
    const right = bad.length === 0 ? new Map<number, Buffer>() : await solve(solver, bad);
    restored += right.size;
    for (let block = stretch.first; block < end; block += 1) {
      if (right.get(block) === undefined) await readBlocks(reader, name, shape, block, buffer);
      const bytes = right.get(block) ?? buffer;
      staged.append(bytes.subarray(0, Math.min(blockBytes, coveredBytes - block * blockBytes)));
      await breathe();
    }
  }
  // Bytes behind the protected ones are copied as they are.
  for (let at = coveredBytes; at < sizeBytes; at += blockBytes) {
    const got = await reader.read(name, at, buffer, Math.min(blockBytes, sizeBytes - at));
    staged.append(buffer.subarray(0, got));
  }
  return restored;
}

interface Solver {
  readonly reader: RecordReader;
  readonly math: ParityMath;
  readonly name: string;
  readonly index: ParityIndex;
  readonly stretch: Stretch;
  readonly breathe: () => Promise<void> | undefined;
}

/** Returns the damaged blocks of a stretch that its parity restores, by their block numbers. */
async function solve(solver: Solver, bad: readonly number[]): Promise<Map<number, Buffer>> {
  const { columns, first } = solver.stretch;
  const byColumn = Map.groupBy(bad, (block) => (block - first) % columns);
  const right = new Map<number, Buffer>();
  for (const [column, damaged] of byColumn) {
    for (const [block, bytes] of await solveColumn(solver, column, damaged)) {
      right.set(block, bytes);
    }
    await solver.breathe();
  }
  return right;
}

/**
 * Solves the equations of one column, and returns the restored blocks that match their checksums, with their numbers.
 * Returns none if the column has more damaged blocks than sound blocks of parity.
 */
async function solveColumn(
  { reader, math, name, index, stretch }: Solver,
  column: number,
  damaged: readonly number[],
): Promise<(readonly [number, Buffer])[]> {
  const { shape, table } = index;
  const { blockBytes } = shape;
  const { first, columns, blocks } = stretch;
  const rows: number[] = [];
  const found: Buffer[] = [];
  for (let row = 0; row < stretch.rows && rows.length < damaged.length; row += 1) {
    const place = stretch.firstParity + row * columns + column;
    const bytes = await parityBlock(reader, parityName(name), index, place);
    if (bytes === undefined) continue;
    rows.push(row);
    found.push(bytes);
  }
  if (rows.length < damaged.length) return [];
  const lost = new Set(damaged);
  const block = Buffer.alloc(blockBytes);
  // In each row, the sound blocks are subtracted, which in this field is the same as adding them. The rest belongs to
  // the damaged blocks.
  const rest = Buffer.alloc(stretch.rows * blockBytes);
  for (let shard = 0; shard * columns + column < blocks; shard += 1) {
    const number = first + shard * columns + column;
    if (lost.has(number)) continue;
    await readBlocks(reader, name, shape, number, block);
    const restShape = { rowBytes: blockBytes, rows: stretch.rows };
    addToRows(math, rest, restShape, block, shard * blockBytes);
  }
  const shards = damaged.map((number) => Math.floor((number - first) / columns));
  const inverse = inverseOf(rows, shards);
  rows.forEach((row, at) => {
    math.multiplyAdd(found[at]!, 0, rest, row * blockBytes, blockBytes, 1, false);
  });
  const solved = damaged.map((number, at) => {
    const bytes = Buffer.alloc(blockBytes);
    found.forEach((sum, other) => {
      math.multiplyAdd(bytes, 0, sum, 0, blockBytes, inverse[at]![other]!, false);
    });
    return [number, bytes] as const;
  });
  return solved.filter(([number, bytes]) => crc32(bytes) === sumOf(table, number));
}
