/**
 * The snapshot of a client's catalog from which a reader copies the client. A session has at most one, in a temporary
 * file, which is removed when its last piece was read.
 */
import type { Handlers } from '../../history/index.js';
import { protocolViolation, TardisError } from '../../errors/index.js';
import {
  factsWithoutSnapshot,
  keysSumAt,
  OfferedCatalog,
  takeSnapshot,
} from '../../maintenance/rewrite/index.js';
import { databaseBytes } from '../../store/catalog/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import type { BackgroundJobs } from '../jobs/background-jobs.js';

/** Maximum number of snapshots at one time in a thread, since each takes space for temporary files. */
const MAX_OFFERS = 4;
/** Time without a read after which a snapshot may be removed to make room for another one. */
const IDLE_MS = 60_000;
/**
 * Minimum size of a catalog that is copied in a thread of its own. For a smaller one, the thread would cost more than
 * the copy.
 */
const LARGE_BYTES: number = 8 << 20;
/**
 * Number of random bytes in the number of a snapshot. They make it unlikely that a number of one session is valid in a
 * later one.
 */
const NUMBER_BYTES = 6;

interface Offer {
  readonly number: number;
  readonly catalog: OfferedCatalog;
  /** Pieces that were not read yet. */
  readonly unread: Set<number>;
  usedMs: number;
  /** True while a piece is read, so that its file stays open. */
  isRead: boolean;
}

/** The snapshots of all sessions of this thread. */
const offers = new Set<Offer>();
/** Number of snapshots that are being made. */
let making = 0;

export class CopyOffers {
  private offer: Offer | undefined;

  constructor(
    private readonly system: System,
    private readonly directory: ClientDirectory,
    private readonly jobs: BackgroundJobs,
  ) {}

  handlers(): Pick<Handlers, 'openCopy' | 'readCatalog'> {
    return {
      openCopy: ({ known }) => this.open(known),
      readCatalog: ({ offer, piece }) => this.piece(offer, piece),
    };
  }

  /** Removes the snapshot. */
  close(): void {
    if (this.offer !== undefined) drop(this.offer);
  }

  /**
   * Returns facts about the client, and the number of a new snapshot of its catalog. No snapshot is made if there is no
   * backup, or if the client is still in the state `known`, which the reader has. Throws CLIENT_BUSY if too many are
   * being made or the catalog keeps changing, CATALOG_DAMAGED if it is damaged, and TEMPORARY_FULL if there is no
   * space.
   */
  private async open(known: string): ReturnType<Handlers['openCopy']> {
    const { system, directory, jobs } = this;
    if (this.offer !== undefined) drop(this.offer);
    const number = system.random.bytes(NUMBER_BYTES).readUIntBE(0, NUMBER_BYTES);
    const unread = factsWithoutSnapshot(system, directory, known);
    if (unread !== undefined) {
      return { ...unread, offer: number, keysSum: keysSumAt(system, directory), catalogBytes: 0 };
    }
    makeRoom(system);
    making += 1;
    try {
      const isLarge = databaseBytes(system.files, directory.catalogPath) > LARGE_BYTES;
      const { facts, catalog } = await OfferedCatalog.taken(system, async (file) => ({
        ...(isLarge ? await jobs.snapshot(file) : await takeSnapshot(system, directory, file)),
        keysSum: keysSumAt(system, directory), // last: new keys must not go with an older record
      }));
      const unread = new Set(Array.from({ length: catalog.pieces }, (_, index) => index));
      const usedMs = system.clock.monotonicMs();
      this.offer = { number, catalog, unread, usedMs, isRead: false };
      offers.add(this.offer);
      return { offer: number, ...facts, catalogBytes: catalog.fileBytes };
    } finally {
      making -= 1;
    }
  }

  /**
   * Returns a piece. Throws NO_SUCH_REQUEST if the snapshot was removed, and PROTOCOL_VIOLATION if it has no such
   * piece.
   */
  private async piece(number: number, index: number): Promise<Buffer> {
    const { system, offer } = this;
    if (offer?.number !== number || !offers.has(offer)) {
      throw new TardisError('NO_SUCH_REQUEST', 'the snapshot of the catalog was removed');
    }
    if (index >= offer.catalog.pieces) throw protocolViolation('a catalog has no such piece');
    offer.isRead = true;
    try {
      return await offer.catalog.piece(index);
    } finally {
      offer.isRead = false;
      offer.usedMs = system.clock.monotonicMs();
      offer.unread.delete(index);
      if (offer.unread.size === 0) drop(offer);
    }
  }
}

/** Makes room for one more snapshot. Throws CLIENT_BUSY if all are in use. */
function makeRoom(system: System): void {
  const dueMs = system.clock.monotonicMs() - IDLE_MS;
  while (offers.size + making >= MAX_OFFERS) {
    const idle = [...offers].find(({ usedMs, isRead }) => usedMs <= dueMs && !isRead);
    if (idle === undefined) {
      throw new TardisError('CLIENT_BUSY', 'the server serves as many copies as it can');
    }
    drop(idle);
  }
}

/** Removes a snapshot, unless it was removed already. */
function drop(offer: Offer): void {
  if (offers.delete(offer)) offer.catalog.close();
}
