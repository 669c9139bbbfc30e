/** Takes out of a listing what is left out. */
import { joinPath, RowReader } from '../model/index.js';
import { describeDecision } from './describe.js';
import type { DirectoryDecider } from './excluder.js';

/** Something left out, with the reason in words. */
export interface LeftOut {
  readonly path: Uint8Array;
  readonly why: string;
}

export interface Filtered {
  /** The rows that stay; the same buffer when all do. */
  readonly listing: Buffer;
  readonly leftOut: number;
  /** What is left out, if that is to be told. */
  readonly told: readonly LeftOut[];
}

/** `listing`: all rows of the directory, or a part of them. */
export function filterListing(
  decider: DirectoryDecider,
  directory: Buffer,
  listing: Buffer,
  tellsPaths: boolean,
): Filtered {
  const rows = new RowReader(listing);
  const decide = decider.over(rows);
  const told: LeftOut[] = [];
  let kept: Buffer | undefined;
  let keptBytes = 0;
  let leftOut = 0;
  let index = 0;
  for (let at = 0; at < listing.length; at += rows.rowBytes(at)) {
    const decision = decide(at, index);
    index += 1;
    if (decision?.isLeftOut === true) {
      // Only now is there anything to copy: all that was before stays.
      if (kept === undefined) {
        kept = Buffer.allocUnsafeSlow(listing.length);
        keptBytes = listing.copy(kept, 0, 0, at);
      }
      leftOut += 1;
      if (tellsPaths) {
        const path = new Uint8Array(joinPath(directory, rows.name(at)));
        told.push({ path, why: describeDecision(decision) });
      }
    } else if (kept !== undefined) {
      keptBytes += listing.copy(kept, keptBytes, at, at + rows.rowBytes(at));
    }
  }
  return { listing: kept?.subarray(0, keptBytes) ?? listing, leftOut, told };
}
