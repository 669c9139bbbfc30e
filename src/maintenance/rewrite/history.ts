/**
 * Copies sets into the new generation, oldest first. Each set is copied as a list of its changes. The numbers of sets,
 * roots and directories stay unchanged, and so do all dates. A set becomes durable as a whole, or not at all.
 */
import {
  type BackupSet,
  type CatalogEntry,
  contentOfRow,
  identityOf,
  PASSING_FLAGS,
  ROOTS_DIRECTORY,
  settingsOf,
} from '../../store/catalog/index.js';
import { TardisError, throwIfAborted } from '../../errors/index.js';
import {
  BytesBuilder,
  type ContentId,
  type DirectoryId,
  type ForgetRequest,
  joinRow,
  listAt,
  mappedMarks,
  metadataOf,
  ROOT_NAME,
  RowOffset,
  RowReader,
  type SetNumber,
} from '../../model/index.js';
import { isNameByFormat } from '../../retention/index.js';
import { type StoreWriter, SetJournal } from '../../store/writer/index.js';
import type { RootRecord } from '../../store/index.js';
import { yieldRegularly } from '../../system/index.js';
import type { NewKeys } from './new-keys.js';
import type { OldStore } from './old-generation.js';

const NO_CONTENTS: ReadonlyMap<string, ContentId> = new Map();
const ROW_HINT_BYTES = 256;

/** Returns the digests under which copied entries name their contents. */
export interface CopiedDigests {
  /** Returns the digest of an old content in the new generation; that of no content if the content is lost. */
  digestFor(old: Uint8Array): Buffer;
}

/** Writes the seals of copied sets. */
export interface CopiedSeals {
  /** Records the directories that a set without a seal has changed. */
  changed(directories: readonly DirectoryId[]): void;
  /** Seals a set whose entries are complete. */
  seal(
    journal: SetJournal,
    set: BackupSet,
    roots: readonly RootRecord[],
    changed: readonly DirectoryId[],
  ): Promise<void>;
}

export class CopiedHistory {
  protected readonly breathe = yieldRegularly();
  /** Writes the seals; undefined if the new generation has none. */
  private readonly seals: CopiedSeals | undefined;
  private readonly keys: NewKeys;
  private readonly contents: CopiedDigests;

  constructor(
    protected readonly old: OldStore,
    protected readonly store: StoreWriter,
    {
      keys,
      contents,
      seals,
    }: {
      readonly keys: NewKeys;
      readonly contents: CopiedDigests;
      readonly seals: CopiedSeals | undefined;
    },
  ) {
    this.keys = keys;
    this.contents = contents;
    this.seals = seals;
  }

  /**
   * Copies the missing sets that cannot change any more. With `isAlone`, copies all missing sets, since no other
   * process has the old generation open. Throws NOT_AUTHENTIC if an entry or a set does not match its seals,
   * INTERRUPTED if it is aborted.
   */
  async replayNew(
    isAlone: boolean,
    signal: AbortSignal,
    onSet: (set: SetNumber, newest: SetNumber) => void,
  ): Promise<void> {
    const { sets } = this.old.catalog;
    const all = sets.all();
    const newest = all.at(-1)?.set ?? 0;
    const missing = all.filter(({ set }) => this.store.catalog.sets.find(set) === undefined);
    // A session may still be writing the newest set.
    const isOpen = !isAlone && missing.at(-1)?.state === 'unfinished';
    if (isOpen) missing.pop();
    if (missing.length === 0) return;
    this.bringAccounts();
    const done = all.findLast(({ set }) => set < missing[0]!.set)?.set ?? 0;
    const changes = this.changesFrom(done + 1);
    const numbers = [...changes.keys()].sort((one, other) => one - other);
    for (const set of missing) {
      throwIfAborted(signal);
      onSet(set.set, newest);
      // The catalog may have entries of sets whose beginning was lost to damage.
      for (const number of numbers.splice(0, numbers.filter((one) => one < set.set).length)) {
        await this.replay(number, undefined, changes.get(number)!);
      }
      if (numbers[0] === set.set) numbers.shift();
      await this.replay(set.set, set, changes.get(set.set) ?? []);
    }
    if (isAlone)
      for (const number of numbers) await this.replay(number, undefined, changes.get(number)!);
  }

  /** Copies the account of each set. Deleted sets are included, since entries of them may still be open. */
  protected bringAccounts(): void {
    const { accounts } = this.store.catalog;
    const known = new Set(accounts.sets().map(({ set, root }) => `${set} ${root}`));
    for (const { set, root, account } of this.old.catalog.accounts.sets()) {
      if (known.has(`${set} ${root}`)) continue;
      this.store.writeEvent({ type: 'by-account', set, account, roots: [root] });
    }
  }

