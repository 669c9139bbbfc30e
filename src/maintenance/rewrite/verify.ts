/**
 * Compares the two generations before the switch: every version of every name, and every set. On request, also reads
 * every content of the new generation and compares it with its digest.
 */
import { isDeepStrictEqual } from 'node:util';
import { ReusedBuffers, RecordReader } from '../../contents/index.js';
import { type History, ProvenSets } from '../../history/index.js';
import { type CatalogEntry, Locator, type PlacedContent } from '../../store/catalog/index.js';
import type { Keyring } from '../../crypto/index.js';
import { TardisError } from '../../errors/index.js';
import {
  type ContentId,
  type DirectoryId,
  isZeros,
  mappedMarks,
  NO_CONTENT,
  type RootNumber,
  SEAL_BYTES,
  type SetNumber,
} from '../../model/index.js';
import type { StoreWriter } from '../../store/writer/index.js';
import { RecordKind } from '../../store/index.js';
import { yieldRegularly, type NativeCalls } from '../../system/index.js';
import type { ContentMover } from './contents.js';
import { lasting } from './copied-sets.js';
import { sumOf } from './history-seals.js';
import type { NewKeys } from './new-keys.js';
import type { OldGeneration } from './old-generation.js';

/** The new generation, and what has made it. */
interface Made {
  readonly store: StoreWriter;
  readonly keys: NewKeys;
  readonly mover: ContentMover;
}

export class Verifier {
  /** Number of contents that were read and matched their digests. */
  contents = 0;
  /** Id of the last content that was read. */
  lastContent: ContentId = NO_CONTENT;
  private readonly locator = new Locator();
  private readonly breathe: () => Promise<void> | undefined;
  private readonly reader: RecordReader;

  constructor(
    native: NativeCalls,
    private readonly old: OldGeneration,
    private readonly made: Made,
    signal: AbortSignal,
  ) {
    const { store, keys } = made;
    this.breathe = yieldRegularly(signal);
    this.reader = new RecordReader(store.backend, native, new ReusedBuffers(), keys.contents);
  }

  /**
   * Reads all contents that were added to the new generation since the last call. Throws RECORD_DAMAGED or
   * CONTENT_DAMAGED for a content that is damaged or incomplete.
   */
  async readNewContents(onRead: (done: number) => void): Promise<void> {
    const { history } = this.made.store.catalog;
    for (const page of history.contents(this.lastContent)) {
      for (const content of page) {
        await this.read(content);
        await this.breathe();
        this.lastContent = content.contentId;
        onRead(this.contents);
      }
    }
    this.reader.release();
  }

  private async read({ contentId, kind }: PlacedContent): Promise<void> {
    const pieces = this.locator.locate(this.made.store.catalog.contents, contentId);
    if (pieces === undefined) {
      throw new TardisError('CONTENT_DAMAGED', 'a content of the new generation is not whole');
    }
    this.contents += 1;
    if (kind === RecordKind.assembly) return; // the parts of an assembly are contents, and are read themselves
    const [piece] = pieces;
    // The digest of the content is checked when the loop ends.
    for await (const _ of this.reader.pieceBytes(piece!, piece!));
  }

  /**
   * Compares every version of every name, and every set, in both generations. Each set must also be proven by the new
   * keys. No process may write to the old generation meanwhile. Throws CATALOG_DAMAGED if the generations differ, and
   * NOT_AUTHENTIC if a seal is wrong.
   */
  async compare(oldHistory: History): Promise<void> {
    const others = this.made.store.catalog.history.directories();
    for (const page of this.old.catalog.history.directories()) {
      if (!same(page, others.next().value ?? [])) throw differs('a directory');
      for (const directory of page) {
        this.compareDirectory(directory);
        await this.breathe();
      }
    }
    if (others.next().done !== true) throw differs('a directory');
    await this.compareSets(oldHistory);
  }

  private compareDirectory(directory: DirectoryId): void {
    const old = this.versionsOf(directory, false);
    const fresh = this.versionsOf(directory, true);
    if (!same([...old.keys()].sort(), [...fresh.keys()].sort())) throw differs('a name');
    for (const [key, entry] of old) {
      if (entry !== fresh.get(key)) throw differs('an entry');
    }
  }

