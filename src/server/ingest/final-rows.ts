/**
 * Writes rows in their final form, whose contents came with them or are stored. A row whose content is still in flight
 * waits until the record with that content has been appended.
 */
import { protocolViolation } from '../../errors/index.js';
import {
  checkAttributes,
  checkRows,
  type ContentId,
  contentIdOf,
  DIGEST_BYTES,
  digestKey,
  type DirectoryId,
  EntryType,
  listAt,
  RowFlag,
  RowReader,
  sameAttributes,
  sameMetadata,
  type SlotNumber,
} from '../../model/index.js';
import {
  applyContentRecord,
  applyNewFrame,
  type HeadRow,
  type RowTargets,
} from '../../store/catalog/index.js';
import {
  FRAME_ENTRY_BYTES,
  markOfAccount,
  parseRecord,
  readHeader,
  RecordKind,
} from '../../store/index.js';
import type { SetJournal, StoreWriter } from '../../store/writer/index.js';
import { NO_DIRECTORY, RowPlace, UNKNOWN_ID } from '../../system/index.js';
import type { Slots, SlotState } from './slots.js';
import type { Trust } from './trust.js';

const MAX_WAITING_ROWS = 1 << 18;

/** The rows of a parcel: `lengths` has the bytes of the rows of each slot. */
export interface ParcelRows {
  readonly slots: readonly SlotNumber[];
  readonly lengths: readonly number[];
  readonly rows: Buffer;
}

/** The parts of a set that its rows need. */
interface RowsOfSet {
  readonly journal: SetJournal;
  readonly slots: Slots;
  readonly trust: Trust;
  /** True if contents that are stored as deltas are stored again. */
  readonly isFull: boolean;
}

/** Rows of a slot in a parcel. */
interface Section {
  readonly slot: SlotState;
  /** Offsets of the rows. */
  readonly from: number;
  readonly end: number;
  /** Indexes of the numbers of its rows in `places`. */
  readonly firstPlace: number;
  readonly endPlace: number;
  /** True if the contents of all its rows are stored. */
  readonly isStored: boolean;
}

export class FinalRows {
  /** Digests whose contents the client has promised, and not yet sent. */
  readonly coming = new Set<string>();
  private readonly waiting = new WaitingRows();
  private readonly journal: SetJournal;
  private readonly slots: Slots;
  private readonly trust: Trust;
  private readonly isFull: boolean;

  constructor(
    private readonly store: StoreWriter,
    { journal, slots, trust, isFull }: RowsOfSet,
  ) {
    this.journal = journal;
    this.slots = slots;
    this.trust = trust;
    this.isFull = isFull;
  }

  /** Number of rows whose contents are still in flight. */
  get waitingCount(): number {
    return this.waiting.count;
  }

  /** Appends the records of a parcel, then writes those of its rows whose contents are stored. */
  parcel(head: ParcelRows, records: readonly Buffer[]): void {
    const contents = new ParcelContents();
    for (const record of records) storeContents(this.store, record, contents, this.trust.isClient);
    if (!this.putAll(head, contents)) this.putEach(head, contents.byKey());
    if (this.waiting.count + this.coming.size === 0) return; // as in a first backup
    const known = contents.byKey();
    for (const key of known.keys()) this.release(key, known);
  }

  /**
   * Writes the rows of a parcel by one statement. Returns false, and writes nothing, if a directory may have had entries
   * before, or if anything is wrong with the rows.
   */
  private putAll(head: ParcelRows, contents: ParcelContents): boolean {
    if (!head.slots.every((slot) => this.slots.isNew(slot))) return false;
    const slots = head.slots.map((slot) => this.slots.get(slot));
    const lengths = new Float64Array(
      slots.flatMap(({ directory }, at) => [head.lengths[at] ?? 0, directory]),
    );
    const { entries, ids } = contents.list();
    const placed = this.store.native.placeRows(head.rows, asBytes(lengths), entries, asBytes(ids));
    if (placed === undefined) return false;
    const rows = new RowReader(head.rows);
    const places = numbersIn(placed);
    if (!hasSoundAttributes(rows, places)) return false;
    const sections = this.sectionsOf(head, slots, { rows, places });
    for (const section of sections) this.countSection(section, rows, places);
    this.journal.addRows(rows, places);
    // First come the records of all rows that are in the catalog: a row that is put after them may exceed the quota, and
    // what was stored before must then be kept by a checkpoint.
    for (const section of sections) if (section.isStored) this.noteRows(section, rows, places);
    for (const section of sections)
      if (!section.isStored) this.putRows(section, rows, contents.byKey());
    return true;
  }

