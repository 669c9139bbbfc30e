/** Splits a parcel in two parts, and joins what two jobs made of them. */
import {
  DIGEST_BYTES,
  EntryType,
  forEachRow,
  IDENTITY_BYTES,
  releaseAll,
  RowReader,
} from '../model/index.js';
import type { ContentBlock, HashInput, HashOutput, ParcelInput } from './jobs.js';
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
    identities: parcel.identities.slice(section * IDENTITY_BYTES),
    contentBytes: contentBytesOf(rows),
  };
  return { ...input, parcel: rest };
}

function contentBytesOf(bytes: Uint8Array): number {
  const rows = new RowReader(bytes);
  let sum = 0;
  forEachRow(rows, (at) => {
    if (rows.type(at) === EntryType.file) sum += rows.sizeBytes(at);
  });
  return sum;
}

/**
 * Joins the outputs for both parts of a parcel. The first part may end within a directory, with which the second one then
 * begins. The contents of both are moved: their memory must not be used afterwards.
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
    records: first.records && concat(first.records, second.records ?? NOTHING),
    recordLengths: [...first.recordLengths, ...second.recordLengths],
    contents: first.contents && second.contents && joinedContents(first.contents, second.contents),
    readBytes: sum(({ readBytes }) => readBytes),
    holeBytes: sum(({ holeBytes }) => holeBytes),
    files: sum(({ files }) => files),
    compressMs: sum(({ compressMs }) => compressMs),
    encryptMs: sum(({ encryptMs }) => encryptMs),
    repeats: sum(({ repeats }) => repeats),
  };
}

const NOTHING = new Uint8Array(0);

/** Returns the contents of both blocks, in the memory of the first one if there is room. */
function joinedContents(first: ContentBlock, second: ContentBlock): ContentBlock {
  if (first.starts.length === 0) {
    releaseAll([first.bytes, first.digests]);
    return second;
  }
  const firstBytes = endOf(first);
  const firstDigests = first.starts.length * DIGEST_BYTES;
  const secondDigests = second.starts.length * DIGEST_BYTES;
  const block = {
    bytes: appended(first.bytes, firstBytes, second.bytes.subarray(0, endOf(second))),
    digests: appended(first.digests, firstDigests, second.digests.subarray(0, secondDigests)),
    starts: Uint32Array.of(...first.starts, ...second.starts.map((start) => start + firstBytes)),
    sizes: Uint32Array.of(...first.sizes, ...second.sizes),
    isRaw: Uint8Array.of(...first.isRaw, ...second.isRaw),
    kinds: Uint32Array.of(...first.kinds, ...second.kinds),
    schemes: Uint8Array.of(...first.schemes, ...second.schemes),
    access: Uint32Array.of(...first.access, ...second.access),
  };
  releaseAll([second.bytes, second.digests]);
  return block;
}

/** Appends bytes to the used part of some memory. Returns other memory, and frees the old one, if there is no room. */
function appended(memory: Uint8Array, usedBytes: number, more: Uint8Array): Uint8Array {
  if (memory.length - usedBytes >= more.length) {
    memory.set(more, usedBytes);
    return memory;
  }
  const all = concat(memory.subarray(0, usedBytes), more);
  releaseAll([memory]);
  return all;
}

/** Returns the end of the last content. The contents of a block lie in their order. */
function endOf({ starts, sizes }: ContentBlock): number {
  return (starts.at(-1) ?? 0) + (sizes.at(-1) ?? 0);
}

/** Returns both in memory of exactly their size. */
function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = Buffer.allocUnsafeSlow(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
