/**
 * The history in a sound catalog, as the start of a rebuild. If packs have holes, the old catalog or a copy of
 * it still has the data of their listings and events.
 */
import { TardisError } from '../../../errors/index.js';
import type { PackNumber } from '../../../model/index.js';
import {
  buildImagePiece,
  type Counters,
  type ImageItem,
  parseRecord,
  readImagePiece,
} from '../../index.js';
import type { System } from '../../../system/index.js';
import { CatalogAudit } from '../soundness/audit.js';
import type { HistoryStart } from './from-image.js';
import { hasNewestVersion } from '../open.js';
import type { CommitPoint } from '../tables/state.js';

export class KnownHistory implements HistoryStart, Disposable {
  readonly records = [];
  readonly later = [];
  readonly point: CommitPoint;
  readonly counters: Counters;
  readonly packs: ReadonlySet<PackNumber>;
  readonly removedPacks: ReadonlyMap<PackNumber, number>;
  readonly removedObjects: HistoryStart['removedObjects'];

  private constructor(private readonly audit: CatalogAudit) {
    const { state } = audit.catalog;
    this.point = state.readCommitPoint();
    this.counters = state.readCounters();
    this.packs = new Set(audit.packs().filter((pack) => pack > 0));
    this.removedPacks = new Map(audit.removedPacks());
    this.removedObjects = audit.removedObjects();
  }

  /**
   * Opens a private copy of a catalog. Throws CATALOG_DAMAGED unless the catalog has the newest version, and SQLite and
   * the consistency rules find nothing wrong with it. Throws the errors of `CatalogAudit.open` if it cannot be copied.
   */
  static open(system: System, catalogPath: string): KnownHistory {
    if (!hasNewestVersion(system, catalogPath)) {
      throw new TardisError('CATALOG_DAMAGED', `${catalogPath} is of another version`);
    }
    const audit = CatalogAudit.open(system, catalogPath);
    try {
      const fault = audit.integrity()[0] ?? audit.inconsistencies()[0]?.what;
      if (fault !== undefined) throw new TardisError('CATALOG_DAMAGED', `${catalogPath}: ${fault}`);
      return new KnownHistory(audit);
    } catch (error) {
      audit.close();
      throw error;
    }
  }

  /**
   * Returns the number of versions that another catalog contradicts; undefined if the other catalog is of another
   * history.
   */
  contradictionsTo(otherPath: string): number | undefined {
    return this.audit.contradictionsTo(otherPath);
  }

  /** Returns this history with `point` as the end of the packs, in place of the catalog's own. */
  endingAt(point: CommitPoint): HistoryStart {
    const { counters, packs, removedPacks, removedObjects, records, later } = this;
    const pieces = (): Generator<readonly ImageItem[]> => this.pieces();
    return { point, counters, packs, removedPacks, removedObjects, records, later, pieces };
  }

  /**
   * Yields the items that an image of the catalog would have, checked like those of a stored image. Throws
   * RECORD_DAMAGED if an item is malformed.
   */
  *pieces(): Generator<readonly ImageItem[]> {
    const { counters, audit } = this;
    const doubtfulUpTo = audit.catalog.state.readDoubtfulUpTo();
    const head = { type: 'head', counters, packs: [...this.packs], doubtfulUpTo } as const;
    for (const items of audit.catalog.image.pieces(head)) {
      const record = buildImagePiece(1, { image: 1, piece: 0, isLast: false, items });
      yield readImagePiece(parseRecord(record)).items;
    }
  }

  close(): void {
    this.audit.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
