/**
 * What a backup session does to a client's store: one object for one backup set. Every call handles
 * one message, in the order of the wire, inside the transaction that is open from checkpoint to
 * checkpoint. Nothing here knows of sockets or threads.
 *
 * Rows never enter the catalog before their content: a row whose content is still on its way waits
 * in `waiting` until the record with it has been appended.
 */
import {
  applyContentRecord,
  type Catalog,
  closeDirectory,
  closeName,
  type HeadRow,
  identityOf,
  putRow,
  sameMetadata,
} from '../../catalog/index.js';
import { TardisError } from '../../errors/index.js';
import {
  checkRows,
  countRows,
  DIGEST_BYTES,
  digestKey,
  EntryType,
  forEachRow,
  RowFlag,
  RowReader,
} from '../../model/index.js';
import {
  buildEvent,
  parseRecord,
  RecordKind,
  type RootRecord,
  type SetNote,
} from '../../store/index.js';
import { Verdict, Wanted } from '../../transport/index.js';
import type { ClientStore } from './client-store.js';
import { SectionCollector } from './sections.js';
import { type Place, Slots, type SlotState } from './slots.js';

/** Rows that may wait for contents, and digests that may be on their way, in one session. */
const MAX_WAITING_ROWS = 1 << 18;
const MAX_COMING_DIGESTS = 1 << 20;
/** Files above this are large: they stream, and parts of them may be there already. */
export const LARGE_FILE_BYTES = 1 << 20;
const NAME_MAX: Buffer = Buffer.alloc(4097, 0xff);
/** The directory that holds the roots' own entries, named by their root numbers. */
export const ROOTS_DIRECTORY = 0;

interface WaitingRow {
  readonly slot: SlotState;
  readonly row: Buffer;
}

export interface OpenedSet {
  readonly set: number;
  readonly name: string;
  /** Nothing was ever stored for this client: nothing needs to be asked. */
  readonly isEmpty: boolean;
}

export class Ingest {
  readonly set: number;
  readonly isEmpty: boolean;
  /** Entries written since the last checkpoint. */
  entriesSinceCheckpoint = 0;
  private readonly sections: SectionCollector;
  private readonly slots: Slots;
  private readonly waiting = new Map<string, WaitingRow[]>();
  private waitingRows = 0;
  private readonly coming = new Set<string>();
  private notes: SetNote[] = [];
  private roots: RootRecord[] = [];
  private isClosed = false;
  private readonly store: ClientStore;
  private readonly catalog: Catalog;

  private constructor(store: ClientStore, set: number) {
    this.store = store;
    this.catalog = store.catalog;
    this.set = set;
    this.sections = new SectionCollector(set);
    this.isEmpty = store.catalog.entries.isEmpty() && store.catalog.contents.isEmpty();
    this.slots = new Slots(store.catalog, () => {
      store.counters.directory += 1;
      return store.counters.directory;
    });
  }

