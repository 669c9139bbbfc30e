/**
 * Restores damaged objects of a client in a bucket from the parity in them. The name of an object stands for the bytes
 * that it was created with. So a healed object is written under its own name, and only if its bytes have the checksum
 * (SHA-256) that was stored with it. The request needs no condition: it does no harm if another machine does the same
 * work, or if it arrives late. An object that another machine deletes while it is written exists again afterwards,
 * without a commit that names it; `sonic orphans` deletes it.
 */
import { createHash } from 'node:crypto';
import { TardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import type { ObjectWriter } from '../backends/backend.js';
import { DirectoryBackend } from '../backends/directory-backend.js';
import { stagedPieces, stagedReader } from '../backends/staged-pieces.js';
import type { ClientDirectory } from '../client/client-directory.js';
import type { ListedObject, ObjectSource, ObjectStore } from '../objects/index.js';
import { examine, heal } from '../parity/heal.js';
import {
  findInnerParity,
  INNER_OBJECT,
  type InnerParity,
  innerParityBytes,
  InnerParityView,
} from '../parity/inner-parity.js';
import { HEAD_BYTES } from '../parity/parity-file.js';
import { LOG_PACKS_PREFIX, LOG_PREFIX, logPlace, packOf } from '../layout/bucket-names.js';
import { ParityMaker } from './parity-maker.js';
import { type SharedStore, sharedStore } from './shared-stores.js';

/** Number of bytes that are read by one request. */
const PIECE_BYTES = 8 << 20;

/** The result for one object. */
export interface Mended {
  /**
   * `sound`: its bytes are those that were stored. `healed`: it was damaged, and its bytes are restored. `remade`:
   * only its parity was damaged, and was made again. `beyond`: more is damaged than its parity restores.
   * `unprotected`: it is damaged, and has no parity. `unproven`: no checksum is stored with it. `gone`: it was deleted
   * or replaced meanwhile.
   */
  readonly outcome: 'sound' | 'healed' | 'remade' | 'beyond' | 'unprotected' | 'unproven' | 'gone';
  readonly restoredBlocks: number;
  readonly lostBlocks: number;
  /** Number of bytes of its parity; 0 if it has none. */
  readonly parityBytes: number;
}

const UNCHANGED = { restoredBlocks: 0, lostBlocks: 0, parityBytes: 0 } as const;

export class ObjectHealer implements Disposable {
  private readonly store: ObjectStore;
  private readonly place: string;
  private readonly staging: DirectoryBackend;
  private readonly math: System['native'];

  private constructor(
    { native, files }: System,
    { client, path, generation }: ClientDirectory,
    private readonly shared: SharedStore,
    private readonly breathe: () => Promise<void> | undefined,
  ) {
    this.store = shared.store;
    this.place = logPlace(client, generation);
    this.staging = new DirectoryBackend(path, files);
    this.math = native;
  }

  /** Opens a healer for a client. `breathe` yields to other work, and may throw to end the work. */
  static async open(
    system: System,
    directory: ClientDirectory,
    breathe: () => Promise<void> | undefined,
  ): Promise<ObjectHealer> {
    if (directory.bucket === undefined) throw new Error('the client is in no bucket');
    const shared = await sharedStore(system, directory.bucket);
    return new ObjectHealer(system, directory, shared, breathe);
  }

  /** Lists the commits and packs of the client. Names are those in the store. */
  async *objects(): AsyncGenerator<ListedObject> {
    for (const folder of [LOG_PREFIX, LOG_PACKS_PREFIX]) {
      for await (const object of this.store.listSized(this.place + folder)) {
        if (packOf(object.name.slice(this.place.length)) !== undefined) yield object;
      }
    }
  }

  /**
   * Reads an object, and heals it if it is damaged. Throws DISK_FULL if there is no space for a copy on this machine,
   * and errors of a bucket.
   */
  async mend(name: string): Promise<Mended> {
    const head = await this.store.head(name);
    if (head === undefined) return { ...UNCHANGED, outcome: 'gone' };
    const { sha256 } = head;
    const seen = new Seen();
    await this.readAll(name, head.sizeBytes, seen);
    const parityBytes = await seen.parityBytes();
    if (sha256 === undefined) return { ...UNCHANGED, outcome: 'unproven', parityBytes };
    if (seen.sha256() === sha256) return { ...UNCHANGED, outcome: 'sound', parityBytes };
    using copy = this.staging.stage();
    const again = new Seen(copy);
    await this.readAll(name, head.sizeBytes, again); // a network can change bytes, too
    if (again.sha256() === sha256) return { ...UNCHANGED, outcome: 'sound', parityBytes };
    const found = await findInnerParity(stagedReader(copy), INNER_OBJECT, true);
    if (found === undefined) return { ...UNCHANGED, outcome: 'unprotected' };
    return await this.healCopy({ name, sha256 }, copy, found);
  }

  [Symbol.dispose](): void {
    this.staging.close();
  }

  private async healCopy(
    object: { readonly name: string; readonly sha256: string },
    copy: ObjectWriter,
    found: InnerParity,
  ): Promise<Mended> {
    const { math, breathe, staging } = this;
    const parityBytes = innerParityBytes(found.coveredBytes, found.percent);
    const view = new InnerParityView(copy, found, () => staging.stage());
    const whole = staging.stage();
    try {
      const tools = { backend: view, math, breathe };
      const examined = await examine(tools, INNER_OBJECT);
      const isDamaged = examined.state === 'damaged';
      const healed = isDamaged ? await heal(tools, INNER_OBJECT, examined) : undefined;
      const { restoredBlocks = 0, lostBlocks = 0 } = healed ?? {};
      const counts = { restoredBlocks, lostBlocks, parityBytes };
      const lost = { ...counts, restoredBlocks: 0, lostBlocks: lostBlocks + restoredBlocks };
      if (isDamaged && healed?.outcome !== 'healed') return { ...lost, outcome: 'beyond' };
      await this.rebuild(whole, view.healed ?? copy, found);
      const source = await sourceOf(whole);
      if (hexOf(source) !== object.sha256) return { ...lost, outcome: 'beyond' };
      if (!(await this.write(object.name, source))) return { ...lost, outcome: 'gone' };
      return { ...counts, outcome: isDamaged ? 'healed' : 'remade' };
    } finally {
      view.healed?.close();
      whole.close();
    }
  }

  /** Writes the protected bytes to `whole`, with their parity, which is made again. */
  private async rebuild(
    whole: ObjectWriter,
    data: ObjectWriter,
    { coveredBytes, percent }: InnerParity,
  ): Promise<void> {
    const { math, breathe, staging } = this;
    for await (const piece of stagedPieces(data)) {
      whole.append(piece.subarray(0, Math.max(0, coveredBytes - whole.sizeBytes)));
      await breathe();
    }
    const maker = new ParityMaker(math, staging, percent, breathe);
    await maker.append(stagedReader(whole), coveredBytes, (piece) => whole.append(piece));
  }

  /**
   * Writes an object again, and reads it back. Returns false if it was deleted or replaced meanwhile. Throws
   * OBJECT_DAMAGED if the bytes that were read still differ.
   */
  private async write(name: string, source: ObjectSource): Promise<boolean> {
    const { store } = this;
    if ((await store.head(name))?.sha256 !== hexOf(source)) return false;
    await this.shared.admit();
    await store.putAgain(name, source);
    const seen = new Seen();
    await this.readAll(name, source.sizeBytes, seen);
    if (seen.sha256() === hexOf(source)) return true;
    const what = `${name} was written again, and still differs from its checksum`;
    throw new TardisError('OBJECT_DAMAGED', what, { unreadable: name });
  }

  /**
   * Reads an object of this size, damaged or not. The last byte is read alone if one request would be enough, since a
   * read of a whole damaged object rejects.
   */
  private async readAll(name: string, sizeBytes: number, seen: Seen): Promise<void> {
    const piece = Buffer.allocUnsafe(Math.max(1, Math.min(PIECE_BYTES, sizeBytes - 1)));
    for (let at = 0; at < sizeBytes; ) {
      const got = await this.store.read(name, at, piece, Math.min(piece.length, sizeBytes - at));
      if (got === 0) return;
      seen.take(piece.subarray(0, got));
      at += got;
      await this.breathe();
    }
  }
}

/** Receives the bytes of an object as they are read, and copies them if requested. */
class Seen {
  private readonly hash = createHash('sha256');
  private last: Buffer = Buffer.alloc(0);
  private sizeBytes = 0;

  constructor(private readonly copy?: ObjectWriter) {}

  take(piece: Buffer): void {
    this.hash.update(piece);
    this.sizeBytes += piece.length;
    this.last = Buffer.concat([this.last, piece.subarray(-HEAD_BYTES)]).subarray(-HEAD_BYTES);
    this.copy?.append(piece);
  }

  /** Returns the checksum of all bytes, in hexadecimal. Call it once. */
  sha256(): string {
    return this.hash.digest('hex');
  }

  /** Returns the number of bytes of the parity at the end; 0 if there is none. */
  async parityBytes(): Promise<number> {
    const { sizeBytes, last } = this;
    const reader = {
      size: async () => sizeBytes,
      read: async (_name: string, _at: number, target: Uint8Array) => last.copy(target),
    };
    const found = await findInnerParity(reader, INNER_OBJECT, false);
    return found === undefined ? 0 : sizeBytes - found.coveredBytes;
  }
}

async function sourceOf(staged: ObjectWriter): Promise<ObjectSource> {
  const hash = createHash('sha256');
  for await (const piece of stagedPieces(staged)) hash.update(piece);
  const { sizeBytes } = staged;
  return { sizeBytes, sha256: hash.digest(), open: () => copiesOf(staged) };
}

/** Yields the bytes of a staged object in separate buffers, since a request may hold several at once. */
async function* copiesOf(staged: ObjectWriter): AsyncGenerator<Buffer> {
  for await (const piece of stagedPieces(staged)) yield Buffer.from(piece);
}

function hexOf({ sha256 }: ObjectSource): string {
  return Buffer.from(sha256).toString('hex');
}
