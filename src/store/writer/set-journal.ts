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
import type { OwnerRecord, SetNote, StoreEvent } from '../index.js';
import type { StoreWriter } from './store-writer.js';
import { SectionCollector } from './sections.js';

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
