/** Finds the pieces of contents, in order, and the pieces of their bases. */
import type { ContentId } from '../../model/index.js';
import { locationName, NO_PACK, RecordKind } from '../index.js';
import type { ContentTable } from './tables/contents.js';
import { PackedPlaces, type PlaceOfWhole } from './tables/packed-values.js';

/** One stored piece of a content. */
export interface LocatedPiece {
  readonly digest: Buffer;
  readonly sizeBytes: number;
  /** Name of the object or pack that has the record. */
  readonly object: string;
  /** Position of the record in that object or pack. */
  readonly position: number;
  readonly recordBytes: number;
  /** Offset of the content in the decoded body of its record. */
  readonly offset: number;
  /** Pieces of the basis, if this piece is a delta. */
  readonly basis?: readonly LocatedPiece[] | undefined;
}

/**
 * A piece whose digest is kept as a place in the memory of what the catalog returned. A restore holds many thousands of
 * pieces, and a view would take V8 more memory than all other fields of a piece.
 */
class CompactPiece implements LocatedPiece {
  readonly sizeBytes: number;
  readonly position: number;
  readonly recordBytes: number;
  readonly offset: number;
  private readonly digestIn: ArrayBufferLike;
  private readonly digestAt: number;
  private readonly digestBytes: number;

  constructor(
    stored: PlaceOfWhole,
    readonly object: string,
    readonly basis?: readonly LocatedPiece[],
  ) {
    this.sizeBytes = stored.sizeBytes;
    this.position = stored.position;
    this.recordBytes = stored.recordBytes;
    this.offset = stored.offset;
    this.digestIn = stored.digest.buffer;
    this.digestAt = stored.digest.byteOffset;
    this.digestBytes = stored.digest.length;
  }

  get digest(): Buffer {
    return Buffer.from(this.digestIn, this.digestAt, this.digestBytes);
  }
}

/**
 * Maximum length of a chain of deltas on deltas; far more than are made. A content with a longer chain counts as
 * missing.
 */
export const MAX_DEPTH = 64;

/** Number of contents that are located by one query. */
const LOCATED_AT_ONCE = 512;

export class Locator {
  private lastPack = NO_PACK;
  private lastObject = '';

  /** Returns the pieces of a content; undefined if some of the bytes it needs are missing. */
  locate(contents: ContentTable, contentId: ContentId): LocatedPiece[] | undefined {
    const stored = contents.stored(contentId);
    if (stored === undefined) return undefined;
    // Most contents are whole and in one piece.
    if (stored.kind !== RecordKind.assembly && stored.basisId === null) return [this.piece(stored)];
    return this.within(contents, contentId, new Map(), 0);
  }

  /** Returns what `locate` does, for each of some contents. `table` returns the table for each query. */
  locateAll(
    table: () => ContentTable,
    contentIds: readonly ContentId[],
  ): (LocatedPiece[] | undefined)[] {
    const located: (LocatedPiece[] | undefined)[] = [];
    for (let from = 0; from < contentIds.length; from += LOCATED_AT_ONCE) {
      const ids = contentIds.slice(from, from + LOCATED_AT_ONCE);
      const places = new PackedPlaces(table().packedPlaces(ids));
      for (const id of ids) {
        const place = places.next();
        located.push(place === undefined ? this.locate(table(), id) : [this.piece(place)]);
      }
    }
    return located;
  }

  /**
   * Returns the pieces of a content; undefined if some are missing. `known` has the bases found so far, which the
   * parts of a content share.
   */
  private within(
    contents: ContentTable,
    contentId: ContentId,
    known: Map<ContentId, LocatedPiece[] | undefined>,
    depth: number,
  ): LocatedPiece[] | undefined {
    if (depth > MAX_DEPTH) return undefined;
    const stored = contents.stored(contentId);
    if (stored === undefined) return undefined;
    const partIds = stored.kind === RecordKind.assembly ? contents.partsOf(contentId) : [contentId];
    const pieces: LocatedPiece[] = [];
    for (const partId of partIds) {
      const part = partId === contentId ? stored : contents.stored(partId);
      if (part === undefined || part.kind === RecordKind.assembly) return undefined;
      if (part.basisId === null) {
        pieces.push(this.piece(part));
        continue;
      }
      if (!known.has(part.basisId)) {
        known.set(part.basisId, this.within(contents, part.basisId, known, depth + 1));
      }
      const basis = known.get(part.basisId);
      if (basis === undefined) return undefined;
      pieces.push(this.piece(part, basis));
    }
    return pieces;
  }

  private piece(stored: PlaceOfWhole, basis?: readonly LocatedPiece[]): LocatedPiece {
    const { digest, pack } = stored;
    // Most files are in the same pack as the previous file.
    if (pack === NO_PACK || pack !== this.lastPack) {
      this.lastPack = pack;
      this.lastObject = locationName(stored, digest);
    }
    return new CompactPiece(stored, this.lastObject, basis);
  }
}
