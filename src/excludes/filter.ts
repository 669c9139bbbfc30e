/** Removes excluded entries from a listing. */
import { EntryType, joinPath, RowFlag, RowOffset, RowReader } from '../model/index.js';
import { describeDecision, type DirectoryDecider } from './excluder.js';

/** An excluded entry, with the reason in words. */
export interface LeftOut {
  readonly path: Uint8Array;
  readonly why: string;
}

export interface Filtered {
  /** The rows that are kept; the given buffer if all rows are kept. */
  readonly listing: Buffer;
  readonly leftOut: number;
  /** The excluded entries, if they are to be reported. */
  readonly reported: readonly LeftOut[];
}

/**
 * Returns the decision about a row. An entry of unknown type is excluded only if it would be excluded both as a file
 * and as a directory. The reason: excluded entries count as deleted, and a directory that is only temporarily
 * unreadable must not.
 */
function decideSurely<Decision extends { readonly isLeftOut: boolean }>(
  rows: RowReader,
  at: number,
  decide: (at: number) => Decision | undefined,
): Decision | undefined {
  const decision = decide(at);
  const isUnknown = RowFlag.unreadable | RowFlag.unknownType;
  if (decision?.isLeftOut !== true || (rows.flags(at) & isUnknown) !== isUnknown) return decision;
  const type = at + RowOffset.type;
  rows.rows[type] = EntryType.directory;
  const asDirectory = decide(at);
  rows.rows[type] = EntryType.file;
  return asDirectory?.isLeftOut === true ? decision : asDirectory;
}

/** Filters `listing`: all rows of the directory, or a part of them. */
export function filterListing(
  decider: DirectoryDecider,
  directory: Buffer,
  listing: Buffer,
  reportsPaths: boolean,
): Filtered {
  const rows = new RowReader(listing);
  const decide = decider.over(rows);
  const reported: LeftOut[] = [];
  let kept: Buffer | undefined;
  let keptBytes = 0;
  let leftOut = 0;
  let index = 0;
  for (let at = 0; at < listing.length; at += rows.rowBytes(at)) {
    const decision = decideSurely(rows, at, (place) => decide(place, index));
    index += 1;
    if (decision?.isLeftOut === true) {
      // The first excluded entry: copy the rows before it, which are all kept.
      if (kept === undefined) {
        kept = Buffer.allocUnsafeSlow(listing.length);
        keptBytes = listing.copy(kept, 0, 0, at);
      }
      leftOut += 1;
      if (reportsPaths) {
        const path = new Uint8Array(joinPath(directory, rows.name(at)));
        reported.push({ path, why: describeDecision(decision) });
      }
    } else if (kept !== undefined) {
      keptBytes += listing.copy(kept, keptBytes, at, at + rows.rowBytes(at));
    }
  }
  return { listing: kept?.subarray(0, keptBytes) ?? listing, leftOut, reported };
}
