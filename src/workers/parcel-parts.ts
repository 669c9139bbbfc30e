/** Splits a parcel in two parts, and joins what two jobs made of them. */
import { EntryType, RowReader } from '../model/index.js';
import type { HashInput, HashOutput, ParcelInput } from './jobs.js';
import type { ParcelPlace } from './parcel-reading.js';

/** Returns the input for the part of a parcel from a place on. Its memory is its own. */
export function restOf(input: HashInput, { section, at }: ParcelPlace): HashInput {
  const { parcel } = input;
  const pathAt = section === 0 ? 0 : parcel.pathEnds[section - 1]!;
  const rows = Uint8Array.prototype.slice.call(parcel.rows, at);
  const rest: ParcelInput = {
    slots: parcel.slots.slice(section),
    rows,
    rowEnds: parcel.rowEnds.slice(section).map((end) => end - at),
    paths: Uint8Array.prototype.slice.call(parcel.paths, pathAt),
    pathEnds: parcel.pathEnds.slice(section).map((end) => end - pathAt),
    contentBytes: contentBytesOf(rows),
  };
  return { ...input, parcel: rest, memory: undefined };
}

function contentBytesOf(bytes: Uint8Array): number {
  const rows = new RowReader(bytes);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += rows.rowBytes(at)) {
    if (rows.type(at) === EntryType.file) sum += rows.sizeBytes(at);
  }
  return sum;
}

/**
 * Joins the outputs for both parts of a parcel, whose contents became records. The first part may end within a directory,
 * with which the second one then begins.
 */
export function joined(first: HashOutput, second: HashOutput): HashOutput {
  const isSplit = first.slots.length > 0 && first.slots.at(-1) === second.slots[0];
  const kept = first.slots.length - (isSplit ? 1 : 0);
  const sum = (of: (output: HashOutput) => number): number => of(first) + of(second);
  return {
    slots: Uint32Array.of(...first.slots.subarray(0, kept), ...second.slots),
    rows: concat(first.rows, second.rows),
    rowEnds: Uint32Array.of(
      ...first.rowEnds.subarray(0, kept),
      ...second.rowEnds.map((end) => end + first.rows.length),
    ),
    failures: [...first.failures, ...second.failures],
    owners: [...first.owners, ...second.owners],
    grown: [...first.grown, ...second.grown],
    records: concat(first.records ?? NOTHING, second.records ?? NOTHING),
    recordLengths: [...first.recordLengths, ...second.recordLengths],
    contents: undefined,
    readBytes: sum(({ readBytes }) => readBytes),
    holeBytes: sum(({ holeBytes }) => holeBytes),
    files: sum(({ files }) => files),
    compressMs: sum(({ compressMs }) => compressMs),
    encryptMs: sum(({ encryptMs }) => encryptMs),
    repeats: sum(({ repeats }) => repeats),
  };
}

const NOTHING = new Uint8Array(0);

/** Returns both in memory of exactly their size. */
function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = Buffer.allocUnsafeSlow(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
