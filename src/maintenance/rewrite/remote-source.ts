/**
 * The source of a copy on another machine. The client's catalog is fetched whole and examined. Its records are fetched
 * from the places in the catalog. All this data is untrusted, since it comes from a peer.
 */
import { requireForeign } from '../../store/catalog/index.js';
import { type KeyRecord, parseKeyRecord } from '../../crypto/index.js';
import {
  asTardisError,
  protocolViolation,
  TardisError,
  throwIfAborted,
} from '../../errors/index.js';
import type { ObjectReader } from '../../store/index.js';
import { fetchPieces } from '../../store/writer/index.js';
import { OpenFd, type PrivateFolder, type System, unlinkIfThere } from '../../system/index.js';
import { isPointText } from './copy-known.js';
import {
  type CopySource,
  keysSumOf,
  type News,
  OFFER_PIECE_BYTES,
  type SnapshotFacts,
  type TakenSource,
} from './copy-source.js';
import { RemoteRecords } from './remote-records.js';
import { OldStore } from './old-generation.js';

/** Maximum size of a catalog that is fetched, enough for about ten thousand million entries. */
const MAX_CATALOG_BYTES: number = 2 ** 41;
/**
 * Maximum number of snapshots that are requested for one copy. Several may be needed, since the peer drops a snapshot
 * if the connection is lost.
 */
const MAX_OFFERS = 8;

/** A snapshot that the peer keeps for a while. */
export interface CopyOffer extends SnapshotFacts {
  /** Number by which the peer identifies the snapshot. */
  readonly offer: number;
  /** Size of the catalog; 0 if there is no backup, or none after the known state. */
  readonly catalogBytes: number;
  /** SHA-256 of the newest key record of the client itself; empty if it has none. */
  readonly keysSum: Buffer;
}

/** Interface by which a client's machine serves its data to a copy. */
export interface CopyFeed {
  /** The newest key record of the client itself; undefined if it has none. */
  readonly keys: Buffer | undefined;
  /**
   * Requests a snapshot. If the client is still in the state `known` (`pointText`), the offer has no catalog. Throws
   * the errors of the peer, such as CLIENT_BUSY, CATALOG_DAMAGED or NOT_PERMITTED.
   */
  open(known?: string): Promise<CopyOffer>;
  /**
   * Returns a compressed piece of the catalog of an offer. Throws NO_SUCH_REQUEST if the peer has dropped the snapshot.
   */
  piece(offer: number, index: number): Promise<Buffer>;
  readonly objects: ObjectReader;
}

const CATALOG_FILE = 'remote.db';

interface RemoteSourceOptions {
  readonly onPiece?: (done: number, of: number) => void;
  /** Maximum size of a catalog; a larger one is refused. */
  readonly maxCatalogBytes?: number;
  /** Throws unless a file is a sound catalog (`requireForeign`). By default this is examined in the calling thread. */
  readonly examine?: (file: string) => Promise<void>;
}

export class RemoteSource implements CopySource {
  readonly isEncrypting: boolean;
  private readonly record: KeyRecord | undefined;
  /** The snapshot that was requested but is still unused; undefined if there is none. */
  private offered: CopyOffer | undefined;

  /** Creates the source. Throws KEYS_DAMAGED if the key record of the feed is malformed. */
  constructor(
    private readonly system: System,
    private readonly feed: CopyFeed,
    private readonly signal: AbortSignal,
    private readonly options: RemoteSourceOptions = {},
  ) {
    this.record = feed.keys && parseKeyRecord(feed.keys);
    this.isEncrypting = this.record?.isEncrypting === true;
  }

  keys(): Buffer | undefined {
    return this.feed.keys;
  }

  async news(since: { clientId: string; point: string } | undefined): Promise<News> {
    const offer = await this.open(since?.point);
    if (offer.catalogBytes > 0) {
      this.offered = offer;
      return 'some';
    }
    if (offer.point === '') return 'none';
    const isKnown = offer.clientId === since?.clientId && offer.point === since.point;
    return isKnown ? 'nothing new' : 'some';
  }

  async take(folder: PrivateFolder): Promise<TakenSource> {
    const file = folder.file(CATALOG_FILE);
    const { clientId, endedUpTo, commit, point } = await this.fetched(file);
    const { examine = async () => requireForeign(this.system, file) } = this.options;
    await examine(file);
    const records = new RemoteRecords(this.system.files, this.feed.objects, folder);
    const old = new OldStore(this.system, records, undefined, file);
    const isStale = async (): Promise<boolean> => {
      this.offered = await this.open();
      return this.offered.commit !== commit;
    };
    return { old, clientId, endedUpTo, point, isStale };
  }

  explain(error: unknown): unknown {
    return error;
  }

  /**
   * Fetches the catalog of a snapshot to a file. Requests a new snapshot if the peer has dropped it. Throws
   * PROTOCOL_VIOLATION if the offer has no catalog.
   */
  private async fetched(file: string): Promise<CopyOffer> {
    for (let offers = 1; ; offers += 1) {
      const offer = this.offered ?? (await this.open());
      this.offered = undefined;
      if (offer.catalogBytes === 0) {
        throw protocolViolation('a client is offered without its catalog');
      }
      try {
        await this.fetch(offer, file);
        return offer;
      } catch (error) {
        unlinkIfThere(this.system.files, file);
        const { code } = asTardisError(error);
        if (code !== 'NO_SUCH_REQUEST' || offers === MAX_OFFERS) throw error;
      }
    }
  }

  /**
   * Requests a snapshot. Throws LOGIN_FAILED if the keys were changed since the login, and PROTOCOL_VIOLATION if the
   * offer is malformed or its catalog too large.
   */
  private async open(known?: string): Promise<CopyOffer> {
    const offer = await this.feed.open(known);
    const { clientId, catalogBytes, keysSum, point } = offer;
    const { maxCatalogBytes = MAX_CATALOG_BYTES } = this.options;
    const isPoint = isPointText(point) || (catalogBytes === 0 && point === '');
    if (!CLIENT_ID.test(clientId) || catalogBytes > maxCatalogBytes || !isPoint) {
      throw protocolViolation('a client is offered that cannot be copied');
    }
    if (this.feed.keys !== undefined && !keysSumOf(this.feed.keys).equals(keysSum)) {
      throw new TardisError('LOGIN_FAILED', 'the keys were changed since the login');
    }
    return offer;
  }

  private async fetch({ offer, catalogBytes }: CopyOffer, file: string): Promise<void> {
    const { files } = this.system;
    using opened = new OpenFd(files, files.open(file, 'create'));
    const pieces = { fd: opened.fd, fileBytes: catalogBytes, pieceBytes: OFFER_PIECE_BYTES };
    const piece = async (index: number): Promise<Buffer> => {
      throwIfAborted(this.signal);
      return this.feed.piece(offer, index);
    };
    await fetchPieces(files, pieces, piece, this.options.onPiece);
  }
}

const CLIENT_ID = /^[0-9a-f]{32}$/;
