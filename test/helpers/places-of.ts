import type { ContentLocation } from '../../src/history/index.js';

/** Returns the places of pieces and of their bases as plain objects. */
export function placesOf(pieces: ContentLocation): readonly object[] | undefined {
  return pieces?.map(({ object, position, recordBytes, offset, sizeBytes, digest, basis }) => {
    const place = { object, position, recordBytes, offset, sizeBytes };
    return { ...place, digest, basis: placesOf(basis) };
  });
}
