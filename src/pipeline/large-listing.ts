/**
 * Sends the listing of a very large directory in pages. A few pages are in flight to the server while one page is cut
 * into parcels. So memory never holds more of the listing than these pages, and no page waits for a round trip.
 */
import { createHash } from 'node:crypto';
import { countRows, identityIn, RowReader } from '../model/index.js';
import { type DirectoryBlock, runOf } from '../workers/index.js';
import type { Context } from './context.js';
import type { Selection } from './parcel.js';

/** Number of pages in flight to the server. */
const PAGES_AHEAD = 4;

export interface LargeListing {
  /** The directory, without its entries. */
  readonly directory: DirectoryBlock;
  /** Id of the list of names that a worker holds, from `listOrHold`. */
  readonly held: number;
  /** The skip hash that the walk computed; zeros if there is none. */
  readonly hash: Uint8Array;
}

interface RequestedPage {
  readonly rows: RowReader;
  wanted: Promise<Uint8Array | undefined>;
}

/** Yields the entries to send, page by page. At the end, also after an error, the worker's list of names is freed. */
export async function* selectPages(
  { jobs, peer, sources, mounts, directories, report }: Context,
  listing: LargeListing,
): AsyncGenerator<Selection> {
  const { excludes } = sources;
  const { directory, held } = listing;
  const slot = directory.slots[0]!;
  const place = {
    slot,
    path: runOf(directory.paths, directory.pathEnds, 0),
    directory: identityIn(directory.identities, 0),
  };
  const pages = createHash('sha256');
  const requested: RequestedPage[] = [];
  const isWhole = !peer.isEmpty && !peer.takesPages;
  const pagesAhead = peer.isEmpty ? 1 : isWhole ? Infinity : PAGES_AHEAD;
  try {
    for (let [from, isLast] = [0, false]; !isLast || requested.length > 0; ) {
      if (!isLast && requested.length < pagesAhead) {
        const { output } = await jobs.run('page', { directory, held, from, excludes });
        ({ next: from, isLast } = output);
        pages.update(output.hash);
        peer.owners(output.owners);
        report.note(output.failures);
        const rows = new RowReader(output.rows);
        const wanted =
          peer.isEmpty || isWhole
            ? Promise.resolve(undefined)
            : mounts.listing(slot, place.path, rows.rows, isLast);
        wanted.catch(() => undefined); // rejects where it is awaited, unless an earlier page failed
        requested.push({ rows, wanted });
        if (isLast && isWhole)
          await requestWhole((all) => mounts.listing(slot, place.path, all, true), requested);
        continue;
      }
      const { rows, wanted } = requested.shift()!;
      yield { ...place, rows, from: 0, to: rows.rows.length, wanted: await wanted };
    }
    if (!pages.digest().equals(listing.hash)) directories.unsettle(slot);
  } finally {
    await jobs.run('dropNames', { held });
  }
}

/** Sends all pages as one listing, for a peer that needs a whole listing. The whole listing is then in memory. */
async function requestWhole(
  request: (rows: Buffer) => Promise<Uint8Array>,
  pages: RequestedPage[],
): Promise<void> {
  const all = await request(Buffer.concat(pages.map(({ rows }) => rows.rows)));
  let from = 0;
  for (const page of pages) {
    const rows = countRows(page.rows);
    page.wanted = Promise.resolve(all.subarray(from, from + rows));
    from += rows;
  }
}