  /** Returns the directories in which an entry began or ended, by set. */
  private changesFrom(first: SetNumber): Map<SetNumber, DirectoryId[]> {
    const { history } = this.old.catalog;
    const changes = new Map<SetNumber, DirectoryId[]>();
    for (const page of history.directories()) {
      for (const directory of page) {
        for (const set of history.changesOf(directory)) {
          if (set < first) continue;
          listAt(changes, set).push(directory);
        }
      }
    }
    return changes;
  }

  /** Writes all changes of one set. `set` is undefined if the catalog has only the set's number. */
  protected async replay(
    number: SetNumber,
    set: BackupSet | undefined,
    directories: readonly DirectoryId[],
  ): Promise<void> {
    const journal = new SetJournal(this.store, number);
    const roots = set === undefined ? [] : this.openSet(journal, set);
    for (const directory of directories) {
      this.replayChanges(journal, directory);
      await this.breathe();
    }
    if (set?.state === 'complete') {
      this.closeGone(journal);
      await this.seals?.seal(journal, set, roots, directories);
      const { closedAtMs = set.openedAtMs, stats } = set;
      this.store.catalog.sets.complete(number, closedAtMs, stats);
      journal.appendEvent({ type: 'set-closed', set: number, closedAtMs, stats });
    } else this.seals?.changed(directories);
    await journal.checkpoint();
  }

  private openSet(journal: SetJournal, set: BackupSet): RootRecord[] {
    const { old, keys, store } = this;
    const { history, sets } = old.catalog;
    const { set: number, openedAtMs, clientTimeMs } = set;
    const name = this.nameOf(set);
    const roots = sets
      .rootsOf(number)
      .map((root) => ({
        ...root,
        path: keys.path(old.openPath(root.path)),
        device: keys.device(old.openDevice(root.device ?? '')),
      }));
    store.catalog.sets.open(number, name, openedAtMs, clientTimeMs);
    for (const root of roots) store.catalog.sets.addRoot(number, root);
    const opened = { set: number, name, openedAtMs, clientTimeMs, roots };
    journal.appendEvent({ type: 'set-opened', ...opened });
    this.bringMarks(journal, set);
    this.bringConfig(journal, number);
    // If a set that reported names of owners was deleted, its names are stored with this set.
    const before = store.catalog.sets.all().findLast((one) => one.set < number)?.set ?? 0;
    for (const owner of history.ownersBetween(before, number)) {
      journal.addOwner({ ...owner, name: keys.owner({ ...owner, name: old.openOwner(owner) }) });
    }
    for (const note of sets.notesOf(number)) {
      const plain = old.openName(note.directory, note.name);
      const reason = keys.text(old.openText(note.reason));
      journal.addNote({ ...note, name: this.sealName(note.directory, plain), reason });
    }
    return roots;
  }

  private bringMarks(journal: SetJournal, { marks }: BackupSet): void {
    journal.mark(mappedMarks(marks, (text) => this.keys.text(this.old.openText(text))));
  }

  /**
   * Copies the configuration that a set recorded, if there is one that can be opened. It is sealed, since it contains
   * names.
   */
  private bringConfig(journal: SetJournal, set: SetNumber): void {
    const config = this.old.catalog.settings.configOf(set);
    const kept = config && this.keys.config(this.old.openConfig(config));
    if (kept !== undefined) journal.configure(kept);
  }

  /** Copies the present settings. Settings that were copied before are copied again, since they may have changed. */
  bringSettings(): void {
    const { old, store } = this;
    const [now, before] = [settingsOf(old.catalog), settingsOf(store.catalog)];
    for (const key of new Set([...before.keys(), ...now.keys()])) {
      const value = now.get(key);
      if (value === before.get(key)) continue;
      store.writeEvent({ type: 'setting', key, ...(value === undefined ? {} : { value }) });
    }
  }

  /** Copies the remaining requests to forget. `done` has the requests whose paths this generation leaves out. */
  bringForgets(done: readonly ForgetRequest[]): void {
    const { old, keys, store } = this;
    for (const request of old.catalog.forgets.all()) {
      if (done.some(({ id }) => id === request.id)) continue;
      const path = keys.path(old.openPath(request.path));
      store.writeEvent({ type: 'forget-requested', ...request, path });
    }
  }

  /**
   * Returns the name of a set in the new generation. A name that the user gave is sealed. A name that a server made is
   * not sealed, since the server uses such names.
   */
  private nameOf(set: BackupSet): string {
    const plain = this.old.openText(set.firstName);
    return this.isMadeUp(set, plain) ? plain : this.keys.text(plain);
  }

  private isMadeUp({ firstName, openedAtMs }: BackupSet, plain: string): boolean {
    if (this.old.keyring !== undefined) return plain === firstName;
    const kept = this.old.catalog.settings.all().find(({ key }) => key === 'Formats')?.value;
    return isNameByFormat(kept?.split(/[\s,]+/) ?? [], plain, openedAtMs);
  }

