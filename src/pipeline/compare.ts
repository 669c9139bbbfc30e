/**
 * The compare stage: queries the server for the listings that are unchanged, and for the entries that differ in the
 * others. In a first backup there is nothing to compare with: as soon as the server has reported that, all entries are
 * selected at once.
 */
import type { OperatorFunction } from 'rxjs';
import { countRows, identityIn, isZeros, RowReader, type SlotNumber } from '../model/index.js';
import { HEAD_PROTECTED, HEAD_SAME } from '../transport/index.js';
import { itemsOfPath, oneOfBlock, runOf, type WalkOutput } from '../workers/index.js';
import type { Context } from './context.js';
import type { LargeListing } from './large-listing.js';
import type { Selection } from './parcel.js';
import { stage } from './stage.js';
import { itemsOf } from './walk.js';

const HASH_BYTES = 32;

/** A directory whose listing differs, with the entries to send. */
interface ComparedDirectory {
  readonly slot: SlotNumber;
  /** Undefined if the listing is sent in pages. */
  readonly selection: Selection | undefined;
  readonly pages: LargeListing | undefined;
  /** Number of items taken from the budget: the entries, and the directory itself by its path. */
  readonly items: number;
  /** True if the next backup may skip the listing, unless something fails. */
  readonly isSettled: boolean;
}

export interface CompareResult {
  readonly changed: readonly ComparedDirectory[];
  /** Number of items of unchanged directories, which are returned to the budget at once. */
  readonly sameItems: number;
  /**
   * Ids of lists of names that workers hold for large directories which turned out to be unchanged. They can be freed.
   */
  readonly heldInVain: readonly number[];
}

/**
 * The compare stage. For each batch of the walk it emits the directories that differ and the entries to send. Answers
 * arrive in any order, so batches may overtake each other. Waiting batches hold entries of the budget. The entries of
 * unchanged directories return to it here.
 */
export function compare(context: Context): OperatorFunction<WalkOutput, CompareResult> {
  return stage(context.counters.compare, (batch) => compareBatch(context, batch));
}

async function compareBatch(context: Context, batch: WalkOutput): Promise<CompareResult> {
  const { jobs, peer, budget, counters, report } = context;
  peer.owners(batch.owners);
  const failures = batch.failures.filter((failure) => failure.name.length > 0);
  const comparing = selectOf(context, batch);
  report.leftOut(batch.leftOutPaths);
  report.note(failures); // after the heads, which declare the directories that are named here
  const result = await comparing;
  counters.compare.count(itemsOf(batch), batch.listings.length, 0);
  if (result.sameItems > 0) budget.items.give(result.sameItems);
  for (const held of result.heldInVain) await jobs.run('dropNames', { held });
  return result;
}

async function selectOf(context: Context, batch: WalkOutput): Promise<CompareResult> {
  const { peer, counters } = context;
  const { slots, parents, rows } = batch.walked;
  if (slots.length === 0) return { changed: [], sameItems: 0, heldInVain: [] };
  // `isEmpty` is valid only once the set is open, and so only after this call.
  const heads = { slots, parents, rows, hashes: batch.hashes };
  const same = await counters.compare.timed(() => peer.heads(heads, !peer.isEmpty));
  const { changed, ...rest } = counters.compare.timed(() => selectChanged(context, batch, same));
  return { changed: await Promise.all(changed), ...rest };
}

interface Selecting extends Omit<CompareResult, 'changed'> {
  readonly changed: readonly Promise<ComparedDirectory>[];
}

/** Begins to select entries of the directories that differ. `same` is the server's answer about the batch. */
function selectChanged(context: Context, batch: WalkOutput, same: Uint8Array): Selecting {
  const { peer, progress, mounts, report } = context;
  const { walked, hashes } = batch;
  const { slots } = walked;
  const isQuery = !peer.isEmpty;
  const changed: Promise<ComparedDirectory>[] = [];
  const heldInVain: number[] = [];
  const large = new Map(batch.large.map((each) => [each.index, each]));
  let sameItems = 0;
  for (let index = 0; index < slots.length; index += 1) {
    const reader = new RowReader(runOf(batch.listings, batch.listingEnds, index));
    const held = large.get(index);
    const path = runOf(walked.paths, walked.pathEnds, index);
    const entries = held === undefined ? countRows(reader) : held.entries;
    const items = entries + itemsOfPath(path.length);
    const isHeld = same[index] === HEAD_PROTECTED;
    const isSame = isHeld || same[index] === HEAD_SAME;
    if (isHeld) mounts.directory(oneOfBlock(walked, index));
    report.directory(path, isSame);
    if (isSame) {
      sameItems += items;
      progress.sameDirectories += 1;
      if (held !== undefined) heldInVain.push(held.held);
      continue;
    }
    if (isQuery) progress.listings += 1;
    const hash = hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
    const isSettled = !isZeros(hash);
    const directory = { slot: slots[index]!, items, isSettled };
    if (held !== undefined) {
      const block = oneOfBlock(walked, index);
      const pages = { directory: block, held: held.held, hash: Uint8Array.from(hash) };
      changed.push(Promise.resolve({ ...directory, selection: undefined, pages }));
    } else {
      const place = { path, directory: identityIn(walked.identities, index) };
      changed.push(select(context, directory, { ...place, rows: reader, isQuery }));
    }
  }
  return { changed, sameItems, heldInVain };
}

/**
 * Selects the entries to send of a directory whose listing differs. Queries the server about them if the server has
 * stored entries of the directory.
 */
async function select(
  { mounts }: Context,
  compared: Pick<ComparedDirectory, 'slot' | 'items' | 'isSettled'>,
  {
    isQuery,
    ...place
  }: Pick<Selection, 'path' | 'directory' | 'rows'> & { readonly isQuery: boolean },
): Promise<ComparedDirectory> {
  const { slot } = compared;
  const { rows } = place.rows;
  const wanted = isQuery ? await mounts.listing(slot, place.path, rows, true) : undefined;
  const selection = { slot, ...place, from: 0, to: rows.length, wanted };
  return { ...compared, selection, pages: undefined };
}
