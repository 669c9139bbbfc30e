/**
 * Sets of a client that encrypts, proven by its keys: which roots and directories each has, and the seal of
 * every listing. A server's word is taken for none of it.
 */
import { type Keyring, ownSetSeal, type Remembered, SealMemory, SealSum } from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import {
  NO_SEAL,
  SEAL_BYTES,
  sealIn,
  SET_SEAL_BYTES,
  DIRECTORY_SEAL_BYTES,
} from '../model/index.js';
import type { RootRecord } from '../store/index.js';
import type { Archive } from './archive.js';

/** Seals of directories asked for at once. */
const PAGE_DIRECTORIES = 1 << 16;
/** Sets that are kept once they are proven. */
const MAX_KEPT = 4;

export interface ProvenRoot extends RootRecord {
  /** Sealed; `path` is opened. */
  readonly sealedPath: Buffer;
  readonly place: Buffer;
  /** Of its own entry. */
  readonly seal: Buffer;
}

export interface ProvenSet {
  readonly set: number;
  /** False for a set that is not complete: it was never sealed. */
  readonly isSealed: boolean;
  readonly roots: readonly ProvenRoot[];
  /** The seal of the listing at a place; undefined: the client did not look there. */
  listingAt(place: Buffer): Buffer | undefined;
}

export class ProvenSets {
  private readonly kept = new Map<number, Promise<ProvenSet>>();
  /** Why the newest set is not remembered, if so. */
  doubt: string | undefined;
  private remembered: Promise<void> | undefined;
  private readonly sealed: Archive;
  private readonly keyring: Keyring;
  private readonly memory: SealMemory;

  constructor(sealed: Archive, keyring: Keyring) {
    this.sealed = sealed;
    this.keyring = keyring;
    this.memory = new SealMemory(keyring.id);
  }

  /** Throws NOT_AUTHENTIC when the set is not what the client made, STORE_ROLLED_BACK, NO_SUCH_SET. */
  of(set: number): Promise<ProvenSet> {
    let proven = this.kept.get(set);
    if (proven === undefined) {
      proven = this.prove(set);
      this.kept.set(set, proven);
      const [oldest] = this.kept.keys();
      if (this.kept.size > MAX_KEPT) this.kept.delete(oldest!);
    }
    return proven;
  }

  /** Whether the store still has what this machine knows it had. Throws STORE_ROLLED_BACK. */
  checkMemory(): Promise<void> {
    this.remembered ??= this.compareMemory();
    return this.remembered;
  }

  private async compareMemory(): Promise<void> {
    const remembered = this.memory.read();
    if (remembered.set === 0) return;
    const complete = (await this.sealed.sets()).filter(({ state }) => state === 'complete');
    const newest = Math.max(0, ...complete.map(({ set }) => set));
    const { setSeal } = await this.sealed.seals(remembered.set, 0, 1);
    const isThere = complete.some(({ set }) => set === remembered.set);
    this.memory.check(newest, () => (isThere ? ownSetSeal(setSeal ?? Buffer.alloc(0)) : undefined));
    const next = complete.find(({ set }) => set > remembered.set);
    if (!isThere && next !== undefined) await this.checkSuccessor(remembered, next.set);
  }

  /**
   * The remembered set is gone, as purged ones are: the one behind it still says what it followed, and a
   * history that was forked before it shows.
   */
  private async checkSuccessor(remembered: Remembered, next: number): Promise<void> {
    const { setSeal } = await this.proveUnremembered(next);
    if (setSeal === undefined) return;
    const { previousSet, previousSeal } = before(setSeal);
    if (previousSet > remembered.set) return; // of more that are gone nothing is known
    const isNext = previousSet === remembered.set;
    this.memory.check(next, () => (isNext ? previousSeal : NO_SEAL));
  }

