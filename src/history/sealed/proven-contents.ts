/** Checks the locations of contents against the entries, which are sealed. */
import { contentDigest, type ContentKeys, partsDigest } from '../../model/index.js';
import type { NativeCalls } from '../../system/index.js';
import type { ContentLocation, WantedContent } from '../history.js';
import type { EntryOpener } from './opened-entries.js';

interface Proof {
  readonly opener: EntryOpener;
  readonly keys: ContentKeys;
  readonly native: NativeCalls;
}

/** Returns a location for each content; undefined if the stored content is not the one of the entry. */
export function provenLocations(
  { opener, keys, native }: Proof,
  contents: readonly WantedContent[],
  locations: readonly ContentLocation[],
): ContentLocation[] {
  const isWanted = ({ proof, metadata, digest }: WantedContent, found: Uint8Array): boolean => {
    if (proof === undefined || metadata === undefined) return digest?.equals(found) === true;
    return opener.isProven(proof, metadata, found);
  };
  return locations.map((pieces, index) => {
    if (pieces === undefined) return undefined;
    const wanted = contents[index]!;
    const [first] = pieces;
    if (pieces.length === 1 && isWanted(wanted, first!.digest)) return pieces;
    const parts = pieces.map(({ digest, sizeBytes }) => ({
      digest: Buffer.from(digest),
      sizeBytes,
    }));
    return isWanted(wanted, contentDigest(native, keys, partsDigest(parts))) ? pieces : undefined;
  });
}
