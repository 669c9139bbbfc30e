/**
 * Writes the changes of one backup set to the catalog and, as records, to the packs. Every change of an entry passes
 * through this class, so that the two cannot differ. Changes are collected into listing records; events and listings
 * keep their order.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  closeDirectory,
  closeName,
  type HeadRow,
  putRow,
  type RowTargets,
} from '../catalog/index.js';
import { protocolViolation, TardisError } from '../../errors/index.js';
import {
  buildListing,
  type ListingSection,
  type OwnerRecord,
  type SetNote,
  type StoreEvent,
} from '../index.js';
import {
  BytesBuilder,
  type ClientConfig,
  DIRECTORY_SEAL_BYTES,
  type DirectoryId,
  EntryType,
  isEntryName,
  isNoteKind,
  NO_MARKS,
  type RootNumber,
  type RowReader,
  type SetMarks,
  type SetNumber,
} from '../../model/index.js';
import { NO_DIRECTORY, RowPlace } from '../../system/index.js';
import type { StoreWriter } from './store-writer.js';

/** A directory whose entries change. */
interface ChangedDirectory {
  readonly root: RootNumber;
  readonly directory: DirectoryId;
  /** True if the directory had no entries before this session, so that no entry needs to be closed. */
  readonly isNew: boolean;
}

const MAX_NOTES_PER_EVENT = 4096;
const NO_SEAL: Buffer = Buffer.alloc(DIRECTORY_SEAL_BYTES);

export class SetJournal {
  /** Number of entries written since the last checkpoint. */
  entriesSinceCheckpoint = 0;
  /** Number of rows in the catalog that are not recorded yet; 0 at each checkpoint. */
  private unrecorded = 0;
  private isConfigured = false;
  private readonly sections: SectionCollector;
  private notes: SetNote[] = [];
  private seals: { readonly directory: DirectoryId; readonly seal: Buffer }[] = [];
  private owners: OwnerRecord[] = [];

  constructor(
    private readonly store: StoreWriter,
    readonly set: SetNumber,
  ) {
    this.sections = new SectionCollector(set);
  }

  /** Writes the row at `at` as the open version of its name. */
  put(
    place: ChangedDirectory,
    rows: RowReader,
    at: number,
    { contentId, childId }: RowTargets,
  ): void {
    const { set, store } = this;
    const { root, directory, isNew } = place;
    store.space?.takeEntry(rows.type(at) === EntryType.directory);
    putRow(store.catalog, { set, directory, contentId, childId, isNew }, rows, at);
    this.sections.put(root, directory, rows.row(at), childId);
    this.afterChange();
  }

  /**
   * Writes rows of new directories to the catalog, by one statement, without those that `places` leaves out
   * (`RowPlace`). `noteRows` must record them before the next checkpoint.
   */
  addRows({ rows }: RowReader, places: Float64Array): void {
    this.store.catalog.bulk.addEntries(rows, places, this.set);
    for (let at = RowPlace.directory; at < places.length; at += RowPlace.numbers) {
      if (places[at] !== NO_DIRECTORY) this.unrecorded += 1;
    }
  }

  /**
   * Records rows that `addRows` has written. `children` has the ids of the directories among them. The records are
   * the same as those that `put` makes.
   */
  noteRows(
    { root, directory }: ChangedDirectory,
    rows: RowReader,
    { from, end }: { readonly from: number; readonly end: number },
    children: readonly DirectoryId[],
  ): void {
    const isAdded = this.sections.putAll(root, directory, rows.rows.subarray(from, end), children);
    let nextChild = 0;
    for (let at = from; at < end; at += rows.rowBytes(at)) {
      if (!isAdded) {
        const isDirectory = rows.type(at) === EntryType.directory;
        const child = isDirectory ? children[nextChild] : undefined;
        if (isDirectory) nextChild += 1;
        this.sections.put(root, directory, rows.row(at), child);
      }
      this.unrecorded -= 1;
      this.afterChange();
    }
  }

