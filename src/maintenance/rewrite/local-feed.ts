/** The feed of a client on this machine, by which a server copies it. */
import { protocolViolation, TardisError } from '../../errors/index.js';
import {
  type ClientDirectory,
  isObjectName,
  mediumOf,
  newestKeys,
  type ObjectReader,
  openClientDirectory,
} from '../../store/index.js';
import { catchUp } from '../../store/writer/index.js';
import type { System } from '../../system/index.js';
import { factsWithoutSnapshot, keysSumAt, OfferedCatalog, takeSnapshot } from './copy-source.js';
import type { ClientPlace } from './copy-target.js';
import type { CopyFeed, CopyOffer } from './remote-source.js';

/**
 * Opens a client in a directory or a bucket, and returns its feed. The caller closes the feed. Throws NO_SUCH_STORE,
 * NO_SUCH_CLIENT, and other errors of opening.
 */
export function localFeed(
  system: System,
  place: ClientPlace,
): CopyFeed & Disposable & { close(): void } {
  const feed = new LocalFeed(system, openClientDirectory(system, place));
  return {
    keys: feed.keys,
    objects: feed.objects,
    open: (known) => feed.open(known),
    piece: (offer, index) => feed.piece(offer, index),
    close: () => feed.close(),
    [Symbol.dispose]: () => feed.close(),
  };
}

class LocalFeed {
  readonly keys: Buffer | undefined;
  readonly objects: ObjectReader;
  private offer = 0;
  private isClosed = false;
  private waiting = 0;
  private turn: Promise<unknown> = Promise.resolve();
  private catalog: OfferedCatalog | undefined;

  constructor(
    private readonly system: System,
    private readonly directory: ClientDirectory,
  ) {
    this.keys = newestKeys(system, directory.path)?.bytes;
    const records = mediumOf(system, directory).records();
    this.objects = {
      read: async (name, ...range) => {
        if (isObjectName(name)) return records.read(name, ...range);
        throw protocolViolation('the server requests something that is not an object');
      },
      close: () => records.close(),
    };
  }

  open(known = ''): Promise<CopyOffer> {
    return this.inTurn(() => this.take(known));
  }

  piece(offer: number, index: number): Promise<Buffer> {
    return this.inTurn(() => this.pieceOf(offer, index));
  }

  close(): void {
    this.isClosed = true;
    this.objects.close();
    if (this.waiting === 0) this.drop();
  }

  /**
   * Runs jobs one after the other, although a server may send several requests at once. So a file is not closed while
   * it is read.
   */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.waiting += 1;
    const done = this.turn.then(work).finally(() => {
      this.waiting -= 1;
      if (this.isClosed && this.waiting === 0) this.drop();
    });
    this.turn = done.catch(() => undefined); // the caller handles the error
    return done;
  }

  private async take(known: string): Promise<CopyOffer> {
    const { system, directory } = this;
    if (this.isClosed) throw new TardisError('CONNECTION_LOST', 'the copy is over');
    this.drop();
    this.offer += 1;
    const { offer } = this;
    if (offer > 1 && directory.bucket !== undefined) await catchUp(system, directory);
    const facts = factsWithoutSnapshot(system, directory, known);
    if (facts !== undefined) {
      return { ...facts, offer, catalogBytes: 0, keysSum: keysSumAt(system, directory) };
    }
    const taken = await OfferedCatalog.taken(system, async (file) => ({
      ...(await takeSnapshot(system, directory, file)),
      keysSum: keysSumAt(system, directory), // last: a catalog under new keys must not go with an older record
    }));
    this.catalog = taken.catalog;
    return { ...taken.facts, offer, catalogBytes: taken.catalog.fileBytes };
  }

  private async pieceOf(offer: number, index: number): Promise<Buffer> {
    const { catalog } = this;
    if (offer !== this.offer || catalog === undefined || index >= catalog.pieces) {
      throw new TardisError('NO_SUCH_REQUEST', 'there is no such piece of a snapshot');
    }
    return catalog.piece(index);
  }

  private drop(): void {
    this.catalog?.close();
    this.catalog = undefined;
  }
}