  /** Returns the facts of each version that must be equal in both generations, by name and set. */
  private versionsOf(directory: DirectoryId, isNew: boolean): Map<string, string> {
    const { history } = isNew ? this.made.store.catalog : this.old.catalog;
    const versions = new Map<string, string>();
    for (const entries of history.versionsIn(directory)) {
      if (isNew) this.made.keys.open(entries);
      else this.old.open(entries);
      for (const entry of entries) {
        const key = `${entry.firstSet}/${entry.name.toString('latin1')}`;
        versions.set(key, this.described(entry, isNew));
      }
    }
    return versions;
  }

  private described(entry: CatalogEntry, isNew: boolean): string {
    const { metadata, digest, lastSet, childId } = entry;
    const moved = isNew || digest === undefined ? digest : this.made.mover.digestFor(digest);
    const numbers = [lastSet ?? 0, childId ?? 0, moved?.toString('hex') ?? ''];
    return `${numbers.join('/')}/${lasting(metadata).toString('latin1')}`;
  }

  private async compareSets(oldHistory: History): Promise<void> {
    const [old, fresh] = [this.old.catalog, this.made.store.catalog];
    const { keyring } = this.made.keys;
    const proven = keyring && new ProvenSets(oldHistory, keyring);
    const sets = old.sets.all();
    if (sets.length !== fresh.sets.all().length) throw differs('the number of sets');
    for (const set of sets) {
      await this.breathe();
      const other = fresh.sets.find(set.set);
      const [name, otherName] = [this.old.openText(set.name), other?.name ?? ''];
      const marks = mappedMarks(set.marks, (text) => this.old.openText(text));
      const otherMarks = other && mappedMarks(other.marks, (text) => this.made.keys.openText(text));
      const isSame =
        other !== undefined &&
        name === this.made.keys.openText(otherName) &&
        isDeepStrictEqual(marks, otherMarks) &&
        other.state === set.state &&
        other.openedAtMs === set.openedAtMs &&
        other.clientTimeMs === set.clientTimeMs &&
        other.closedAtMs === set.closedAtMs &&
        JSON.stringify(other.stats) === JSON.stringify(set.stats) &&
        same(rootsIn(old.sets.rootsOf(set.set)), rootsIn(fresh.sets.rootsOf(set.set))) &&
        fresh.sets.notesOf(set.set).length === old.sets.notesOf(set.set).length &&
        fresh.owners.asOf(set.set).length === old.owners.asOf(set.set).length;
      if (!isSame) throw differs(`set ${set.set}`);
      if (set.state === 'complete') await proven?.of(set.set);
    }
    const newest = sets.findLast(({ state }) => state === 'complete');
    if (newest !== undefined && keyring !== undefined)
      await this.proveListings(keyring, newest.set);
  }

  /**
   * Throws NOT_AUTHENTIC unless the seals that a set covers match the stored listings. Directories that the client
   * never read completely have no seal of their listing, and are skipped.
   */
  private async proveListings({ tree }: Keyring, set: SetNumber): Promise<void> {
    const { catalog } = this.made.store;
    for (const page of catalog.seals.allAsOf(set)) {
      for (const { directory, seal } of page) {
        const listing = seal.subarray(SEAL_BYTES);
        if (isZeros(listing)) continue; // the client never read the directory completely
        const sum = sumOf(catalog, directory, set, (entries, to) =>
          this.made.keys.open(entries, to),
        );
        if (!tree.listing(sum).equals(listing)) {
          throw new TardisError('NOT_AUTHENTIC', `a directory is not as set ${set} has it`);
        }
        await this.breathe();
      }
    }
  }
}

function rootsIn(roots: readonly { root: RootNumber; directory: DirectoryId }[]): string[] {
  return roots.map(({ root, directory }) => `${root}/${directory}`).sort();
}

function same<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}

function differs(what: string): TardisError {
  return new TardisError(
    'CATALOG_DAMAGED',
    `${what} differs in the rewritten data: the catalog and the packs may not agree`,
  );
}