  private async prove(set: number): Promise<ProvenSet> {
    await this.checkMemory();
    const proven = await this.proveUnremembered(set);
    const { setSeal } = proven;
    if (setSeal !== undefined && set > this.memory.read().set) {
      this.doubt = this.memory.write(set, ownSetSeal(setSeal));
    }
    return proven;
  }

  private async proveUnremembered(
    set: number,
  ): Promise<ProvenSet & { setSeal: Buffer | undefined }> {
    const { sealed, keyring } = this;
    const [sets, seals, roots] = await Promise.all([
      sealed.sets(),
      this.sealsOf(set),
      this.rootsOf(set),
    ]);
    const found = sets.find((one) => one.set === set);
    if (found === undefined) throw new TardisError('NO_SUCH_SET', `there is no set ${set}`);
    const listings = listingsIn(seals.directories);
    const listingAt = (place: Buffer): Buffer | undefined => listings.get(keyOf(place));
    const { setSeal } = seals;
    const isSealed = setSeal !== undefined;
    if (isSealed) {
      const directories = new SealSum();
      keyring.tree.addDirectories(seals.directories, directories);
      const { firstName: name, clientTimeMs } = found;
      const covered = {
        set,
        name,
        clientTimeMs,
        ...before(setSeal),
        roots: roots.map(({ sealedPath, place, seal }) => ({
          path: sealedPath,
          seal,
          isHeld: listingAt(place) === undefined,
        })),
      };
      const isNumber = Number.isSafeInteger(covered.previousSet);
      if (!isNumber || !keyring.tree.set(covered, directories).equals(setSeal)) {
        throw new TardisError('NOT_AUTHENTIC', `set ${set} is not what the client made`);
      }
    } else if (found.state === 'complete') {
      throw new TardisError('NOT_AUTHENTIC', `set ${set} has lost its seal`);
    }
    return { set, isSealed, roots, listingAt, setSeal };
  }

  private async sealsOf(
    set: number,
  ): Promise<{ directories: Buffer; setSeal: Buffer | undefined }> {
    const all: Buffer[] = [];
    for (let after = 0; ; ) {
      const { directories, setSeal } = await this.sealed.seals(set, after, PAGE_DIRECTORIES);
      for (const { seal } of directories) {
        if (seal.length !== DIRECTORY_SEAL_BYTES) {
          throw new TardisError('NOT_AUTHENTIC', 'the seal of a directory has another length');
        }
        all.push(seal);
      }
      if (directories.length < PAGE_DIRECTORIES) {
        return { directories: Buffer.concat(all), setSeal };
      }
      after = directories.at(-1)!.directory;
    }
  }

  private async rootsOf(set: number): Promise<ProvenRoot[]> {
    const { names, tree } = this.keyring;
    const roots = await this.sealed.roots(set);
    return Promise.all(
      roots.map(async (root) => {
        const { path: sealedPath } = root;
        const seal = sealIn((await this.sealed.find(sealedPath, set))?.attributes);
        const [path, place] = [names.openPath(sealedPath), tree.rootPlace(sealedPath)];
        return { ...root, path, sealedPath, place, seal };
      }),
    );
  }
}

/** What a set's stored seal says of the sealed set before it. */
function before(setSeal: Buffer): { previousSet: number; previousSeal: Buffer } {
  return {
    previousSet: setSeal.length === SET_SEAL_BYTES ? Number(setSeal.readBigUInt64LE(0)) : 0,
    previousSeal: Buffer.from(setSeal.subarray(8, 8 + SEAL_BYTES)),
  };
}

function listingsIn(seals: Buffer): Map<string, Buffer> {
  const listings = new Map<string, Buffer>();
  for (let at = 0; at < seals.length; at += DIRECTORY_SEAL_BYTES) {
    const middle = at + SEAL_BYTES;
    const listing = seals.subarray(middle, at + DIRECTORY_SEAL_BYTES);
    listings.set(keyOf(seals.subarray(at, middle)), listing);
  }
  return listings;
}

function keyOf(place: Buffer): string {
  return place.toString('latin1');
}
