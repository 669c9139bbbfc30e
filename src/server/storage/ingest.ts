/**
 * What a backup session does to a client's store: one object for one backup set. Every call handles
 * one message, in the order of the wire, inside the transaction that is open from checkpoint to
 * checkpoint. Nothing here knows of sockets or threads.
 *
 * Rows never enter the catalog before their content: a row whose content is still on its way waits
 * in `waiting` until the record with it has been appended.
 */
import { applyContentRecord, type Catalog, ROOTS_DIRECTORY } from '../../catalog/index.js';
import { TardisError } from '../../errors/index.js';
import {
  checkRows,
  countRows,
  DIGEST_BYTES,
  digestKey,
  EntryType,
  MAX_SEALED_SET_NAME_BYTES,
  RowFlag,
  RowReader,
  sameAttributes,
  sameMetadata,
  setNameFault,
} from '../../model/index.js';
import { isOwner, parseRecord, RecordKind } from '../../store/index.js';
import { MAX_OWNERS, Verdict } from '../../transport/index.js';
import type { BasisOffers } from './basis-offers.js';
import type { ClientStore } from '../../keeper/index.js';
import { type Compared, compareListing } from './compare-listing.js';
import { defaultSetName, SetJournal } from '../../keeper/index.js';
import type { OpenedSet, SetRequest } from './set-request.js';
import { SetRoots } from './set-roots.js';
import { SetSeals } from './set-seals.js';
import { type Place, Slots, type SlotState } from './slots.js';
import { WaitingRows } from './waiting-rows.js';

/** Of a note. A sealed reason is longer than what it says. */
const MAX_REASON_CHARS = 128;
/** Digests that may be on their way in one session. */
const MAX_COMING_DIGESTS = 1 << 20;

export class Ingest {
  readonly set: number;
  readonly isEmpty: boolean;
  private readonly journal: SetJournal;
  private readonly roots: SetRoots;
  private readonly slots: Slots;
  readonly seals: SetSeals;
  private readonly waiting = new WaitingRows();
  private readonly coming = new Set<string>();
  private isClosed = false;
  private ownersTold = 0;
  private readonly store: ClientStore;
  private readonly catalog: Catalog;

  private readonly isFull: boolean;
  private readonly offers: BasisOffers;

  private constructor(
    store: ClientStore,
    journal: SetJournal,
    roots: SetRoots,
    more: { isEmpty: boolean; isFull: boolean; offers: BasisOffers },
  ) {
    this.isFull = more.isFull;
    this.offers = more.offers;
    this.store = store;
    this.catalog = store.catalog;
    this.set = journal.set;
    this.journal = journal;
    this.roots = roots;
    this.isEmpty = more.isEmpty;
    this.slots = new Slots(store.catalog, more.isFull, () => {
      store.counters.directory += 1;
      return store.counters.directory;
    });
    this.seals = new SetSeals(store.catalog, journal, this.slots);
  }

  /** Opens the next set over the head. `rows` holds one row for each root path. */
  static open(
    store: ClientStore,
    request: SetRequest,
    offers: BasisOffers,
  ): { ingest: Ingest; opened: OpenedSet } {
    const rows = checkRows(request.rows, false);
    const fault =
      request.name === '' ? undefined : setNameFault(request.name, MAX_SEALED_SET_NAME_BYTES);
    if (fault !== undefined) {
      throw new TardisError('PROTOCOL_VIOLATION', `the name of a set ${fault}`);
    }
    const { sets, directories, entries, contents } = store.catalog;
    const isEmpty = entries.isEmpty() && contents.isEmpty();
    store.counters.set += 1;
    const set = store.counters.set;
    const { nowMs, clientTimeMs } = request;
    const name = request.name === '' ? defaultSetName(set, nowMs) : request.name;
    if (sets.find(set - 1)?.state !== 'complete') directories.unplaceStranded();
    sets.open(set, name, nowMs, clientTimeMs);
    const journal = new SetJournal(store, set);
    const roots = new SetRoots(store, journal, request, rows);
    const times = { openedAtMs: nowMs, clientTimeMs };
    journal.appendEvent({ type: 'set-opened', set, name, ...times, roots: roots.records });
    journal.mark(request.marks);
    const isFull = request.full;
    const ingest = new Ingest(store, journal, roots, { isEmpty, isFull, offers });
    return { ingest, opened: { set, name, isEmpty, held: roots.held } };
  }

