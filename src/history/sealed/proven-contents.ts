/** Checks the locations of contents against the entries, which are sealed. */
import { contentDigest, type ContentKeys, partsDigest } from '../../model/index.js';
import type { NativeCalls } from '../../system/index.js';
import type { ContentLocation, RequestedContent } from '../history.js';
import type { EntryOpener } from './opened-entries.js';

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
  const isRequested = (
    { proof, metadata, digest }: RequestedContent,
    found: Uint8Array,
  ): boolean => {
    if (proof === undefined || metadata === undefined) return digest?.equals(found) === true;
    return opener.isProven(proof, metadata, found);
  };
  return locations.map((pieces, index) => {
    if (pieces === undefined) return undefined;
    const requested = contents[index]!;
    const [first] = pieces;
    if (pieces.length === 1 && isRequested(requested, first!.digest)) return pieces;
    const parts = pieces.map(({ digest, sizeBytes }) => ({
      digest: Buffer.from(digest),
      sizeBytes,
    }));
    return isRequested(requested, contentDigest(native, keys, partsDigest(parts)))
      ? pieces
      : undefined;
  });
}