  /** Writes the changes that the set of the journal made in a directory. */
  protected replayChanges(journal: SetJournal, directory: DirectoryId): void {
    this.replayEnds(journal, directory);
    this.replayBeginnings(journal, directory);
  }

  private replayEnds(journal: SetJournal, directory: DirectoryId): void {
    const { history } = this.old.catalog;
    const place = { root: history.rootOf(directory), directory, isNew: false };
    for (const names of history.endedIn(directory, journal.set)) {
      for (const name of names) {
        journal.remove(place, this.sealName(directory, this.old.openName(directory, name)));
      }
    }
  }

  private replayBeginnings(journal: SetJournal, directory: DirectoryId): void {
    for (const entries of this.old.catalog.history.begunIn(directory, journal.set)) {
      this.putAll(journal, directory, entries);
    }
  }

  /** Writes entries of a directory as the open versions of their names. */
  protected putAll(
    journal: SetJournal,
    directory: DirectoryId,
    entries: readonly CatalogEntry[],
  ): void {
    const children = entries.map(({ childId }) => childId);
    const rows = this.sealedRows(directory, entries);
    let at = 0;
    for (const [index, entry] of entries.entries()) {
      const sealed = rows.row(at);
      at += sealed.length;
      const row = directory === ROOTS_DIRECTORY ? renamed(sealed, entry.name) : sealed;
      this.put(journal, directory, new RowReader(row), children[index]);
    }
  }

  private put(
    journal: SetJournal,
    directory: DirectoryId,
    row: RowReader,
    childId: DirectoryId | undefined,
  ): void {
    const { catalog } = this.store;
    const isRoot = directory === ROOTS_DIRECTORY;
    const root = isRoot
      ? Number(row.name(0).toString('latin1'))
      : this.old.catalog.history.rootOf(directory);
    const contentId = contentOfRow(catalog, row, 0, NO_CONTENTS);
    if (childId !== undefined) {
      const identity = identityOf(root, directory, row, 0);
      if (catalog.directories.exists(childId)) catalog.directories.place(childId, identity);
      else catalog.directories.add(childId, identity);
    }
    journal.put({ root, directory, isNew: false }, row, 0, { contentId, childId });
  }

  /** Returns rows of the entries, sealed with the new keys. The rows of roots have the name "root". */
  private sealedRows(directory: DirectoryId, entries: readonly CatalogEntry[]): RowReader {
    this.old.open(entries);
    const rows = new BytesBuilder(entries.length * ROW_HINT_BYTES);
    for (const entry of entries) {
      const name = directory === ROOTS_DIRECTORY ? ROOT_NAME : entry.name;
      const row = joinRow(entry.metadata, name, this.digestOf(entry));
      const fixed = row[RowOffset.flags]! & ~PASSING_FLAGS;
      row[RowOffset.flags] = fixed | (entry.flags & PASSING_FLAGS);
      rows.append(row);
    }
    return new RowReader(this.keys.rows(rows.view(), entries.length));
  }

  private digestOf({ contentId, digest }: CatalogEntry): Buffer | undefined {
    if (contentId === undefined) return undefined;
    if (digest === undefined) throw new TardisError('CATALOG_DAMAGED', 'a content has no digest');
    return this.contents.digestFor(digest);
  }

  sealName(directory: DirectoryId, name: Buffer): Buffer {
    return directory === ROOTS_DIRECTORY ? name : this.keys.name(name);
  }

  /** Closes directories without a place that the end of the set closed in the old generation. */
  private closeGone(journal: SetJournal): void {
    const { old, store } = this;
    for (const directory of store.catalog.history.unplaced()) {
      if (old.catalog.history.hasAny(directory, journal.set)) continue;
      journal.closeDirectory(store.catalog.history.rootOf(directory), directory);
    }
  }

  /**
   * Copies the number of the last set that may lack entries, as an event. Does nothing if the new generation has this
   * number or a higher one. In a bucket, other machines read it from the log.
   */
  bringDoubt(upToSet: SetNumber = this.old.catalog.state.readDoubtfulUpTo()): void {
    const { store } = this;
    if (upToSet <= store.catalog.state.readDoubtfulUpTo()) return;
    store.writeEvent({ type: 'doubtful', upToSet });
  }

  /** Copies flags that a later backup has set on unchanged versions. They show which files must be read again. */
  copyFlags(): void {
    const { old, store } = this;
    for (const { directory, name, firstSet, flags } of old.catalog.history.flaggedHeads()) {
      const sealed = this.sealName(directory, old.openName(directory, name));
      const head = store.catalog.entries.findHead(directory, sealed);
      if (head?.firstSet !== firstSet) continue;
      store.catalog.entries.setFlags(directory, sealed, firstSet, head.flags | flags);
    }
  }
}

/** Returns a copy of a row with another name. */
function renamed(row: Buffer, name: Buffer): Buffer {
  return joinRow(metadataOf(new RowReader(row), 0), name, undefined);
}
