/**
 * The listing of a directory with very many names, in pages: a few of them are under way to the server
 * while one is cut into parcels, so there is never more of it in memory, nor a round trip for each.
 */
import { createHash } from 'node:crypto';
import type { ExcludeOptions } from '../excludes/index.js';
import { countRows, RowReader } from '../model/index.js';
import {
  type DirectoryBlock,
  type Failure,
  type JobRunner,
  type OwnerName,
  runOf,
} from '../workers/index.js';
import type { Selection } from './parcel.js';
import type { BackupPeer } from './peer.js';

/** Pages that are asked about at once. */
const PAGES_AHEAD = 4;

export interface LargeListing {
  /** The directory alone. */
  readonly directory: DirectoryBlock;
  /** Of `listOrHold`. */
  readonly held: number;
  /** Its skip hash as the walk found it; zeros: none. */
  readonly hash: Uint8Array;
}

export interface LargeListingSinks {
  readonly owners: (owners: readonly OwnerName[]) => void;
  readonly failures: (failures: readonly Failure[]) => void;
  /** It is not what it was when its hash was taken. */
  readonly changed: () => void;
}

interface Asked {
  readonly rows: RowReader;
  wanted: Promise<Uint8Array | undefined>;
}

/** Yields what is to be sent of each page. What is held is given up at the end, however it comes. */
export async function* selectPages(
  jobs: JobRunner,
  peer: BackupPeer,
  listing: LargeListing,
  excludes: ExcludeOptions,
  sinks: LargeListingSinks,
): AsyncGenerator<Selection> {
  const { directory, held } = listing;
  const slot = directory.slots[0]!;
  const path = runOf(directory.paths, directory.pathEnds, 0);
  const pages = createHash('sha256');
  const asked: Asked[] = [];
  const isWhole = !peer.isEmpty && !peer.takesPages;
  const pagesAhead = peer.isEmpty ? 1 : isWhole ? Infinity : PAGES_AHEAD;
  try {
    for (let [from, isLast] = [0, false]; !isLast || asked.length > 0; ) {
      if (!isLast && asked.length < pagesAhead) {
        const { output } = await jobs.run('page', { directory, held, from, excludes });
        ({ next: from, isLast } = output);
        pages.update(output.hash);
        sinks.owners(output.owners);
        sinks.failures(output.failures);
        const rows = new RowReader(output.rows);
        const wanted =
          peer.isEmpty || isWhole
            ? Promise.resolve(undefined)
            : peer.listing(slot, rows.rows, isLast);
        wanted.catch(() => undefined); // shows where it is waited for, unless an earlier one failed
        asked.push({ rows, wanted });
        if (isLast && isWhole) await askWhole(peer, slot, asked);
        continue;
      }
      const { rows, wanted } = asked.shift()!;
      yield { slot, path, rows, from: 0, to: rows.rows.length, wanted: await wanted };
    }
    if (!pages.digest().equals(listing.hash)) sinks.changed();
  } finally {
    await jobs.run('dropNames', { held });
  }
}

/** All pages as one listing, for a peer that needs it whole: then it is in memory whole. */
async function askWhole(peer: BackupPeer, slot: number, pages: Asked[]): Promise<void> {
  const all = await peer.listing(slot, Buffer.concat(pages.map(({ rows }) => rows.rows)), true);
  let from = 0;
  for (const page of pages) {
    const rows = countRows(page.rows);
    page.wanted = Promise.resolve(all.subarray(from, from + rows));
    from += rows;
  }
}