  /** Returns the sections of a parcel, looks up contents that did not come with it, and leaves out rows that must wait. */
  private sectionsOf(
    { lengths }: ParcelRows,
    slots: readonly SlotState[],
    { rows, places }: { readonly rows: RowReader; readonly places: Float64Array },
  ): Section[] {
    let end = 0;
    let place = 0;
    return slots.map((slot, index) => {
      const [from, firstPlace] = [end, place];
      end += lengths[index] ?? 0;
      let isStored = true;
      for (; (places[place + RowPlace.offset] ?? end) < end; place += RowPlace.numbers) {
        if (places[place + RowPlace.content] !== UNKNOWN_ID) continue;
        const contentId = this.stored(rows.digest(places[place + RowPlace.offset]!));
        if (contentId === undefined) isStored = false;
        else places[place + RowPlace.content] = contentId;
      }
      if (!isStored) leaveOut(places.subarray(firstPlace, place));
      return { slot, from, end, firstPlace, endPlace: place, isStored };
    });
  }

  /** Counts the rows of a section for the quota, and gives its directories their ids. */
  private countSection({ slot, ...section }: Section, rows: RowReader, places: Float64Array): void {
    const { space } = this.store;
    if (!section.isStored) return; // its rows are written one by one
    for (let at = section.firstPlace; at < section.endPlace; at += RowPlace.numbers) {
      noteUnsettled(slot, rows, places[at + RowPlace.offset]!);
      const isDirectory = places[at + RowPlace.child] === UNKNOWN_ID;
      space?.takeEntry(isDirectory);
      if (!isDirectory) continue;
      places[at + RowPlace.child] = this.slots.childOf(slot, rows, places[at + RowPlace.offset]!)!;
    }
  }

  /** Records rows that are in the catalog. */
  private noteRows({ slot, ...section }: Section, rows: RowReader, places: Float64Array): void {
    if (section.from === section.end) return;
    const children: DirectoryId[] = [];
    for (let at = section.firstPlace; at < section.endPlace; at += RowPlace.numbers) {
      const child = places[at + RowPlace.child]!;
      if (child !== 0) children.push(child);
    }
    this.slots.fresh.fill(slot.directory);
    this.journal.noteRows(slot, rows, section, children);
    for (const child of children) this.slots.fresh.place(child);
  }

  /** Writes the rows of a parcel one by one. Throws PROTOCOL_VIOLATION. */
  private putEach(head: ParcelRows, known: ReadonlyMap<string, ContentId>): void {
    const rows = checkRows(head.rows, false);
    let from = 0;
    for (const [index, slotNumber] of head.slots.entries()) {
      const slot = this.slots.get(slotNumber);
      const end = from + (head.lengths[index] ?? 0);
      if (end > rows.rows.length) throw protocolViolation('a parcel is cut off');
      this.putRows({ slot, from, end }, rows, known);
      from = end;
    }
    if (from !== rows.rows.length) throw protocolViolation('rows in a parcel belong to no slot');
  }

  private putRows(
    { slot, from, end }: Pick<Section, 'slot' | 'from' | 'end'>,
    rows: RowReader,
    known: ReadonlyMap<string, ContentId>,
  ): void {
    let at = from;
    for (; at < end; at += rows.rowBytes(at)) this.put(slot, rows, at, known);
    if (at !== end) throw protocolViolation('a parcel cuts through a row');
  }

