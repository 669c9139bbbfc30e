/**
 * The compare stage: asks the server which listings are unchanged, and of the others which entries.
 * In a first backup there is nothing to compare with: everything is selected at once.
 */
import { countRows, RowReader } from '../model/index.js';
import { oneOfBlock, runOf, type WalkOutput } from '../workers/index.js';
import type { LargeListing } from './large-listing.js';
import type { Selection } from './parcel.js';
import type { BackupPeer } from './peer.js';
import type { BackupProgress } from './progress.js';

const HASH_BYTES = 32;

/** A directory whose entries differ, as far as they do. */
export interface ComparedDirectory {
  readonly slot: number;
  /** Undefined: its listing comes in pages. */
  readonly selection: Selection | undefined;
  readonly pages: LargeListing | undefined;
  /** Entries and the directory itself, as taken from the budget. */
  readonly items: number;
  /** Its listing may be skipped next time if nothing fails. */
  readonly isSettled: boolean;
}

export interface CompareResult {
  readonly changed: readonly ComparedDirectory[];
  /** What the budget gets back at once: unchanged directories. */
  readonly sameItems: number;
  /** Names held for directories that are unchanged: of no more use. */
  readonly heldInVain: readonly number[];
}

export async function compareBatch(
  batch: WalkOutput,
  peer: BackupPeer,
  progress: BackupProgress,
  onDirectory: (path: Buffer, isSame: boolean) => void,
): Promise<CompareResult> {
  const { walked, hashes } = batch;
  if (walked.slots.length === 0) return { changed: [], sameItems: 0, heldInVain: [] };
  const { slots, parents, rows } = walked;
  // Until the set is open nobody knows; the answer tells it too.
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
    const isSame = same[index] === 1;
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
    const wanted = ask ? await peer.listing(slot, reader.rows, true) : undefined;
    const selection = { slot, path, rows: reader, from: 0, to: reader.rows.length, wanted };
    return { slot, selection, pages: undefined, items, isSettled };
  }
}
