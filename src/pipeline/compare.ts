/**
 * The compare stage: queries the server for the listings that are unchanged, and for the entries that differ in the
 * others. In a first backup there is nothing to compare with, so all entries are selected at once.
 */
import { countRows, RowReader } from '../model/index.js';
import { HEAD_HELD, HEAD_SAME } from '../transport/index.js';
import { oneOfBlock, runOf, type WalkOutput } from '../workers/index.js';
import type { HeldMounts } from './held-mounts.js';
import type { LargeListing } from './large-listing.js';
import type { Selection } from './parcel.js';
import type { BackupPeer } from './peer.js';
import type { BackupProgress } from './progress.js';

const HASH_BYTES = 32;

/** A directory whose listing differs, with the entries to send. */
export interface ComparedDirectory {
  readonly slot: number;
  /** Undefined if the listing is sent in pages. */
  readonly selection: Selection | undefined;
  readonly pages: LargeListing | undefined;
  /** Number of items taken from the budget: the entries, and the directory itself. */
  readonly items: number;
  /** True if the next backup may skip the listing, unless something fails. */
  readonly isSettled: boolean;
}

export interface CompareResult {
  readonly changed: readonly ComparedDirectory[];
  /** Number of items of unchanged directories, which are returned to the budget at once. */
  readonly sameItems: number;
  /** Ids of the held name lists of unchanged directories, which can be freed. */
  readonly heldInVain: readonly number[];
}

export async function compareBatch(
  batch: WalkOutput,
  peer: BackupPeer,
  progress: BackupProgress,
  onDirectory: (path: Buffer, isSame: boolean) => void,
  mounts: HeldMounts,
): Promise<CompareResult> {
  const { walked, hashes } = batch;
  if (walked.slots.length === 0) return { changed: [], sameItems: 0, heldInVain: [] };
  const { slots, parents, rows } = walked;
  // `isEmpty` is valid only once the set is open, and so only after this call.
  const same = await peer.heads({ slots, parents, rows, hashes }, !peer.isEmpty);
  const ask = !peer.isEmpty;
  const changed: Promise<ComparedDirectory>[] = [];
  const heldInVain: number[] = [];
  const large = new Map(batch.large.map((each) => [each.index, each]));
  let sameItems = 0;
  for (let index = 0; index < slots.length; index += 1) {
    const listing = runOf(batch.listings, batch.listingEnds, index);
    const reader = new RowReader(listing);
    const held = large.get(index);
    const items = (held === undefined ? countRows(reader) : held.entries) + 1;
    const isHeld = same[index] === HEAD_HELD;
    const isSame = isHeld || same[index] === HEAD_SAME;
    if (isHeld) mounts.directory(oneOfBlock(walked, index));
    onDirectory(runOf(walked.paths, walked.pathEnds, index), isSame);
    if (isSame) {
      sameItems += items;
      progress.sameDirectories += 1;
      if (held !== undefined) heldInVain.push(held.held);
      continue;
    }
    if (ask) progress.listings += 1;
    const hash = hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
    const isSettled = hash.some((byte) => byte !== 0);
    const slot = slots[index]!;
    if (held !== undefined) {
      const directory = oneOfBlock(walked, index);
      const pages = { directory, held: held.held, hash: Uint8Array.from(hash) };
      const selection = undefined;
      changed.push(Promise.resolve({ slot, selection, pages, items, isSettled }));
    } else {
      const path = runOf(walked.paths, walked.pathEnds, index);
      changed.push(select(slot, path, reader, items, isSettled));
    }
  }
  return { changed: await Promise.all(changed), sameItems, heldInVain };

  async function select(
    slot: number,
    path: Buffer,
    reader: RowReader,
    items: number,
    isSettled: boolean,
  ): Promise<ComparedDirectory> {
    const wanted = ask ? await mounts.listing(slot, path, reader.rows, true) : undefined;
    const selection = { slot, path, rows: reader, from: 0, to: reader.rows.length, wanted };
    return { slot, selection, pages: undefined, items, isSettled };
  }
}
