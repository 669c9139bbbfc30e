/**
 * Proves sets of an encrypting client with its keys: the roots and directories of each set, and the seal of every
 * listing. No statement of the server is trusted.
 */
import {
  type Keyring,
  ownSetSeal,
  sealBefore,
  type Remembered,
  SealMemory,
  SealSum,
} from '../../crypto/index.js';
import { asTardisError, TardisError } from '../../errors/index.js';
import {
  DIRECTORY_SEAL_BYTES,
  type DirectoryId,
  NO_SEAL,
  SEAL_BYTES,
  sealIn,
  type SetNumber,
} from '../../model/index.js';
import type { RootRecord } from '../../store/index.js';
import type { History } from '../history.js';
import { BoundedCache } from '../../system/index.js';

/** Number of directory seals requested at once. */
const PAGE_DIRECTORIES = 1 << 16;
/** Maximum number of proven sets that are cached. */
const MAX_KEPT = 4;

interface ProvenRoot extends RootRecord {
  /** The sealed path; `path` is the opened one. */
  readonly sealedPath: Buffer;
  readonly place: Buffer;
  /** The seal of the root's own entry. */
  readonly seal: Buffer;
}

export interface ProvenSet {
  readonly set: SetNumber;
  /** False for an incomplete set, which is never sealed, and for a set that does not match its seal. */
  readonly isSealed: boolean;
  /** True if the set does not match its seal, or its seal is lost, and such sets are accepted. */
  readonly isBroken: boolean;
  readonly roots: readonly ProvenRoot[];
  /** Returns the seal of the listing at a place; undefined if the client did not list it. */
  listingAt(place: Buffer): Buffer | undefined;
}

export class ProvenSets {
  private readonly kept = new BoundedCache<SetNumber, Promise<ProvenSet>>(MAX_KEPT, (_, set) =>
    this.known.delete(set),
  );
  /** Sets of `kept` that match their seals. */
  private readonly known = new Map<SetNumber, ProvenSet>();
  /** Messages about sets that nothing proves or that cannot be remembered. */
  readonly doubts = new Set<string>();
  /** True if sets that do not match their seals are treated like sets without a seal. */
  acceptsUnproven = false;
  /**
   * Receives a description of the missing data if the store is in an older state than this machine has seen; undefined
   * to reject such a store.
   */
  reportOlder: ((what: string) => void) | undefined;
  /** True if the store is in an older state than this machine has seen. */
  isOlder = false;
  private remembered: Promise<void> | undefined;
  private readonly memory: SealMemory;

  constructor(
    private readonly sealed: History,
    private readonly keyring: Keyring,
  ) {
    this.memory = new SealMemory(keyring.id);
  }

  /**
   * Returns a proven set. Throws NOT_AUTHENTIC if the set is not as the client made it and such sets are not accepted.
   * Throws STORE_ROLLED_BACK if the store is older than this machine has seen and `reportOlder` is undefined. Throws
   * NO_SUCH_SET if there is no such set.
   */
  async of(set: SetNumber): Promise<ProvenSet> {
    const kept = this.kept.get(set);
    if (kept !== undefined) {
      const known = await kept;
      // A set that was unfinished may be complete by now, and its seal is checked then.
      if (known.isSealed || known.isBroken || !(await this.isComplete(set))) return known;
      if (this.kept.get(set) === kept) this.kept.delete(set);
    }
    return this.kept.get(set) ?? this.keep(set);
  }

  /** Returns a set that `of` has returned and that matches its seal; undefined for others, which `of` must prove. */
  provenBefore(set: SetNumber): ProvenSet | undefined {
    return this.known.get(set);
  }

  private keep(set: SetNumber): Promise<ProvenSet> {
    const proving = this.prove(set);
    this.kept.set(set, proving);
    proving.then(
      (proven) => {
        if (this.kept.get(set) === proving && proven.isSealed) this.known.set(set, proven);
      },
      () => {
        if (this.kept.get(set) === proving) this.kept.delete(set);
      },
    );
    return proving;
  }

  private async isComplete(set: SetNumber): Promise<boolean> {
    const sets = await this.sealed.sets();
    return sets.some((one) => one.set === set && one.state === 'complete');
  }

