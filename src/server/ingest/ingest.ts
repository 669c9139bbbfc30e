/**
 * Writes one backup set into a client's store. Each call handles one message, in the order of the wire, inside the
 * transaction that is open from checkpoint to checkpoint. This code is independent of sockets and threads.
 *
 * A row never enters the catalog before its content (see `FinalRows`).
 */
import { protocolViolation } from '../../errors/index.js';
import {
  checkRows,
  type ClientConfig,
  type ContentId,
  countRows,
  DIGEST_BYTES,
  digestKey,
  DIRECTORY_SEAL_BYTES,
  MAX_SEALED_SET_NAME_BYTES,
  type RootNumber,
  SET_SEAL_BYTES,
  setNameFault,
  type SetNumber,
  SKIP_SEAL_BYTES,
  type SlotNumber,
} from '../../model/index.js';
import { type Catalog, ROOTS_DIRECTORY } from '../../store/catalog/index.js';
import type { OwnerRecord } from '../../store/index.js';
import { SetJournal, type StoreWriter } from '../../store/writer/index.js';
import { type Head, HEAD_SAME, MAX_OWNERS, MAX_SOUGHT, Verdict } from '../../transport/index.js';
import type { BasisOffers } from './basis-offers.js';
import { type Compared, compareListing, type ComparingRules } from './compare-listing.js';
import { FinalRows } from './final-rows.js';
import type { OpenedSet, SetRequest } from './set-request.js';
import { SetRoots } from './set-roots.js';
import { type Place, Slots } from './slots.js';
import type { Trust } from './trust.js';

/** Maximum length of the reason in a note, in characters. A sealed reason is longer than its plain text. */
const MAX_REASON_CHARS = 128;
/** Maximum number of digests whose contents the client has promised, and not yet sent, in one session. */
const MAX_COMING_DIGESTS = 1 << 20;

export class Ingest {
  readonly set: SetNumber;
  readonly isEmpty: boolean;
  private readonly slots: Slots;
  readonly seals: SetSeals;
  readonly rows: FinalRows;
  /** Roots that were present when the set began, and parts of which disappeared during the backup. */
  private readonly lostRoots = new Set<RootNumber>();
  /** True after the end of the set; a complete set does not change. */
  isClosed = false;
  private ownersReceived = 0;
  private readonly catalog: Catalog;

  private readonly isFull: boolean;
  private readonly offers: BasisOffers;
  private readonly trust: Trust;

  private constructor(
    store: StoreWriter,
    private readonly journal: SetJournal,
    private readonly roots: SetRoots,
    more: {
      isEmpty: boolean;
      isFull: boolean;
      trustsRoots: boolean;
      offers: BasisOffers;
      trust: Trust;
    },
  ) {
    this.trust = more.trust;
    this.isFull = more.isFull;
    this.offers = more.offers;
    this.catalog = store.catalog;
    this.set = journal.set;
    this.isEmpty = more.isEmpty;
    this.slots = new Slots(store.catalog, more.isFull, more.trustsRoots, () => {
      store.counters.directory += 1;
      return store.counters.directory;
    });
    this.seals = new SetSeals(store.catalog, journal, this.slots);
    this.rows = new FinalRows(store, { ...more, journal, slots: this.slots });
  }

  /** Opens the next set on top of the head. `request.rows` has one row for each root. */
  static open(
    store: StoreWriter,
    request: SetRequest,
    offers: BasisOffers,
    trust: Trust,
  ): { ingest: Ingest; opened: OpenedSet } {
    const rows = checkRows(request.rows, false);
    const fault = setNameFault(request.name, MAX_SEALED_SET_NAME_BYTES);
    if (fault !== undefined) throw protocolViolation(`the name of a set ${fault}`);
    const { sets, directories, entries, contents } = store.catalog;
    const isEmpty = entries.isEmpty() && contents.isEmpty();
    store.counters.set += 1;
    const set = store.counters.set;
    const { name, nowMs, clientTimeMs } = request;
    if (sets.find(set - 1)?.state !== 'complete') directories.unplaceStranded();
    sets.open(set, name, nowMs, clientTimeMs);
    const journal = new SetJournal(store, set);
    const roots = new SetRoots(store, journal, request, rows);
    const times = { openedAtMs: nowMs, clientTimeMs };
    journal.appendEvent({ type: 'set-opened', set, name, ...times, roots: roots.records });
    journal.mark(request.marks);
    const numbers = roots.records.map(({ root }) => root);
    trust.begin(set, numbers);
    if (!trust.isClient) {
      journal.appendEvent({ type: 'by-account', set, account: trust.account, roots: numbers });
    }
    const { full: isFull, trust: trustsRoots } = request;
    const more = { isEmpty, isFull, trustsRoots, offers, trust };
    const ingest = new Ingest(store, journal, roots, more);
    return { ingest, opened: { set, name, isEmpty, protection: roots.protection } };
  }