  /** Entries written since the last checkpoint. */
  get entriesSinceCheckpoint(): number {
    return this.journal.entriesSinceCheckpoint;
  }

  /** Learns which directory each slot is; tells which listings are known to be unchanged. */
  heads(head: {
    ask: boolean;
    slots: readonly number[];
    parents: readonly number[];
    rows: Buffer;
    hashes: Buffer;
  }): Uint8Array {
    const rows = checkRows(head.rows, false);
    const count = head.slots.length;
    const isWhole =
      head.parents.length === count &&
      head.hashes.length === count * DIGEST_BYTES &&
      countRows(rows) === count;
    if (!isWhole) throw new TardisError('PROTOCOL_VIOLATION', 'heads do not add up');
    const same = new Uint8Array(count);
    let at = 0;
    for (let index = 0; index < count; index += 1) {
      const hash = head.hashes.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
      const [number, parent] = [head.slots[index]!, head.parents[index]!];
      // The client may not have heard yet which roots are held.
      const isHeld = parent < 0 ? this.roots.isHeld(parent) : this.slots.isHeld(parent);
      if (isHeld) this.slots.openHeld(number);
      const isSame = isHeld || this.slots.open(number, this.place(parent), rows, at, hash);
      if (isSame) same[index] = 1;
      at += rows.rowBytes(at);
    }
    return same;
  }

  /** Where a head's directory stands: below another slot's, or (below 0) as a root. */
  private place(parent: number): Place {
    if (parent >= 0) {
      return { root: this.slots.rootOf(parent), parent: this.slots.directoryOf(parent) };
    }
    const { root, directory } = this.roots.at(parent);
    return { root, parent: ROOTS_DIRECTORY, directory };
  }

  /**
   * Compares a page of a listing (sorted rows without digests) with the head: closes what is gone,
   * writes what needs no content, and tells for each row whether its bytes are wanted.
   */
  listing(slotNumber: number, bytes: Buffer, isLast: boolean): Compared {
    const rows = checkRows(bytes, true);
    const slot = this.slots.get(slotNumber);
    const { catalog, isFull } = this;
    return compareListing(catalog, this.journal, this.slots, slot, rows, isLast, {
      isStoredWell: (contentId) => !isFull || catalog.bases.chainLength(contentId) === 0,
      onChanged: (at, head) => isFull || this.offers.consider(slot, rows, at, head),
    });
  }