  /**
   * Changes the flags of `head`, the open version of its name, which gets no new version. The catalog and its images have
   * these flags; the records of the set do not.
   */
  updateFlags({ directory }: ChangedDirectory, head: HeadRow, flags: number): void {
    this.store.catalog.entries.setFlags(directory, head.name, head.firstSet, flags);
  }

  /** Closes the open version of a name. */
  remove(place: ChangedDirectory, name: Buffer): void {
    closeName(this.store.catalog, place.directory, name, this.set);
    this.sections.remove(place.root, place.directory, name);
    this.afterChange();
  }

  /** Closes all entries of a removed directory. */
  closeDirectory(root: RootNumber, directory: DirectoryId): void {
    closeDirectory(this.store.catalog, directory, this.set);
    this.sections.closeDirectory(root, directory);
    this.afterChange();
  }

  /** Stores the marks of the set; writes nothing if it has none. */
  mark(marks: SetMarks): void {
    if (isDeepStrictEqual(marks, NO_MARKS)) return;
    this.store.catalog.sets.mark(this.set, marks);
    this.appendEvent({ type: 'set-marked', set: this.set, marks });
  }

  /** Stores the configuration of the client as the client sent it. Throws PROTOCOL_VIOLATION the second time. */
  configure(config: ClientConfig): void {
    if (this.isConfigured) throw protocolViolation('the set has a configuration already');
    this.isConfigured = true;
    this.store.catalog.settings.putConfig(this.set, config);
    this.appendEvent({ type: 'set-configured', set: this.set, config });
  }

  /** Adds a note. Throws PROTOCOL_VIOLATION if its kind or its name is invalid. */
  addNote(note: SetNote): void {
    const isNamed = note.name.length === 0 || isEntryName(note.name);
    if (!isNoteKind(note.what) || !isNamed) throw protocolViolation('invalid note');
    this.store.catalog.sets.addNote(this.set, note);
    this.notes.push(note);
    if (this.notes.length >= MAX_NOTES_PER_EVENT) this.flushNotes();
  }

  /** Stores the name that an owner has from this set on; writes nothing if it has not changed. */
  addOwner(owner: OwnerRecord): void {
    if (!this.store.catalog.owners.put(this.set, owner)) return;
    this.owners.push(owner);
    if (this.owners.length >= MAX_NOTES_PER_EVENT) this.flushOwners();
  }

  /** Stores the seal that a directory has from this set on; undefined removes the seal. */
  seal(directory: DirectoryId, seal: Buffer | undefined): void {
    if (!this.store.catalog.seals.put(directory, this.set, seal)) return;
    this.seals.push({ directory, seal: seal ?? NO_SEAL });
    if (this.seals.length >= MAX_NOTES_PER_EVENT) this.flushSeals();
  }

  /** Appends an event after all changes so far. The caller applies it to the catalog. */
  appendEvent(event: StoreEvent): void {
    this.flush();
    this.store.appendEvent(event);
  }

  /**
   * Writes the collected changes as records, and makes everything so far durable. Throws INTERNAL if the catalog has
   * rows without records: a rebuild would lose them.
   */
  async checkpoint(): Promise<void> {
    if (this.unrecorded !== 0) {
      throw new TardisError('INTERNAL', `${this.unrecorded} rows of the catalog have no record`);
    }
    this.flush();
    this.flushNotes();
    this.flushOwners();
    this.flushSeals();
    this.entriesSinceCheckpoint = 0;
    await this.store.checkpoint();
  }

  private flushOwners(): void {
    const { owners } = this;
    this.owners = [];
    if (owners.length > 0) this.appendEvent({ type: 'owners', set: this.set, owners });
  }

  private flushSeals(): void {
    const { seals } = this;
    this.seals = [];
    if (seals.length === 0) return;
    this.appendEvent({
      type: 'seals',
      set: this.set,
      directories: seals.map(({ directory }) => directory),
      seals: Buffer.concat(seals.map(({ seal }) => seal)),
    });
  }

