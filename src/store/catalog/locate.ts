/** Finds the pieces of contents, in order, and the pieces of their bases. */
import type { ContentId } from '../../model/index.js';
import { locationName, NO_PACK, RecordKind } from '../index.js';
import type { ContentTable, StoredContent } from './contents.js';

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
 * Maximum length of a chain of deltas on deltas; far more than are made. A content with a longer chain counts as
 * missing.
 */
export const MAX_DEPTH = 64;

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
      const piece = this.piece(part);
      if (part.basisId === null) {
        pieces.push(piece);
        continue;
      }
      if (!known.has(part.basisId)) {
        known.set(part.basisId, this.within(contents, part.basisId, known, depth + 1));
      }
      const basis = known.get(part.basisId);
      if (basis === undefined) return undefined;
      pieces.push({ ...piece, basis });
    }
    return pieces;
  }

  private piece(stored: StoredContent): LocatedPiece {
    const { digest, sizeBytes, pack, position, recordBytes, offset } = stored;
    // Most files are in the same pack as the previous file.
    if (pack === NO_PACK || pack !== this.lastPack) {
      this.lastPack = pack;
      this.lastObject = locationName(stored, digest);
    }
    return { digest, sizeBytes, object: this.lastObject, position, recordBytes, offset };
  }
}