  /** Number of entries written since the last checkpoint. */
  get entriesSinceCheckpoint(): number {
    return this.journal.entriesSinceCheckpoint;
  }

  /** Registers the directory of each slot. Returns HEAD_SAME, HEAD_PROTECTED or 0 for each slot. */
  heads(head: {
    isQuestion: boolean;
    slots: readonly SlotNumber[];
    parents: readonly SlotNumber[];
    rows: Buffer;
    hashes: Buffer;
  }): Uint8Array {
    const rows = checkRows(head.rows, false);
    const count = head.slots.length;
    const isWhole =
      head.parents.length === count &&
      head.hashes.length === count * DIGEST_BYTES &&
      countRows(rows) === count;
    if (!isWhole) throw protocolViolation('lists of heads differ in length');
    const same = new Uint8Array(count);
    let at = 0;
    for (let index = 0; index < count; index += 1) {
      const hash = head.hashes.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
      const [number, parent] = [head.slots[index]!, head.parents[index]!];
      // The client may not have received the list of protected roots yet.
      const isProtected = (parent < 0 ? this.roots : this.slots).isProtected(parent);
      if (isProtected) this.slots.openProtected(number);
      same[index] = isProtected
        ? HEAD_SAME
        : this.slots.open(number, this.place(parent), { rows, at, hash });
      at += rows.rowBytes(at);
    }
    return same;
  }

  /** Returns the place of a declared directory. `parent` is the slot of its parent or, below 0, a root. */
  private place(parent: SlotNumber): Place {
    if (parent >= 0) {
      const { slots } = this;
      const isParentNew = slots.isNew(parent);
      return { root: slots.rootOf(parent), parent: slots.directoryOf(parent), isParentNew };
    }
    const { root, directory } = this.roots.at(parent);
    return { root, parent: ROOTS_DIRECTORY, directory };
  }

  /**
   * Compares a page of a listing (sorted rows without digests) with the head. Closes entries that are gone, and returns
   * for each row whether it is wanted.
   */
  listing(slotNumber: SlotNumber, bytes: Buffer, isLast: boolean): Compared {
    const rows = checkRows(bytes, true);
    const slot = this.slots.get(slotNumber);
    const { catalog, journal, slots, isFull, trust } = this;
    const rules: ComparingRules = {
      isTrusted: ({ firstSet }) => trust.inSet(firstSet),
      isStoredWell: (contentId) =>
        (!isFull || catalog.bases.chainLength(contentId) === 0) && trust.inContent(contentId),
      onChanged: (at, head) => isFull || this.offers.consider(slot, rows, at, head),
    };
    return compareListing({ catalog, journal, slots, rules }, { slot, rows, isLast });
  }

  /**
   * Offers the first of some contents that may be the basis of a file. Returns the number of the offer; 0 if there is none, as
   * in a full set. Throws PROTOCOL_VIOLATION.
   */
  seekBasis({ slot, name, digests }: Head<'seekBasis'>): number {
    const state = this.slots.get(slot);
    const count = digests.length / DIGEST_BYTES;
    if (state.isDone || !Number.isInteger(count) || count > MAX_SOUGHT) {
      throw protocolViolation('invalid request for a basis');
    }
    return this.isFull ? 0 : this.offers.seek(slot, name, digests);
  }