  /** Opens the next set over the head. `rows` holds one row for each root path. */
  static open(
    store: ClientStore,
    request: {
      name: string;
      nowMs: number;
      clientTimeMs: number;
      paths: readonly Buffer[];
      rows: Buffer;
    },
  ): { ingest: Ingest; opened: OpenedSet } {
    const rows = checkRows(request.rows, false);
    if (countRows(rows) !== request.paths.length || request.paths.length === 0) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a set needs one row for each of its roots');
    }
    store.counters.set += 1;
    const set = store.counters.set;
    const ingest = new Ingest(store, set);
    const name = request.name === '' ? defaultSetName(set, request.nowMs) : request.name;
    const { sets, directories } = store.catalog;
    if (sets.find(set - 1)?.state === 'unfinished') directories.unplaceStranded();
    sets.open(set, name, request.nowMs, request.clientTimeMs);
    let at = 0;
    for (const path of request.paths) {
      ingest.addRoot(path, rows, at);
      at += rows.rowBytes(at);
    }
    const { roots } = ingest;
    ingest.appendEvent({
      type: 'set-opened',
      set,
      name,
      openedAtMs: request.nowMs,
      clientTimeMs: request.clientTimeMs,
      roots,
    });
    return { ingest, opened: { set, name, isEmpty: ingest.isEmpty } };
  }

  private addRoot(path: Buffer, rows: RowReader, at: number): void {
    const { catalog, store } = this;
    if (path[0] !== 0x2f || path.includes(0)) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a root is no absolute path');
    }
    const found = catalog.sets.findRoot(path);
    let record: RootRecord;
    if (found === undefined) {
      store.counters.root += 1;
      store.counters.directory += 1;
      const { root, directory } = store.counters;
      record = { root, path, directory };
    } else {
      record = { ...found, path };
    }
    catalog.sets.addRoot(this.set, record);
    this.roots.push(record);
    // The root's own entry stands in the directory of roots under its number.
    const name = Buffer.from(String(record.root));
    if (rows.type(at) !== EntryType.directory) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a root is no directory');
    }
    const row = renamed(rows, at, name);
    const reader = new RowReader(row);
    const identity = { ...identityOf(record.root, ROOTS_DIRECTORY, reader, 0), name };
    if (catalog.directories.exists(record.directory)) {
      catalog.directories.place(record.directory, identity);
    } else catalog.directories.add(record.directory, identity);
    const head = catalog.entries.findHead(ROOTS_DIRECTORY, name);
    if (head !== undefined && sameMetadata(head, reader, 0)) return;
    this.write({ root: record.root, directory: ROOTS_DIRECTORY, isNew: false }, reader, 0, {
      contentId: undefined,
      childId: record.directory,
    });
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
      const parent = head.parents[index]!;
      if (this.slots.open(head.slots[index]!, this.place(parent), rows, at, hash)) same[index] = 1;
      at += rows.rowBytes(at);
    }
    return same;
  }

  /** Where a head's directory stands: below another slot's, or (below 0) as a root. */
  private place(parent: number): Place {
    if (parent >= 0) {
      return { root: this.slots.rootOf(parent), parent: this.slots.directoryOf(parent) };
    }
    const { root, directory } = this.rootAt(parent);
    return { root, parent: ROOTS_DIRECTORY, directory };
  }

  /** The root that a number below 0 stands for. */
  private rootAt(number: number): RootRecord {
    const root = this.roots[-1 - number];
    if (root === undefined) throw new TardisError('PROTOCOL_VIOLATION', 'a slot of no root');
    return root;
  }

  /**
   * Compares a page of a listing (sorted rows without digests) with the head: closes what is gone,
   * writes what needs no content, and tells for each row whether its bytes are wanted.
   */
  listing(slotNumber: number, bytes: Buffer, isLast: boolean): Uint8Array {
    const rows = checkRows(bytes, true);
    const slot = this.slots.get(slotNumber);
    const after = slot.listedUpTo;
    let last: Buffer = after;
    forEachRow(rows, (at) => {
      last = rows.name(at);
    });
    const upTo = isLast ? NAME_MAX : last;
    if (Buffer.compare(after, upTo) > 0) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a listing went backwards');
    }
    slot.listedUpTo = Buffer.from(upTo);
    const head = slot.isNew ? [] : this.catalog.entries.headRange(slot.directory, after, upTo);
    const wanted: number[] = [];
    let headAt = 0;
    const closeUpTo = (name: Buffer): HeadRow | undefined => {
      for (;;) {
        const open = head[headAt];
        if (open === undefined) return undefined;
        const order = Buffer.compare(open.name, name);
        if (order > 0) return undefined;
        headAt += 1;
        if (order === 0) return open;
        this.remove(slot, open.name);
      }
    };
    forEachRow(rows, (at) => {
      wanted.push(this.compare(slot, rows, at, closeUpTo(rows.name(at))));
    });
    closeUpTo(upTo);
    return Uint8Array.from(wanted);
  }

  private compare(slot: SlotState, rows: RowReader, at: number, head: HeadRow | undefined): number {
    const flags = rows.flags(at);
    if ((flags & RowFlag.unreadable) !== 0) return Wanted.no; // unreadable is not deleted
    const isSame = head !== undefined && sameMetadata(head, rows, at);
    if (rows.type(at) === EntryType.file && rows.sizeBytes(at) > 0) {
      const isSettled = head !== undefined && (head.flags & RowFlag.unsettled) === 0;
      if (isSame && isSettled && head.isStored) return Wanted.no;
      const sizeBytes = rows.sizeBytes(at);
      if (sizeBytes <= LARGE_FILE_BYTES) return Wanted.yes;
      const { contents } = this.catalog;
      const isKnown = contents.hasLargeOfSize(sizeBytes) || contents.hasPartsOfFile(sizeBytes);
      return isKnown ? Wanted.hashFirst : Wanted.yes;
    }
    const childId = this.childOf(slot, rows, at);
    if (isSame && head.childId === childId) return Wanted.no;
    this.write(slot, rows, at, { contentId: undefined, childId });
    return Wanted.no;
  }

  /** The lasting id of the directory a row stands for, or undefined for other types. */
  private childOf(slot: SlotState, rows: RowReader, at: number): number | undefined {
    if (rows.type(at) !== EntryType.directory) return undefined;
    return this.slots.resolve(identityOf(slot.root, slot.directory, rows, at));
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
    let contentId: number | undefined;
    if (needsContent) {
      const key = digestKey(rows.digest(at));
      contentId = known.get(key) ?? this.storedContent(rows.digest(at));
      if (contentId === undefined) {
        this.wait(key, { slot, row: Buffer.from(rows.row(at)) });
        return;
      }
    }
    const childId = this.childOf(slot, rows, at);
    if (!slot.isNew && this.isUnchanged(slot, rows, at, contentId, childId)) return;
    this.write(slot, rows, at, { contentId, childId });
  }

  private storedContent(digest: Buffer): number | undefined {
    const found = this.catalog.contents.find(digest);
    return found?.isStored === true ? found.contentId : undefined;
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
    if (head === undefined || !sameMetadata(head, rows, at)) return false;
    if (head.contentId !== contentId || head.childId !== childId) return false;
    this.catalog.entries.setFlags(slot.directory, name, head.firstSet, rows.flags(at));
    return true;
  }

  private wait(key: string, row: WaitingRow): void {
    if (this.waitingRows >= MAX_WAITING_ROWS) {
      throw new TardisError('PROTOCOL_VIOLATION', 'too many rows wait for their contents');
    }
    this.waitingRows += 1;
    row.slot.waitingRows += 1;
    const rows = this.waiting.get(key);
    if (rows === undefined) this.waiting.set(key, [row]);
    else rows.push(row);
  }

  /** A content has arrived: writes the rows that waited for it. */
  private release(key: string, known: ReadonlyMap<string, number>): void {
    this.coming.delete(key);
    const rows = this.waiting.get(key);
    if (rows === undefined) return;
    this.waiting.delete(key);
    for (const { slot, row } of rows) {
      this.waitingRows -= 1;
      slot.waitingRows -= 1;
      this.finalRow(slot, new RowReader(row), 0, known);
      this.slots.settle(slot);
    }
  }

  /** Answers for each digest: want, have, or coming (another parcel brings it). */
  ask(digests: Buffer): Uint8Array {
    if (digests.length % DIGEST_BYTES !== 0) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a question has half a digest');
    }
    const verdicts = new Uint8Array(digests.length / DIGEST_BYTES);
    for (let index = 0; index < verdicts.length; index += 1) {
      const digest = digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
      const key = digestKey(digest);
      if (this.storedContent(digest) !== undefined) verdicts[index] = Verdict.have;
      else if (this.coming.has(key)) verdicts[index] = Verdict.coming;
      else if (this.coming.size < MAX_COMING_DIGESTS) this.coming.add(key);
    }
    return verdicts;
  }

  /** Whether a content is stored: a stream that brings it again is dropped. */
  isStored(digest: Buffer): boolean {
    return this.storedContent(digest) !== undefined;
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
    const root = slotNumber < 0 ? this.rootAt(slotNumber) : undefined;
    const note = {
      directory: root === undefined ? this.slots.directoryOf(slotNumber) : ROOTS_DIRECTORY,
      name: root === undefined ? Buffer.from(name) : Buffer.from(String(root.root)),
      what: what.slice(0, 32),
      reason: reason.slice(0, 32),
    };
    this.catalog.sets.addNote(this.set, note);
    this.notes.push(note);
  }

  private write(
    place: { root: number; directory: number; isNew: boolean },
    rows: RowReader,
    at: number,
    ids: { contentId: number | undefined; childId: number | undefined },
  ): void {
    const { set, catalog } = this;
    const { directory, isNew } = place;
    putRow(catalog, { set, directory }, rows, at, { ...ids, isNew });
    this.sections.put(place.root, directory, rows.row(at), ids.childId);
    this.afterWrite();
  }

  private remove(slot: SlotState, name: Buffer): void {
    closeName(this.catalog, slot.directory, name, this.set);
    this.slots.mayHaveUnplaced = true;
    this.sections.remove(slot.root, slot.directory, name);
    this.afterWrite();
  }

  private afterWrite(): void {
    this.entriesSinceCheckpoint += 1;
    if (this.sections.isFull) this.flushSections();
  }

  private flushSections(): void {
    const record = this.sections.take(() => this.store.nextSequence());
    if (record !== undefined) this.store.packs.append(record);
  }

  private appendEvent(event: Parameters<typeof buildEvent>[1]): void {
    this.flushSections(); // events and listings keep their order
    this.store.packs.append(buildEvent(this.store.nextSequence(), event));
  }

  /** Writes what was collected as records; then everything so far becomes durable. */
  async checkpoint(): Promise<void> {
    this.flushSections();
    if (this.notes.length > 0) {
      this.appendEvent({ type: 'notes', set: this.set, notes: this.notes });
      this.notes = [];
    }
    this.entriesSinceCheckpoint = 0;
    await this.store.checkpoint();
  }

  /** Ends the set: what was placed nowhere is closed, and the set is complete and durable. */
  async complete(nowMs: number, stats: Readonly<Record<string, number>>): Promise<void> {
    if (this.waitingRows > 0) {
      throw new TardisError('PROTOCOL_VIOLATION', 'a set ends while contents are missing');
    }
    if (this.isClosed) throw new TardisError('PROTOCOL_VIOLATION', 'the set is closed already');
    this.isClosed = true;
    for (const { root } of this.roots) await this.closeUnplaced(root);
    this.catalog.sets.complete(this.set, nowMs, stats);
    this.appendEvent({ type: 'set-closed', set: this.set, closedAtMs: nowMs, stats });
    await this.checkpoint();
  }

  private async closeUnplaced(root: number): Promise<void> {
    for (;;) {
      const directory = this.catalog.directories.nextUnplaced(root);
      if (directory === undefined) return;
      closeDirectory(this.catalog, directory, this.set);
      this.sections.closeDirectory(root, directory);
      this.afterWrite();
      if (this.entriesSinceCheckpoint % CLOSE_SLICE === 0) await this.checkpoint();
    }
  }
}

/** Directories closed between two checkpoints at a set's end. */
const CLOSE_SLICE = 4096;

function defaultSetName(set: number, nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(0, 19).replaceAll(':', '-');
  return `Backup-${set}-${time}`;
}

/** A copy of a row with another name and no digest. */
function renamed(rows: RowReader, at: number, name: Buffer): Buffer {
  const fixedBytes = rows.row(at).length - rows.name(at).length;
  const row = Buffer.concat([rows.row(at).subarray(0, fixedBytes), name]);
  row.writeUInt32LE(row.length, 0);
  row.writeUInt16LE(name.length, 4);
  return row;
}
