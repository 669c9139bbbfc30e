/**
 * Compares the listings in a catalog with the seals of their directories. This check needs the keys, but no
 * contents. Each listing is added up again only for a set in which it or its seal changed.
 */
import type { Catalog, SealSpan } from '../../store/catalog/index.js';
import { type Keyring, SealSum } from '../../crypto/index.js';
import { asTardisError, throwIfAborted } from '../../errors/index.js';
import {
  type DirectoryId,
  isZeros,
  metadataFault,
  type RootNumber,
  SEAL_BYTES,
  type SetNumber,
} from '../../model/index.js';
import { yieldRegularly, type NativeCalls } from '../../system/index.js';
import { isAsOf } from '../history.js';
import { EntryOpener } from './entry-opener.js';

export class ListingFaults {
  /** Number of directories that are not as the client sealed them, by set. */
  readonly bySet = new Map<SetNumber, number>();
  /** Sets of each root, read when its first directory is checked. Sets that complete later are left out. */
  private readonly setsOfRoots = new Map<RootNumber, readonly SetNumber[]>();
  private readonly breathe = yieldRegularly();
  private readonly opener: EntryOpener;

  constructor(
    private readonly catalog: Catalog,
    private readonly keyring: Keyring,
    native: NativeCalls,
  ) {
    this.opener = new EntryOpener(keyring, native);
  }

  /**
   * Checks all sealed directories and fills `bySet`. Throws CATALOG_DAMAGED if SQLite finds damage, and INTERRUPTED if
   * it is aborted.
   */
  async find(signal: AbortSignal): Promise<void> {
    const { seals } = this.catalog;
    for (const page of seals.directories()) {
      for (const directory of page) await this.compare(directory, signal);
    }
  }

  private async compare(directory: DirectoryId, signal: AbortSignal): Promise<void> {
    const { seals, history, sets: table } = this.catalog;
    const sets = this.setsWith(directory);
    const spans = seals.spansOf(directory);
    const starts = spans.map(({ firstSet }) => firstSet);
    const changes = [...history.changesOf(directory), ...starts].sort((a, b) => a - b);
    let [change, at] = [0, 0];
    let isRight = true;
    for (const set of sets) {
      while ((spans[at + 1]?.firstSet ?? Infinity) <= set) at += 1;
      const span = spans[at];
      // The set did not visit this directory, or could not read all of it.
      if (span === undefined || !isAsOf(span, set) || isPartial(span)) continue;
      const isChanged = (changes[change] ?? Infinity) <= set;
      while ((changes[change] ?? Infinity) <= set) change += 1;
      if (isChanged) isRight = await this.fits(directory, set, span, signal);
      if (isRight || table.find(set)?.state !== 'complete') continue; // the set may have been deleted meanwhile
      this.bySet.set(set, (this.bySet.get(set) ?? 0) + 1);
    }
  }

  private setsWith(directory: DirectoryId): readonly SetNumber[] {
    const { history, seals } = this.catalog;
    const root = history.rootOf(directory);
    const known = this.setsOfRoots.get(root) ?? seals.setsOf(root);
    this.setsOfRoots.set(root, known);
    return known;
  }

  private async fits(
    directory: DirectoryId,
    set: SetNumber,
    { seal }: SealSpan,
    signal: AbortSignal,
  ): Promise<boolean> {
    const sum = new SealSum();
    throwIfAborted(signal);
    for (const page of this.catalog.entries.allAsOf(directory, set)) {
      throwIfAborted(signal);
      await this.breathe();
      if (!this.add(page, sum)) return false;
    }
    return this.keyring.tree.listing(sum).equals(seal.subarray(SEAL_BYTES));
  }

  /** Adds entries to `sum`. Returns false if the client did not seal one of them. */
  private add(entries: Parameters<EntryOpener['open']>[0], sum: SealSum): boolean {
    if (entries.some(({ metadata }) => metadataFault(metadata) !== undefined)) return false;
    try {
      this.opener.open(entries, sum);
      return true;
    } catch (error) {
      if (asTardisError(error).code !== 'NOT_AUTHENTIC') throw error;
      return false;
    }
  }
}

/** True for the seal of a directory that the client could not read completely. */
function isPartial({ seal }: SealSpan): boolean {
  return isZeros(seal.subarray(SEAL_BYTES));
}