  /**
   * Returns a verdict for each digest: want, have, or coming (another parcel brings it). With `promise`, the client
   * guarantees to send what is wanted, and later requests for these digests get the verdict coming.
   */
  verdicts(digests: Buffer, promise: boolean): Uint8Array {
    if (digests.length % DIGEST_BYTES !== 0) throw protocolViolation('the last digest is cut off');
    const verdicts = new Uint8Array(digests.length / DIGEST_BYTES);
    for (let index = 0; index < verdicts.length; index += 1) {
      const digest = digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
      const key = digestKey(digest);
      const { coming } = this.rows;
      if (this.isStored(digest)) verdicts[index] = Verdict.have;
      else if (coming.has(key)) verdicts[index] = Verdict.coming;
      else if (promise && coming.size < MAX_COMING_DIGESTS) coming.add(key);
    }
    return verdicts;
  }

  /** True if a content is stored; a stream with the same content is then discarded. */
  isStored(digest: Buffer): boolean {
    return this.rows.stored(digest) !== undefined;
  }

  /** True if a signature of this content should be stored. */
  mayBeBasis(digest: Buffer, sizeBytes: number): boolean {
    const contentId = this.rows.stored(digest);
    if (contentId === undefined) return false;
    const { contents, signatures } = this.catalog;
    if (contents.find(digest)?.sizeBytes !== sizeBytes) return false;
    return signatures.find(contentId) === undefined || !this.trust.inSignature(contentId);
  }

  /** Records that a streamed content is stored. */
  placed(digest: Buffer, ids: ReadonlyMap<string, ContentId>): void {
    this.rows.release(digestKey(digest), ids);
  }

  /** Marks directories whose last rows have been sent. Directories marked in `settled` may be skipped next time. */
  done(slots: readonly SlotNumber[], settled: Buffer): void {
    slots.forEach((slotNumber, index) => {
      const slot = this.slots.get(slotNumber);
      slot.isDone = true;
      slot.isSettled = settled[index] === 1;
      this.slots.settle(slot);
    });
  }

  /** Records a note on an entry that was not saved, or not reliably. Its stored version stays open. */
  note(slotNumber: SlotNumber, name: Buffer, what: string, reason: string): void {
    if (this.slots.isProtected(slotNumber)) return;
    const root = slotNumber < 0 ? this.roots.at(slotNumber) : undefined;
    if (what === 'protected' && root !== undefined) this.lostRoots.add(root.root);
    this.journal.addNote({
      directory: root === undefined ? this.slots.directoryOf(slotNumber) : ROOTS_DIRECTORY,
      name: root === undefined ? Buffer.from(name) : Buffer.from(String(root.root)),
      what: what.slice(0, 32),
      reason: reason.slice(0, MAX_REASON_CHARS),
    });
  }

  /** Stores the client's configuration. Throws PROTOCOL_VIOLATION if it was sent before. */
  configure(config: ClientConfig): void {
    this.journal.configure(config);
  }

  /** Stores the name of a user or group that owns an entry. Throws PROTOCOL_VIOLATION if there are too many. */
  addOwner(owner: OwnerRecord): void {
    this.ownersReceived += 1;
    if (this.ownersReceived > MAX_OWNERS) throw protocolViolation('a set has too many owners');
    this.journal.addOwner(owner);
  }

  /** Makes everything so far durable. */
  checkpoint(): Promise<void> {
    return this.journal.checkpoint();
  }

  /** Ends the set: closes directories that have no place, and makes the complete set durable. */
  async complete(
    nowMs: number,
    stats: Readonly<Record<string, number>>,
    seal: Buffer,
  ): Promise<void> {
    if (this.rows.waitingCount > 0) {
      throw protocolViolation('a set ends while contents are missing');
    }
    this.isClosed = true;
    // An entry that was not met may still exist if a part of its root disappeared during the backup.
    const roots = this.roots.taken().filter((root) => !this.lostRoots.has(root));
    this.slots.fresh.giveUp();
    for (const root of roots) await this.closeUnplaced(root);
    // Protected roots were not examined, so their directories have no seals in this set.
    const all = this.roots.records.map(({ root }) => root);
    this.seals.close(all, seal);
    this.catalog.sets.complete(this.set, nowMs, stats);
    this.journal.appendEvent({ type: 'set-closed', set: this.set, closedAtMs: nowMs, stats });
    await this.journal.checkpoint();
  }

