/** The feed of a client on this machine, by which a server copies it. */
import { TardisError } from '../../errors/index.js';
import {
  type ClientDirectory,
  isObjectName,
  mediumOf,
  newestKeys,
  type ObjectReader,
  openClientDirectory,
} from '../../store/index.js';
import { catchUp, packPiece } from '../../store/writer/index.js';
import { PrivateFolder, type System, yieldRegularly } from '../../system/index.js';
import { factsWithoutSnapshot, takeSnapshot } from './copy-source.js';
import type { ClientPlace } from './copy-target.js';
import { type CopyFeed, type CopyOffer, keysSumOf, pieceAt } from './far-source.js';

const CATALOG_FILE = 'catalog.db';

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
  private folder: PrivateFolder | undefined;
  private kept: { readonly fd: number; readonly sizeBytes: number } | undefined;

  constructor(
    private readonly system: System,
    private readonly directory: ClientDirectory,
  ) {
    this.keys = newestKeys(system, directory.path)?.bytes;
    const records = mediumOf(system, directory).records();
    this.objects = {
      read: async (name, ...range) => {
        if (isObjectName(name)) return records.read(name, ...range);
        throw new TardisError(
          'PROTOCOL_VIOLATION',
          'the server requests something that is not an object',
        );
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
    const { system, directory, keys } = this;
    if (this.isClosed) throw new TardisError('CONNECTION_LOST', 'the copy is over');
    this.drop();
    this.offer += 1;
    const { offer } = this;
    if (offer > 1 && directory.bucket !== undefined) await catchUp(system, directory);
    const keysSum = keysSumOf(keys);
    const facts = factsWithoutSnapshot(system, directory, known);
    if (facts !== undefined) return { ...facts, offer, catalogBytes: 0, keysSum };
    const folder = new PrivateFolder(system);
    this.folder = folder;
    try {
      const file = folder.file(CATALOG_FILE);
      const taken = await takeSnapshot(system, directory, file);
      const catalogBytes = system.files.status(file)?.sizeBytes ?? 0;
      this.kept = { fd: system.files.open(file, 'read'), sizeBytes: catalogBytes };
      return { ...taken, offer, catalogBytes, keysSum };
    } catch (error) {
      throw folder.explain(error);
    }
  }

  private async pieceOf(offer: number, index: number): Promise<Buffer> {
    const { kept } = this;
    const piece = pieceAt(index, kept?.sizeBytes ?? 0);
    if (offer !== this.offer || kept === undefined || piece.sizeBytes <= 0) {
      throw new TardisError('NO_SUCH_REQUEST', 'there is no such piece of a snapshot');
    }
    return packPiece(this.system.files, { fd: kept.fd, ...piece }, yieldRegularly());
  }

  private drop(): void {
    if (this.kept !== undefined) this.system.files.close(this.kept.fd);
    this.kept = undefined;
    this.folder?.remove();
    this.folder = undefined;
  }
}