  private flushNotes(): void {
    const { notes } = this;
    this.notes = [];
    if (notes.length > 0) this.appendEvent({ type: 'notes', set: this.set, notes });
  }

  private afterChange(): void {
    this.entriesSinceCheckpoint += 1;
    this.store.entriesWritten += 1;
    if (this.sections.isFull) this.flush();
  }

  private flush(): void {
    const record = this.sections.take(() => this.store.nextSequence());
    if (record !== undefined) this.store.appendOwn(record);
  }
}

interface OpenSection {
  readonly set: SetNumber;
  readonly root: RootNumber;
  readonly directory: DirectoryId;
  /** Its rows are the bytes from `from` to `to` of the rows of all sections. */
  readonly from: number;
  to: number;
  readonly children: DirectoryId[];
  readonly removed: Buffer[];
  closed: boolean;
}

/** Number of bytes of rows at which a listing record is written. */
const FLUSH_BYTES = 512 << 10;

/**
 * Collects changes of directories until they are written as one listing record. Consecutive changes of the same
 * directory share a section.
 */
class SectionCollector {
  private sections: OpenSection[] = [];
  private current: OpenSection | undefined;
  private bytes = 0;
  /** The rows of all sections, in one piece of memory that is freed with each record. */
  private readonly allRows = new BytesBuilder(0);

  constructor(private readonly set: SetNumber) {}

  get isFull(): boolean {
    return this.bytes >= FLUSH_BYTES;
  }

  private section(root: RootNumber, directory: DirectoryId): OpenSection {
    if (this.current?.directory !== directory) {
      const { set } = this;
      this.current = {
        set,
        root,
        directory,
        from: this.allRows.length,
        to: this.allRows.length,
        children: [],
        removed: [],
        closed: false,
      };
      this.sections.push(this.current);
    }
    return this.current;
  }

  /** Adds a new or changed entry; the row is copied. `child` is the id of a directory entry. */
  put(root: RootNumber, directory: DirectoryId, row: Buffer, child: DirectoryId | undefined): void {
    const section = this.section(root, directory);
    this.append(section, row);
    if (child !== undefined) section.children.push(child);
  }

  /**
   * Adds new entries of one directory. Returns false, and adds none, if a listing record has to be written before
   * the last of them.
   */
  putAll(
    root: RootNumber,
    directory: DirectoryId,
    rows: Buffer,
    children: readonly DirectoryId[],
  ): boolean {
    if (this.bytes + rows.length >= FLUSH_BYTES) return false;
    const section = this.section(root, directory);
    this.append(section, rows);
    for (const child of children) section.children.push(child);
    return true;
  }

  private append(section: OpenSection, rows: Buffer): void {
    this.allRows.append(rows);
    section.to = this.allRows.length;
    this.bytes += rows.length;
  }

  /** Adds a removed name. The section must have no rows yet, so that the removal precedes them. */
  remove(root: RootNumber, directory: DirectoryId, name: Buffer): void {
    // Removals are applied before rows, so a removal after a row needs another section.
    const { current } = this;
    if (current?.directory === directory && current.to > current.from) this.current = undefined;
    this.section(root, directory).removed.push(Buffer.from(name));
    this.bytes += name.length;
  }

  closeDirectory(root: RootNumber, directory: DirectoryId): void {
    this.current = undefined;
    this.section(root, directory).closed = true;
    this.bytes += 64;
  }

  /** Returns a listing record of all collected changes; undefined if there are none. If it throws, the changes stay. */
  take(nextSequence: () => number): Buffer | undefined {
    if (this.sections.length === 0) return undefined;
    const allRows = this.allRows.view();
    const sections = this.sections.map((section): ListingSection => {
      const { set, root, directory, from, to, children, removed, closed } = section;
      return { set, root, directory, rows: allRows.subarray(from, to), children, removed, closed };
    });
    const record = buildListing(nextSequence(), sections);
    this.allRows.clear();
    this.sections = [];
    this.current = undefined;
    this.bytes = 0;
    return record;
  }
}