  private async closeUnplaced(root: RootNumber): Promise<void> {
    for (;;) {
      const directory = this.catalog.directories.nextUnplaced(root);
      if (directory === undefined) return;
      this.journal.closeDirectory(root, directory);
      if (this.journal.entriesSinceCheckpoint % CLOSE_SLICE === 0) await this.journal.checkpoint();
    }
  }
}

/** Number of directories closed between two checkpoints at the end of a set. */
const CLOSE_SLICE = 4096;

const NO_SEAL: Buffer = Buffer.alloc(SKIP_SEAL_BYTES);

/**
 * Seals of one set, as sent by the client: one for each directory that was met in the set, and one for the set. The
 * server cannot interpret them. It stores them in order, so that any set can be verified later.
 */
class SetSeals {
  constructor(
    private readonly catalog: Catalog,
    private readonly journal: SetJournal,
    private readonly slots: Slots,
  ) {}

  /**
   * Returns the seals stored beside the skip hashes of unchanged directories, concatenated; empty if there are
   * none.
   */
  keptOf(slots: readonly SlotNumber[], same: Uint8Array): Buffer {
    if (!this.catalog.seals.hasSkipSeals) return Buffer.alloc(0);
    const kept: Buffer[] = [];
    for (const [index, slot] of slots.entries()) {
      if (same[index] !== 1) continue;
      const seal = this.slots.isProtected(slot)
        ? undefined
        : this.catalog.seals.skipSeal(this.slots.directoryOf(slot));
      kept.push(seal ?? NO_SEAL);
    }
    return Buffer.concat(kept);
  }

  /** Stores the seals of directories whose listings are complete. */
  done(slots: readonly SlotNumber[], seals: Buffer): void {
    if (seals.length === 0) return;
    this.forEach(slots, seals, (slot, seal) => {
      if (this.slots.isProtected(slot)) return;
      this.slots.get(slot).skipSeal = Buffer.from(seal);
      this.put(slot, seal);
    });
  }

  /** Stores the seals of directories that have moved but not changed. */
  moved(slots: readonly SlotNumber[], seals: Buffer): void {
    this.forEach(slots, seals, (slot, seal) => {
      this.slots.fresh.keepSkip(this.slots.directoryOf(slot), undefined, Buffer.from(seal));
      this.put(slot, seal);
    });
  }

  /**
   * Ends the set with its seal. Directories of its roots that were not met lose their seals; directories that were
   * met unchanged keep theirs.
   */
  close(roots: readonly RootNumber[], seal: Buffer): void {
    if (seal.length === 0) return;
    if (seal.length !== SET_SEAL_BYTES)
      throw protocolViolation('the seal of a set has a wrong length');
    const { seals } = this.catalog;
    const met = this.slots.met();
    for (const root of roots) {
      for (const directory of seals.openOf(root)) {
        if (!met.delete(directory)) this.journal.seal(directory, undefined);
      }
    }
    for (const directory of met) {
      const kept = seals.skipSeal(directory);
      if (kept !== undefined) this.journal.seal(directory, placeAndListing(kept));
    }
    seals.putSet(this.journal.set, seal);
    this.journal.appendEvent({ type: 'set-sealed', set: this.journal.set, seal });
  }

  private put(slot: SlotNumber, seal: Buffer): void {
    this.journal.seal(this.slots.directoryOf(slot), placeAndListing(seal));
  }

  private forEach(
    slots: readonly SlotNumber[],
    seals: Buffer,
    visit: (slot: SlotNumber, seal: Buffer) => void,
  ): void {
    if (seals.length !== slots.length * SKIP_SEAL_BYTES) {
      throw protocolViolation('slots and seals differ in number');
    }
    for (const [index, slot] of slots.entries()) {
      visit(slot, seals.subarray(index * SKIP_SEAL_BYTES, (index + 1) * SKIP_SEAL_BYTES));
    }
  }
}

function placeAndListing(seal: Buffer): Buffer {
  return Buffer.from(seal.subarray(0, DIRECTORY_SEAL_BYTES));
}