  /** Appends the records of a parcel, then writes its rows as far as their contents are there. */
  parcel(
    head: { slots: readonly number[]; lengths: readonly number[]; rows: Buffer },
    records: readonly Buffer[],
  ): void {
    const known = new Map<string, number>();
    for (const record of records) this.storeRecord(record, known);
    const rows = checkRows(head.rows, false);
    let at = 0;
    for (const [index, slotNumber] of head.slots.entries()) {
      const slot = this.slots.get(slotNumber);
      const end = at + (head.lengths[index] ?? 0);
      if (end > rows.rows.length)
        throw new TardisError('PROTOCOL_VIOLATION', 'a parcel is cut off');
      while (at < end) {
        this.finalRow(slot, rows, at, known);
        at += rows.rowBytes(at);
      }
      if (at !== end) throw new TardisError('PROTOCOL_VIOLATION', 'a parcel cuts through a row');
    }
    if (at !== rows.rows.length) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a parcel has rows of no slot');
    }
    for (const key of known.keys()) this.release(key, known);
  }

  private storeRecord(bytes: Buffer, known: Map<string, number>): void {
    let parsed;
    try {
      parsed = parseRecord(bytes);
    } catch (error) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a record arrived damaged', {}, error);
    }
    const { header, index } = parsed;
    if (header.kind !== RecordKind.frame && header.kind !== RecordKind.content) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a parcel may hold frames and contents only');
    }
    if (header.flags !== 0 || header.sequence !== 0) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a record has flags a client may not set');
    }
    this.store.space?.take(bytes.length);
    const location = this.store.packs.append(bytes);
    const ids = applyContentRecord(this.catalog, header, index, location);
    for (const [key, contentId] of ids) known.set(key, contentId);
  }

  /** Writes a row whose content is stored, or lets it wait for one on its way. */
  private finalRow(
    slot: SlotState,
    rows: RowReader,
    at: number,
    known: ReadonlyMap<string, number>,
  ): void {
    const needsContent = rows.type(at) === EntryType.file && rows.sizeBytes(at) > 0;
    if (needsContent !== rows.hasDigest(at)) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a final row without its digest');
    }
    if ((rows.flags(at) & RowFlag.unreadable) !== 0) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a final row of what could not be read');
    }
    let contentId: number | undefined;
    if (needsContent) {
      const key = digestKey(rows.digest(at));
      contentId = known.get(key) ?? this.storedContent(rows.digest(at));
      if (contentId === undefined) {
        this.waiting.add(key, { slot, row: Buffer.from(rows.row(at)) });
        return;
      }
    }
    const childId = this.slots.childOf(slot, rows, at);
    if (!slot.isNew && this.isUnchanged(slot, rows, at, contentId, childId)) return;
    this.journal.put(slot, rows, at, { contentId, childId });
  }

  private storedContent(digest: Buffer): number | undefined {
    const found = this.catalog.contents.find(digest);
    if (found?.isStored !== true) return undefined;
    const isDelta = this.isFull && this.catalog.bases.chainLength(found.contentId) > 0;
    return isDelta ? undefined : found.contentId;
  }

  /** A file read again and found equal makes no new version; only its flags may have changed. */
  private isUnchanged(
    slot: SlotState,
    rows: RowReader,
    at: number,
    contentId: number | undefined,
    childId: number | undefined,
  ): boolean {
    const name = rows.name(at);
    const head = this.catalog.entries.findHead(slot.directory, name);
    if (head === undefined || !sameMetadata(head.metadata, rows, at)) return false;
    if (!sameAttributes(head.metadata, rows, at)) return false;
    if (head.contentId !== contentId || head.childId !== childId) return false;
    this.catalog.entries.setFlags(slot.directory, name, head.firstSet, rows.flags(at));
    return true;
  }

  /** A content has arrived: writes the rows that waited for it. */
  private release(key: string, known: ReadonlyMap<string, number>): void {
    this.coming.delete(key);
    for (const { slot, row } of this.waiting.take(key)) {
      this.finalRow(slot, new RowReader(row), 0, known);
      this.slots.settle(slot);
    }
  }

  /**
   * Answers for each digest: want, have, or coming (another parcel brings it). With `promise`, what
   * is wanted will surely be sent, and others need not send it.
   */
  ask(digests: Buffer, promise: boolean): Uint8Array {
    if (digests.length % DIGEST_BYTES !== 0) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a question has half a digest');
    }
    const verdicts = new Uint8Array(digests.length / DIGEST_BYTES);
    for (let index = 0; index < verdicts.length; index += 1) {
      const digest = digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
      const key = digestKey(digest);
      if (this.storedContent(digest) !== undefined) verdicts[index] = Verdict.have;
      else if (this.coming.has(key)) verdicts[index] = Verdict.coming;
      else if (promise && this.coming.size < MAX_COMING_DIGESTS) this.coming.add(key);
    }
    return verdicts;
  }

  /** Whether a content is stored: a stream that brings it again is dropped. */
  isStored(digest: Buffer): boolean {
    return this.storedContent(digest) !== undefined;
  }

  /** Whether a signature of this content is worth keeping. */
  mayBeBasis(digest: Buffer, sizeBytes: number): boolean {
    const contentId = this.storedContent(digest);
    if (contentId === undefined) return false;
    const { contents, signatures } = this.catalog;
    return (
      contents.find(digest)?.sizeBytes === sizeBytes && signatures.find(contentId) === undefined
    );
  }

  /** A streamed content has its place. */
  placed(digest: Buffer, ids: Map<string, number>): void {
    this.release(digestKey(digest), ids);
  }

  /** The directories' last rows have been sent; `settled` ones may be skipped next time. */
  done(slots: readonly number[], settled: Buffer): void {
    slots.forEach((slotNumber, index) => {
      const slot = this.slots.get(slotNumber);
      slot.isDone = true;
      slot.isSettled = settled[index] === 1;
      this.slots.settle(slot);
    });
  }

  /** Files that could not be saved, or not surely: they stay as they were. */
  note(slotNumber: number, name: Buffer, what: string, reason: string): void {
    if (this.slots.isHeld(slotNumber)) return;
    const root = slotNumber < 0 ? this.roots.at(slotNumber) : undefined;
    const note = {
      directory: root === undefined ? this.slots.directoryOf(slotNumber) : ROOTS_DIRECTORY,
      name: root === undefined ? Buffer.from(name) : Buffer.from(String(root.root)),
      what: what.slice(0, 32),
      reason: reason.slice(0, MAX_REASON_CHARS),
    };
    this.journal.addNote(note);
  }

  /** What the client was set to. Throws PROTOCOL_VIOLATION when it has told before. */
  configure(config: string): void {
    this.journal.configure(config);
  }

  /** Names of users and groups that own something. Throws PROTOCOL_VIOLATION. */
  owners({
    groups,
    ids,
    names,
  }: {
    groups: Buffer;
    ids: readonly number[];
    names: Buffer[];
  }): void {
    this.ownersTold += ids.length;
    const isWhole = groups.length === ids.length && names.length === ids.length;
    if (!isWhole || this.ownersTold > MAX_OWNERS) {
      throw new TardisError('PROTOCOL_VIOLATION', 'owners do not add up');
    }
    for (const [index, id] of ids.entries()) {
      const owner = { isGroup: groups[index] === 1, id, name: Buffer.from(names[index]!) };
      if (!isOwner(owner)) throw new TardisError('PROTOCOL_VIOLATION', 'an owner makes no sense');
      this.journal.addOwner(owner);
    }
  }

  /** Makes everything so far durable. */
  checkpoint(): Promise<void> {
    return this.journal.checkpoint();
  }

  /** Ends the set: what was placed nowhere is closed, and the set is complete and durable. */
  async complete(
    nowMs: number,
    stats: Readonly<Record<string, number>>,
    seal: Buffer,
  ): Promise<void> {
    if (this.waiting.count > 0) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a set ends while contents are missing');
    }
    if (this.isClosed) throw new TardisError('PROTOCOL_VIOLATION', 'the set is closed already');
    this.isClosed = true;
    const roots = this.roots.taken();
    for (const root of roots) await this.closeUnplaced(root);
    // Nobody looked at those that are held, so they have no seals in this set.
    const all = this.roots.records.map(({ root }) => root);
    this.seals.close(all, seal);
    this.catalog.sets.complete(this.set, nowMs, stats);
    this.journal.appendEvent({ type: 'set-closed', set: this.set, closedAtMs: nowMs, stats });
    await this.journal.checkpoint();
  }

  private async closeUnplaced(root: number): Promise<void> {
    for (;;) {
      const directory = this.catalog.directories.nextUnplaced(root);
      if (directory === undefined) return;
      this.journal.closeDirectory(root, directory);
      if (this.journal.entriesSinceCheckpoint % CLOSE_SLICE === 0) await this.journal.checkpoint();
    }
  }
}

/** Directories closed between two checkpoints at a set's end. */
const CLOSE_SLICE = 4096;