  /** Writes a row whose content is stored, or queues it until its content arrives. */
  private put(
    slot: SlotState,
    rows: RowReader,
    at: number,
    known: ReadonlyMap<string, ContentId>,
  ): void {
    const needsContent = rows.type(at) === EntryType.file && rows.sizeBytes(at) > 0;
    if (needsContent !== rows.hasDigest(at)) {
      throw protocolViolation('a final row without its digest');
    }
    if ((rows.flags(at) & RowFlag.unreadable) !== 0) {
      throw protocolViolation('a final row of an unreadable entry');
    }
    noteUnsettled(slot, rows, at);
    let contentId: ContentId | undefined;
    if (needsContent) {
      const key = digestKey(rows.digest(at));
      contentId = known.get(key) ?? this.stored(rows.digest(at));
      if (contentId === undefined) {
        this.waiting.add(key, { slot, row: Buffer.from(rows.row(at)) });
        return;
      }
    }
    const childId = this.slots.childOf(slot, rows, at);
    const targets = { contentId, childId };
    if (!slot.isNew) {
      const head = this.store.catalog.entries.findHead(slot.directory, rows.name(at));
      if (head !== undefined && this.isUnchanged(head, rows, at, targets)) {
        this.journal.updateFlags(slot, head, rows.flags(at));
        return;
      }
    }
    this.slots.fresh.fill(slot.directory);
    this.journal.put(slot, rows, at, targets);
    if (childId !== undefined) this.slots.fresh.place(childId);
  }

  /** Returns the id of a content that is stored and that the session may rely on. */
  stored(digest: Buffer): ContentId | undefined {
    const { contents, bases } = this.store.catalog;
    const found = contents.find(digest);
    if (found?.isStored !== true || !this.trust.inContent(found.contentId)) return undefined;
    const isDelta = this.isFull && bases.chainLength(found.contentId) > 0;
    return isDelta ? undefined : found.contentId;
  }

  /** True if a row is equal to the open version of its name except for its flags, so that it needs no new version. */
  private isUnchanged(
    head: HeadRow,
    rows: RowReader,
    at: number,
    { contentId, childId }: RowTargets,
  ): boolean {
    if (!sameMetadata(head.metadata, rows, at)) return false;
    if (!this.trust.inSet(head.firstSet)) return false; // its new version belongs to this set
    if (!sameAttributes(head.metadata, rows, at)) return false;
    return (
      head.contentId === contentId && head.childId === childId && !this.slots.hasMoved(childId)
    );
  }

  /** Writes the rows that waited for a content, which is now stored. */
  release(key: string, known: ReadonlyMap<string, ContentId>): void {
    this.coming.delete(key);
    for (const { slot, row } of this.waiting.take(key)) {
      this.put(slot, new RowReader(row), 0, known);
      this.slots.settle(slot);
    }
  }
}

/** Notes that the directory of an unsettled entry must be listed again, whatever the client reports about its listing. */
function noteUnsettled(slot: SlotState, rows: RowReader, at: number): void {
  if ((rows.flags(at) & RowFlag.unsettled) !== 0) slot.hasUnsettled = true;
}

function hasSoundAttributes(rows: RowReader, places: Float64Array): boolean {
  for (let at = RowPlace.offset; at < places.length; at += RowPlace.numbers) {
    const attributes = rows.attributes(places[at]!);
    if (attributes !== undefined && !checkAttributes(attributes)) return false;
  }
  return true;
}

/** Marks rows of which none is to be written. */
function leaveOut(places: Float64Array): void {
  for (let at = 0; at < places.length; at += RowPlace.numbers) {
    places[at + RowPlace.directory] = NO_DIRECTORY;
  }
}

