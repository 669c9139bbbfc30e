/**
 * The state that a rebuild begins with. This is the newest image in the packs, or a sound catalog if the packs have
 * holes. All later commits are replayed as usual. Without an image nothing was ever removed, and all commits are
 * replayed.
 */
import type { PackNumber } from '../../../model/index.js';
import { type Backend, type Counters, type ImageItem } from '../../index.js';
import { isWithin, type PendingCommit, type PendingRecord } from './commit-walk.js';
import { imagePieceIn, imagePiecesIn, type Removals } from './removals.js';
import type { CommitPoint } from '../tables/state.js';

/** The state that a rebuild begins with. */
export interface HistoryStart {
  /** The last commit that the state covers. */
  readonly point: CommitPoint;
  readonly counters: Counters;
  /** Packs whose contents are needed; undefined if that is not known. */
  readonly packs: ReadonlySet<PackNumber> | undefined;
  /** Unneeded packs that are to be deleted, each with the time of its removal in ms. */
  readonly removedPacks: ReadonlyMap<PackNumber, number>;
  /** Unneeded objects that are to be deleted, with the times of their removal in ms. */
  readonly removedObjects: readonly (readonly [digest: Buffer, atMs: number])[];
  /** The records of the image; none if the state is that of a catalog. */
  readonly records: readonly PendingRecord[];
  /**
   * Listings and events up to `point` that are not in the image, by sequence. There are some only if the commit record
   * of the image itself is lost.
   */
  readonly later: readonly PendingRecord[];
  /** Yields the items of the history, the head first. Undefined stands for an unreadable record. */
  pieces(): AsyncIterable<readonly ImageItem[] | undefined> | Iterable<readonly ImageItem[]>;
}

const NOTHING_REMOVED: ReadonlyMap<PackNumber, number> = new Map();

/** Returns the newest image as the start of a rebuild; undefined if there is none. */
export function imageStart(backend: Backend, removals: Removals): HistoryStart | undefined {
  const { image, kept } = removals;
  if (image === undefined) return undefined;
  const pieces = imagePiecesIn(image);
  return {
    point: image.point,
    counters: image.body.counters,
    packs: kept,
    removedPacks: NOTHING_REMOVED,
    removedObjects: [],
    records: pieces,
    later: behindImage(image, pieces),
    pieces: async function* () {
      for (const record of pieces) yield (await imagePieceIn(backend, record))?.items;
    },
  };
}

/**
 * Returns the listings and events that follow an image whose own commit record is lost. The next commit covers them,
 * and the image does not contain them. Returns none if the image's own commit record exists.
 */
function behindImage(
  { body, records }: PendingCommit,
  pieces: readonly PendingRecord[],
): PendingRecord[] {
  const last = pieces.at(-1)!;
  if (isWithin(last, body.ranges)) return [];
  return records
    .filter(({ header }) => header.sequence > last.header.sequence)
    .sort((one, other) => one.header.sequence - other.header.sequence);
}
