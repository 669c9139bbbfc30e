/** Checks the locations of contents against the entries, which are sealed. */
import { contentDigest, type ContentKeys, partsDigest } from '../../model/index.js';
import type { NativeCalls } from '../../system/index.js';
import type { ContentLocation, RequestedContent } from '../history.js';
import type { ClaimedContent, EntryOpener } from './entry-opener.js';

interface Proof {
  readonly opener: EntryOpener;
  readonly keys: ContentKeys;
  readonly native: NativeCalls;
}

/**
 * Returns a location for each content; undefined if the content is missing, or if the stored one is not that of the
 * entry.
 */
export function provenLocations(
  { opener, keys, native }: Proof,
  contents: readonly RequestedContent[],
  locations: readonly ContentLocation[],
): ContentLocation[] {
  const digests = locations.map((pieces) => (pieces?.length === 1 ? pieces[0]!.digest : undefined));
  const areWhole = areRequested(opener, contents, digests);
  return locations.map((pieces, index) => {
    if (pieces === undefined || areWhole[index]!) return pieces;
    const parts = pieces.map(({ digest, sizeBytes }) => ({
      digest: Buffer.from(digest),
      sizeBytes,
    }));
    const joined = contentDigest(native, keys, partsDigest(parts));
    return areRequested(opener, [contents[index]!], [joined])[0]! ? pieces : undefined;
  });
}

/** Returns for each content if the digest in the store is that of its entry. A restore has thousands of them. */
function areRequested(
  opener: EntryOpener,
  contents: readonly RequestedContent[],
  digests: readonly (Uint8Array | undefined)[],
): boolean[] {
  const claims: (ClaimedContent & { readonly index: number })[] = [];
  const are = contents.map(({ proof, metadata, digest }, index) => {
    const found = digests[index];
    if (found === undefined) return false;
    if (proof === undefined || metadata === undefined) return digest?.equals(found) === true;
    claims.push({ proof, metadata, digest: found, index });
    return false;
  });
  const proven = opener.areProven(claims);
  for (let claim = 0; claim < claims.length; claim += 1) {
    are[claims[claim]!.index] = proven[claim]!;
  }
  return are;
}