function asBytes({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function numbersIn({ buffer, byteOffset, byteLength }: Buffer): Float64Array {
  return new Float64Array(buffer, byteOffset, byteLength / Float64Array.BYTES_PER_ELEMENT);
}

interface WaitingRow {
  readonly slot: SlotState;
  readonly row: Buffer;
}

/** Rows whose contents are still in flight, by digest. Their number is limited, to protect the memory. */
class WaitingRows {
  private readonly rows = new Map<string, WaitingRow[]>();
  private total = 0;

  get count(): number {
    return this.total;
  }

  add(key: string, row: WaitingRow): void {
    if (this.total >= MAX_WAITING_ROWS) {
      throw protocolViolation('too many rows wait for their contents');
    }
    this.total += 1;
    row.slot.waitingRows += 1;
    listAt(this.rows, key).push(row);
  }

  /** Removes and returns the rows that waited for a content. */
  take(key: string): readonly WaitingRow[] {
    const rows = this.rows.get(key) ?? [];
    this.rows.delete(key);
    this.total -= rows.length;
    for (const { slot } of rows) slot.waitingRows -= 1;
    return rows;
  }
}

/** A frame whose contents have consecutive ids. */
interface NewFrame {
  readonly index: Buffer;
  readonly firstId: ContentId;
}

/** Entries like those of the index of a frame, and the id of each. */
interface ListedContents {
  readonly entries: Buffer;
  readonly ids: Float64Array;
}

class ParcelContents {
  /** Ids of contents that were added one by one, by digest key. */
  readonly single = new Map<string, ContentId>();
  private readonly frames: NewFrame[] = [];

  /** Adds a frame. Its index must not change as long as this object is used. */
  addFrame(index: Buffer, firstId: ContentId): void {
    this.frames.push({ index, firstId });
  }

  /** Returns all contents as lists. */
  list(): ListedContents {
    const parts = this.frames.map(({ index }) => index);
    if (this.single.size > 0) parts.push(this.listSingle());
    const entries = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    const ids = new Float64Array(entries.length / FRAME_ENTRY_BYTES);
    let at = 0;
    for (const { index, firstId } of this.frames) {
      for (let id: number = firstId; id < firstId + index.length / FRAME_ENTRY_BYTES; id += 1) {
        ids[at] = id;
        at += 1;
      }
    }
    ids.set([...this.single.values()], at);
    return { entries, ids };
  }

  private listSingle(): Buffer {
    const entries = Buffer.alloc(this.single.size * FRAME_ENTRY_BYTES);
    let at = 0;
    for (const key of this.single.keys()) {
      entries.write(key, at, 'latin1');
      at += FRAME_ENTRY_BYTES;
    }
    return entries;
  }

  /** Returns the ids of all contents by digest key. */
  byKey(): Map<string, ContentId> {
    const ids = new Map(this.single);
    for (const { index, firstId } of this.frames) {
      for (let at = 0; at < index.length; at += FRAME_ENTRY_BYTES) {
        const digest = index.subarray(at, at + DIGEST_BYTES);
        ids.set(digestKey(digest), contentIdOf(firstId + at / FRAME_ENTRY_BYTES));
      }
    }
    return ids;
  }
}

/**
 * Appends a record of contents and adds them to the catalog and, with their ids, to `contents`. Unless the session is
 * of the client itself (`isOfClient`), the record is marked as sent by an account. Throws PROTOCOL_VIOLATION.
 */
function storeContents(
  store: StoreWriter,
  bytes: Buffer,
  contents: ParcelContents,
  isOfClient: boolean,
): void {
  let parsed;
  try {
    parsed = parseRecord(bytes);
  } catch (error) {
    throw protocolViolation('a record arrived damaged', {}, error);
  }
  const { header, index } = parsed;
  if (header.kind !== RecordKind.frame && header.kind !== RecordKind.content) {
    throw protocolViolation('a parcel may hold frames and contents only');
  }
  if (header.flags !== 0 || header.sequence !== 0) {
    throw protocolViolation('a record has flags a client may not set');
  }
  store.space?.take(bytes.length);
  if (!isOfClient) markOfAccount(bytes);
  const location = store.packs.append(bytes);
  const marked = isOfClient ? header : readHeader(bytes, 0)!;
  if (header.kind === RecordKind.frame) {
    const firstId = applyNewFrame(store.catalog, marked, index, location);
    if (firstId !== undefined) return contents.addFrame(index, firstId);
  }
  applyContentRecord(store.catalog, marked, index, { location, ids: contents.single });
}