  /**
   * Checks that the store still has the set that this machine remembers. If not, calls `reportOlder`; without it,
   * throws STORE_ROLLED_BACK.
   */
  checkMemory(): Promise<void> {
    this.remembered ??= this.compareMemory().catch((error: unknown) => {
      const { code, message } = asTardisError(error);
      const { reportOlder } = this;
      // NOT_AUTHENTIC means that the set after the remembered one does not match its seal.
      const isOfMemory = code === 'STORE_ROLLED_BACK' || code === 'NOT_AUTHENTIC';
      if (reportOlder === undefined || !isOfMemory) {
        this.remembered = undefined; // the next request compares again
        throw error;
      }
      this.isOlder = true;
      reportOlder(message);
    });
    return this.remembered;
  }

  private async compareMemory(): Promise<void> {
    const remembered = this.memory.read();
    if (remembered.set === 0) return;
    const complete = (await this.sealed.sets()).filter(({ state }) => state === 'complete');
    const newest = Math.max(0, ...complete.map(({ set }) => set));
    const { setSeal } = await this.sealed.seals(remembered.set, 0, 1);
    const isThere = complete.some(({ set }) => set === remembered.set);
    const sealOf = (): Buffer | undefined =>
      isThere ? ownSetSeal(setSeal ?? Buffer.alloc(0)) : undefined;
    SealMemory.check(remembered, newest, sealOf);
    const next = complete.find(({ set }) => set > remembered.set);
    if (!isThere && next !== undefined) await this.checkSuccessor(remembered, next.set);
  }

  /**
   * Checks the set `next` after a remembered set that is gone, for example because it was purged. The seal of `next`
   * names its predecessor, and so reveals a history that was forked earlier.
   */
  private async checkSuccessor(remembered: Remembered, next: SetNumber): Promise<void> {
    const { setSeal } = await this.proveUnremembered(next);
    if (setSeal === undefined) return;
    const { previousSet, previousSeal } = sealBefore(setSeal);
    if (previousSet > remembered.set) return; // sets between the two are gone as well, and nothing is known about them
    const isNext = previousSet === remembered.set;
    SealMemory.check(remembered, next, () => (isNext ? previousSeal : NO_SEAL));
  }

  private async prove(set: SetNumber): Promise<ProvenSet> {
    await this.checkMemory();
    const proven = await this.proveUnremembered(set);
    const { setSeal } = proven;
    if (setSeal !== undefined && set > this.memory.read().set) {
      const doubt = this.memory.write(set, ownSetSeal(setSeal));
      if (doubt !== undefined) this.doubts.add(doubt);
    }
    return proven;
  }

  private async proveUnremembered(
    set: SetNumber,
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
    let isBroken = false;
    if (setSeal !== undefined) {
      const directories = new SealSum();
      keyring.tree.addDirectories(seals.directories, directories);
      const { firstName: name, clientTimeMs } = found;
      const covered = {
        set,
        name,
        clientTimeMs,
        ...sealBefore(setSeal),
        roots: roots.map(({ sealedPath, place, seal }) => ({
          path: sealedPath,
          seal,
          isProtected: listingAt(place) === undefined,
        })),
      };
      const isNumber = Number.isSafeInteger(covered.previousSet);
      if (!isNumber || !keyring.tree.set(covered, directories).equals(setSeal)) {
        this.doubt(`set ${set} is not what the client made`);
        isBroken = true;
      }
    } else if (found.state === 'complete') {
      this.doubt(`set ${set} has lost its seal`);
      isBroken = true;
    }
    const isSealed = setSeal !== undefined && !isBroken;
    return { set, isSealed, isBroken, roots, listingAt, setSeal: isSealed ? setSeal : undefined };
  }

  /** Throws NOT_AUTHENTIC, unless sets without proof as a whole are accepted; then records a message. */
  doubt(why: string): void {
    if (!this.acceptsUnproven) {
      const hint = 'after a loss of packs, --allow-unproven restores what is proven entry by entry';
      throw new TardisError('NOT_AUTHENTIC', `${why} (${hint})`);
    }
    this.doubts.add(
      `${why}: each entry is proven alone, but not its place, nor that all are there`,
    );
  }

  private async sealsOf(
    set: SetNumber,
  ): Promise<{ directories: Buffer; setSeal: Buffer | undefined }> {
    const all: Buffer[] = [];
    for (let after: DirectoryId = 0; ; ) {
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

  private async rootsOf(set: SetNumber): Promise<ProvenRoot[]> {
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
