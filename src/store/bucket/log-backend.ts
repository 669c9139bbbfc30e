/**
 * The backend over an object store. Its commits are numbered objects, and its packs are objects that are written once.
 * Contents are staged in the client's directory on this machine until they are sent.
 */
import { noSuchObject, recordDamaged, TardisError } from '../../errors/index.js';
import type { PackNumber } from '../../model/index.js';
import type { Backend, ExpectedRange, ObjectWriter } from '../backends/backend.js';
import { packName, packNumber, PACKS_PREFIX } from '../layout/layout.js';
import type { ObjectStore } from '../objects/index.js';
import { MAX_COMMIT_OBJECT_BYTES } from './commit-object.js';
import { JoinedReads } from './joined-reads.js';
import {
  commitName,
  commitOf,
  isOfLog,
  LOG_PACKS_PREFIX,
  LOG_PREFIX,
  objectOf,
  packOf,
} from '../layout/bucket-names.js';

/** Reads bytes that are not in the store yet, and returns their number. */
type PendingBytes = (position: number, target: Uint8Array, bytes: number) => number;

/** Function that opens the store at its first use, so that a client can be opened without a request. */
type OpenObjects = () => Promise<ObjectStore>;

/** A place for staged contents on this machine. */
type Staging = Pick<Backend, 'stage' | 'owner' | 'close'>;

export class LogBackend implements Backend {
  private readonly pending = new Map<string, PendingBytes>();
  private readonly joined = new JoinedReads(async (name, position, target, bytes) =>
    (await this.open()).read(name, position, target, bytes),
  );
  /** The commit object that was read last. It is kept because recovery reads its records one by one. */
  private recent: { name: string; bytes: Buffer } | undefined;

  constructor(
    private readonly open: OpenObjects,
    /** Prefix of the client's objects in the store, with a slash at its end. */
    readonly prefix: string,
    private readonly staging: Staging,
  ) {}

  /** Returns a commit object; undefined if there is none with this number. */
  async commitObject(commit: number): Promise<Buffer | undefined> {
    const name = commitName(commit);
    if (this.recent?.name === name) return this.recent.bytes; // it is never replaced while the log is in use
    const store = await this.open();
    const bytes = await store.readWhole(this.prefix + name, MAX_COMMIT_OBJECT_BYTES);
    this.recent = bytes && { name, bytes };
    return bytes;
  }

  async objects(): Promise<ObjectStore> {
    return this.open();
  }

  /** Returns the name in the store of the object that stands for a pack. */
  fullName(pack: PackNumber): string {
    return this.prefix + this.resolve(packName(pack));
  }

  /** Makes a pack readable that is not in the store yet. Without `bytes`, ends that. */
  setPending(pack: PackNumber, bytes: PendingBytes | undefined): void {
    if (bytes === undefined) this.pending.delete(packName(pack));
    else this.pending.set(packName(pack), bytes);
  }

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    const pending = this.pending.get(name);
    if (pending !== undefined) return pending(position, target, bytes);
    const object = this.resolve(name);
    const { recent } = this;
    if (recent?.name === object) return recent.bytes.copy(target, 0, position, position + bytes);
    return this.joined.read(this.prefix + object, position, target, bytes);
  }

  expect(ranges: readonly ExpectedRange[]): void {
    this.joined.expect(
      ranges.flatMap(({ object, ...range }) => {
        const isElsewhere = this.pending.has(object) || packNumber(object) === undefined;
        return isElsewhere ? [] : [{ ...range, object: this.prefix + this.resolve(object) }];
      }),
    );
  }

  async size(name: string): Promise<number | undefined> {
    if (packNumber(name) === undefined) return undefined; // large contents are packs, too
    return (await (await this.open()).head(this.prefix + this.resolve(name)))?.sizeBytes;
  }

  async list(prefix: string): Promise<string[]> {
    if (prefix !== PACKS_PREFIX) return [];
    const store = await this.open();
    const found: string[] = [];
    for (const folder of [LOG_PREFIX, LOG_PACKS_PREFIX]) {
      for await (const name of store.list(this.prefix + folder)) {
        const pack = packOf(name.slice(this.prefix.length));
        if (pack !== undefined) found.push(packName(pack));
      }
    }
    return found.sort();
  }

  /** Lists the commit objects after the one with a number, in ascending order. */
  async *commitsAfter(
    number: number,
  ): AsyncGenerator<{ readonly commit: number; readonly sizeBytes: number }> {
    const { prefix } = this;
    const store = await this.open();
    const after = number === 0 ? '' : prefix + commitName(number);
    for await (const { name, sizeBytes } of store.listSized(prefix + LOG_PREFIX, after)) {
      const commit = commitOf(name.slice(prefix.length));
      if (commit !== undefined) yield { commit, sizeBytes };
    }
  }

  /** Returns the sizes of all packs that may be deleted, whether a commit covers them or not. */
  async removablePacks(): Promise<ReadonlyMap<PackNumber, number>> {
    const store = await this.open();
    const sizes = new Map<PackNumber, number>();
    for await (const { name, sizeBytes } of store.listSized(this.prefix + LOG_PACKS_PREFIX)) {
      const pack = packOf(name.slice(this.prefix.length));
      if (pack !== undefined && !isOfLog(pack)) sizes.set(pack, sizeBytes);
    }
    return sizes;
  }

  stage(): ObjectWriter {
    return this.staging.stage();
  }

  owner(): string | undefined {
    return this.staging.owner();
  }

  create(name: string): never {
    throw notHere(`appending to ${name}`);
  }

  /** Does nothing: an object is durable once it exists. */
  async sync(): Promise<void> {
    return undefined;
  }

  async shorten(name: string): Promise<never> {
    throw notHere(`truncating ${name}`);
  }

  /** Removes a pack. Throws RECORD_DAMAGED for a part of the log, which no valid commit removes. */
  async remove(name: string): Promise<void> {
    const pack = packNumber(name);
    if (pack === undefined) throw notHere(`removing ${name}`);
    if (isOfLog(pack)) throw recordDamaged(`a commit in the bucket removes ${this.resolve(name)}`);
    await (await this.open()).remove([this.prefix + this.resolve(name)]);
  }

  close(): void {
    this.recent = undefined;
    this.joined.clear();
    this.staging.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private resolve(name: string): string {
    const object = packNumber(name) === undefined ? undefined : objectOf(name);
    if (object !== undefined) return object;
    throw noSuchObject(name);
  }
}

function notHere(what: string): TardisError {
  return new TardisError('INTERNAL', `${what} is not possible in a store of objects`);
}
