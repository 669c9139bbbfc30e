/**
 * Garbage collection of one client. Sets are deleted at once; data that only they used is removed in steps. Each step
 * may be interrupted at any moment, and the next run repeats or continues it. It holds the client's lock only while it
 * works. If a session requests the lock, it releases it within one time slice, so that no session waits.
 */
import { TardisError, throwIfAborted } from '../../errors/index.js';
import type { DirectoryId, PackNumber, RootNumber } from '../../model/index.js';
import {
  type EntryKey,
  FIRST_ENTRY,
  IdSet,
  measureRecords,
  PAGE_ROWS,
  removeDatabase,
  ROOTS_DIRECTORY,
  type RootUse,
} from '../../store/catalog/index.js';
import {
  type ClientDirectory,
  mediumOf,
  objectName,
  packName,
  withClient,
} from '../../store/index.js';
import {
  makeSnapshot,
  requireNoSecond,
  SetJournal,
  type StoreLimits,
  StoreWriter,
} from '../../store/writer/index.js';
import { type System, yieldRegularly } from '../../system/index.js';
import { Headroom } from './headroom.js';
import { protectStore } from './missing-parity.js';
import { holdsMissing } from './pack-uses.js';
import type { FrameTools } from './repack-frames.js';
import { writeRequestedImage } from './requested-image.js';
import { rewritePacks } from './rewrite-packs.js';
import { hasGarbage, requireSoundUnlocked } from './sound-catalog.js';
import { type Breathe, findNeeded } from './survey.js';

export type GcStep = 'versions' | 'contents' | 'packs' | 'files';

export interface GcOptions {
  readonly limits: StoreLimits;
  /**
   * Time in ms for which unneeded files are kept after they were found. In this time a reader finds the new place of
   * the data.
   */
  readonly graceMs: number;
  /**
   * Number of free bytes below which no backup begins. Then unneeded files are deleted at once. The default is the
   * least free space and the reserve in `limits`.
   */
  readonly wantedFreeBytes?: number;
  /** Minimum share of unneeded bytes for which a pack is rewritten. */
  readonly wasteRatio: number;
  /**
   * Tools that open frames; undefined if the keys for the client's frames are missing. Frames are then copied as they
   * are.
   */
  readonly frames: FrameTools | undefined;
  /** True if unneeded contents and packs are searched even if nothing indicates that there are any. */
  readonly isThorough: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Reports progress; `of` is undefined if the amount of work is unknown. */
  readonly onProgress?: (step: GcStep, done: number, of: number | undefined) => void;
}

export interface GcReport {
  /** False if another process requested the client's lock; the next run does the rest. */
  readonly isDone: boolean;
  /** Number of unneeded contents. */
  readonly contents: number;
  /** Number of packs that were rewritten. */
  readonly packs: number;
  /** Number of bytes that are freed when the old packs and the unneeded objects are deleted. */
  readonly freedBytes: number;
  /** Number of deleted files, including those left by earlier runs. */
  readonly deletedFiles: number;
  readonly deletedBytes: number;
}

const NOTHING = { contents: 0, packs: 0, freedBytes: 0, deletedFiles: 0, deletedBytes: 0 };

/** Maximum number of files deleted between two checkpoints. */
const MAX_OBJECTS = 1024;
/** Number of packs of a shared store that are deleted at once. */
const DELETED_AT_ONCE = 8;

/** Thrown to stop when another process requests the client's lock. */
class Yielded extends Error {}

/**
 * Cleans up after sets were deleted, and deletes files that have been unneeded for long enough. Throws CLIENT_BUSY if
 * the client is in use, CATALOG_DAMAGED if its catalog is damaged.
 */
export async function collectGarbage(
  system: System,
  directory: ClientDirectory,
  options: GcOptions,
): Promise<GcReport> {
  const mayHaveSome = options.isThorough || hasGarbage(system, directory);
  if (!mayHaveSome && directory.bucket !== undefined) return { ...NOTHING, isDone: true }; // opening commits
  if (mayHaveSome) {
    if (!(await isProvenSound(system, directory, options))) return { ...NOTHING, isDone: false };
  }
  const store = await StoreWriter.open(system, directory, options.limits);
  const run = new Run(system, directory, store, options);
  try {
    await requireNoSecond(system, directory);
    mediumOf(system, directory).clearLockRequest();
    await run.all();
    await run.writeImage();
    await run.protect();
    await makeSnapshot(system, directory, store); // the next session tries again
    store.close();
    return { ...run.report, isDone: true };
  } catch (error) {
    const explained = store.closeAfterFailure(error);
    const isTaken = error instanceof TardisError && error.code === 'STORE_TAKEN';
    if (error instanceof Yielded || isTaken) return { ...run.report, isDone: false };
    throw explained;
  }
}

/**
 * Checks the catalog. Returns false if another process requests the client's lock meanwhile. If the catalog is damaged,
 * throws CATALOG_DAMAGED; but for a client in a bucket, where the catalog is a cache, deletes it. Throws CLIENT_BUSY if
 * the client is in use.
 */
async function isProvenSound(
  system: System,
  directory: ClientDirectory,
  { signal }: GcOptions,
): Promise<boolean> {
  const turn = yieldRegularly();
  try {
    await requireSoundUnlocked(system, directory, () =>
      turn()?.then(() => yieldIfRequested(system, directory, signal)),
    );
    return true;
  } catch (error) {
    if (error instanceof Yielded) return false;
    const isDamage = error instanceof TardisError && error.code === 'CATALOG_DAMAGED';
    if (!isDamage || directory.bucket === undefined) throw error;
    // The catalog is a cache, which is made again from the log.
    await withClient(system, directory, async () => removeDatabase(system, directory.catalogPath));
    return true;
  }
}

function yieldIfRequested(
  system: System,
  directory: ClientDirectory,
  signal: AbortSignal | undefined,
): void {
  throwIfAborted(signal);
  if (mediumOf(system, directory).isRequested()) throw new Yielded();
}

class Run {
  readonly report = { ...NOTHING };
  private readonly turn = yieldRegularly();
  private readonly headroom: Headroom;

  constructor(
    private readonly system: System,
    private readonly directory: ClientDirectory,
    private readonly store: StoreWriter,
    private readonly options: GcOptions,
  ) {
    const catalogBytes = (): number => system.files.status(directory.catalogPath)?.sizeBytes ?? 0;
    const { graceMs, limits } = options;
    const { leastFreeBytes = 0, reserveBytes = 0 } = limits;
    // The free space of this machine's disk is irrelevant for a store in a bucket.
    const { wantedFreeBytes = leastFreeBytes + reserveBytes } = store.isShared
      ? { wantedFreeBytes: 0 }
      : options;
    const { versions, contents } = store.catalog.state.readWaste();
    const isResumed = contents && !versions;
    this.headroom = new Headroom(store, { graceMs, wantedFreeBytes, isResumed }, catalogBytes);
  }

  async all(): Promise<void> {
    const { store, options, report } = this;
    const { state } = store.catalog;
    const nowMs = this.system.clock.nowMs();
    const breathe = (): Promise<void> => this.breathe();
    const pace: Pace = { breathe, isShort: () => this.headroom.isShort };
    await this.deleteFiles(nowMs);
    const waste = state.readWaste();
    if (waste.versions || options.isThorough) {
      this.reportStep('versions', 0);
      await closeUnlisted(store, pace.breathe);
      await dropVersions(store, pace);
      state.writeWaste({ versions: false, contents: true });
      await store.checkpoint();
    }
    if (!state.readWaste().contents && !options.isThorough) return;
    this.reportStep('contents', 0);
    const swept = await sweep(store, nowMs, pace);
    report.contents += swept.contents;
    report.freedBytes += swept.objectBytes;
    await store.checkpoint();
    if (this.headroom.isShort) await this.deleteFiles(nowMs); // files are deleted before anything is written to packs
    const { wasteRatio, frames } = options;
    const needed = store.isShared ? swept.needed : undefined;
    const rewritten = await rewritePacks(store, {
      wasteRatio,
      frames,
      needed,
      nowMs,
      breathe,
      headroom: this.headroom,
      onProgress: (done, of) => this.reportStep('packs', done, of),
      onRemoved: () => this.deleteFiles(nowMs),
    });
    report.packs += rewritten.packs;
    report.freedBytes += rewritten.freedBytes;
    if (needed !== undefined) report.contents += await dropLost(store, needed, pace);
    state.writeWaste({ versions: false, contents: false });
    await store.checkpoint();
    await this.deleteFiles(nowMs);
  }

  /** Writes an image if one is requested. It needs space, so it runs after the data was freed. */
  async writeImage(): Promise<void> {
    await writeRequestedImage(this.store, () => this.breathe());
  }

  /** Makes missing parity. It needs space, so it runs after the data was freed. */
  async protect(): Promise<void> {
    await protectStore(this.system, this.store, () => this.breathe());
  }

  private reportStep(step: GcStep, done: number, of?: number): void {
    throwIfAborted(this.options.signal);
    this.options.onProgress?.(step, done, of);
  }

  /** Lets other work run in this thread, and throws `Yielded` if another process requests the client's lock. */
  private async breathe(): Promise<void> {
    const pause = this.turn();
    if (pause === undefined) return;
    await pause;
    yieldIfRequested(this.system, this.directory, this.options.signal);
  }

  /**
   * Deletes files that have been unneeded for long enough. The events that removed them are durable, since the catalog
   * has them.
   */
  private async deleteFiles(nowMs: number): Promise<void> {
    const { gc } = this.store.catalog;
    const { graceMs } = this.headroom;
    this.reportStep('files', this.report.deletedFiles);
    const due = gc.duePacks(nowMs, graceMs);
    if (this.store.isShared) await this.deleteShared(due);
    else for (const pack of due) await this.deletePack(pack);
    for (;;) {
      const due = gc.dueObjects(nowMs, graceMs, MAX_OBJECTS);
      for (const digest of due) {
        await this.breathe();
        if (!gc.isObject(digest)) await this.deleteFile(objectName(digest));
        gc.forgetObject(digest);
      }
      await this.store.checkpoint();
      if (due.length < MAX_OBJECTS) return;
    }
  }

  private async deletePack(pack: PackNumber): Promise<void> {
    await this.breathe();
    await this.deleteFile(packName(pack));
    this.store.catalog.gc.forgetPack(pack);
  }

  /**
   * Deletes packs of a shared store, several at once, and records that for other machines. A pack with contents that
   * the store lacks is kept, since the commit that removed it was wrong.
   */
  private async deleteShared(due: readonly PackNumber[]): Promise<void> {
    const { store } = this;
    const isLacking = due.length > 0 && store.catalog.history.brokenVersions > 0;
    const deleted: PackNumber[] = [];
    for (let at = 0; at < due.length; at += DELETED_AT_ONCE) {
      await this.breathe();
      const some = due.slice(at, at + DELETED_AT_ONCE);
      const removing = some.map(async (pack) => {
        if (isLacking && (await holdsMissing(store, pack, () => this.breathe()))) return;
        await this.deleteFile(packName(pack));
        deleted.push(pack);
      });
      for (const result of await Promise.allSettled(removing)) {
        if (result.status === 'rejected') throw result.reason;
      }
    }
    if (deleted.length === 0) return;
    store.writeEvent({ type: 'deleted', packs: deleted.sort((a, b) => a - b) });
  }

  private async deleteFile(name: string): Promise<void> {
    const { backend } = this.store;
    const sizeBytes = await backend.size(name);
    if (sizeBytes === undefined) return;
    await backend.remove(name);
    this.report.deletedFiles += 1;
    this.reportStep('files', this.report.deletedFiles);
    this.report.deletedBytes += sizeBytes;
  }
}

/** Number of directories that are read, or names that are closed, in one slice of work. */
const SLICE_ROWS = 2048;
/** Number of changes between two checkpoints. */
const CHECKPOINT_CHANGES = 1 << 16;

/**
 * Closes open entries that no listed set shows, below roots that the newest listed set does not include. Entries that a
 * listed set shows stay open: if a set includes the root again, it continues from them. Each closing is also written to the
 * packs, since a rebuilt catalog would otherwise show the entry again. It may be interrupted; the next run closes the rest.
 */
async function closeUnlisted(store: StoreWriter, breathe: Breathe): Promise<void> {
  const roots = store.catalog.unshown.roots();
  const newest = Math.max(0, ...roots.map((root) => root.newest));
  const left = roots.filter((root) => root.newest < newest);
  if (left.length > 0) await new Closing(store, left, breathe).run();
}

class Closing {
  private readonly roots: ReadonlyMap<RootNumber, RootUse>;
  private readonly journal: SetJournal;

  constructor(
    private readonly store: StoreWriter,
    roots: readonly RootUse[],
    private readonly breathe: Breathe,
  ) {
    this.roots = new Map(roots.map((root) => [root.root, root]));
    // Entries are closed as of the newest set. No version began after that set, and no closed version is valid in it.
    this.journal = new SetJournal(store, store.counters.set);
  }

  async run(): Promise<void> {
    const { unshown } = this.store.catalog;
    for (const root of this.roots.values()) this.closeRoot(root);
    for (const page of unshown.rootsOfDirectories()) {
      for (const [directory, number] of page) {
        const root = this.roots.get(number);
        if (root !== undefined) await this.closeIn(directory, root);
      }
      await this.breathe();
    }
    // These directories have no place and no open entries. If a set includes their root again but not them, nothing
    // could close them.
    for (const [directory, root] of unshown.emptyUnplaced()) {
      if (this.roots.has(root)) this.journal.closeDirectory(root, directory);
    }
    await this.journal.checkpoint();
  }

  private closeRoot({ root, newest }: RootUse): void {
    const name = Buffer.from(String(root));
    const open = this.store.catalog.entries.findOpen(ROOTS_DIRECTORY, name);
    if (open === undefined || open.firstSet <= newest) return;
    this.journal.remove({ root, directory: ROOTS_DIRECTORY, isNew: false }, name);
  }

  private async closeIn(directory: DirectoryId, { root, newest }: RootUse): Promise<void> {
    const { unshown, directories } = this.store.catalog;
    if (unshown.isSealOpenSince(directory, newest)) this.journal.seal(directory, undefined);
    for (;;) {
      const names = unshown.openSince(directory, newest, SLICE_ROWS);
      if (names.length === 0) return;
      for (const [name] of names) {
        this.journal.remove({ root, directory, isNew: false }, name);
      }
      // The listing now differs from the one that a client compares with.
      directories.setSkipHash(directory, undefined);
      if (this.journal.entriesSinceCheckpoint >= CHECKPOINT_CHANGES)
        await this.journal.checkpoint();
      await this.breathe();
    }
  }
}

/** Number of contents deleted between two checkpoints. */
const CHECKPOINT_CONTENTS = 1 << 16;

/** Pauses between the slices of a sweep. */
interface Pace {
  readonly breathe: Breathe;
  /** True if space is short. Then each slice is made durable by itself, so that the catalog's log does not grow. */
  readonly isShort: () => boolean;
}

async function endSlice(store: StoreWriter, { isShort, breathe }: Pace): Promise<void> {
  if (isShort()) await store.checkpoint();
  await breathe();
}

/**
 * Deletes versions that no listed set shows. Open versions stay, so `closeUnlisted` must run first. If this is
 * interrupted, the next run continues it.
 */
async function dropVersions(store: StoreWriter, pace: Pace): Promise<void> {
  const { catalog } = store;
  for (let after: EntryKey | undefined = FIRST_ENTRY; after !== undefined; ) {
    after = catalog.gc.dropVersions(after, PAGE_ROWS);
    await endSlice(store, pace);
  }
  catalog.gc.deleteTheirSets();
}

/** Counts of a sweep. */
interface Swept {
  readonly contents: number;
  /** Number of bytes of the objects of these contents. Other records are removed with their packs. */
  readonly objectBytes: number;
}

const NOTHING_SWEPT: Swept = { contents: 0, objectBytes: 0 };

/**
 * Deletes contents, records and directories that no version needs. An event with the names of the objects is durable
 * before they are deleted. Records stay in their packs until those are compacted. In a shared store the contents stay
 * too, until their packs are removed; then `dropLost` deletes them.
 */
async function sweep(
  store: StoreWriter,
  nowMs: number,
  pace: Pace,
): Promise<Swept & { readonly needed: IdSet }> {
  const { catalog, isShared } = store;
  const { contents: needed, directories } = await findNeeded(catalog, pace.breathe);
  const swept = isShared ? NOTHING_SWEPT : await dropContents(store, needed, nowMs, pace);
  await dropRecords(store, pace);
  await dropDirectories(store, directories, pace);
  return { ...swept, needed };
}

/**
 * Deletes contents that are in no pack and are needed neither by a version nor by another content. Returns their
 * number.
 */
async function dropLost(store: StoreWriter, needed: IdSet, pace: Pace): Promise<number> {
  const { gc } = store.catalog;
  const rests = new IdSet();
  for (const [, rest] of gc.needs()) rests.add(rest);
  let deleted = 0;
  for (const page of gc.contentUses()) {
    for (const [contentId, recordId] of page) {
      if (recordId !== null || needed.has(contentId) || rests.has(contentId)) continue;
      gc.dropContent(contentId);
      deleted += 1;
    }
    await endSlice(store, pace);
  }
  return deleted;
}

async function dropContents(
  store: StoreWriter,
  needed: IdSet,
  nowMs: number,
  pace: Pace,
): Promise<Swept> {
  const { gc } = store.catalog;
  let objects: Buffer[] = [];
  let [swept, objectBytes] = [0, 0];
  const settle = async (): Promise<void> => {
    if (objects.length > 0) {
      store.writeEvent({ type: 'removed', packs: [], objects, atMs: nowMs });
      objects = [];
    }
    await store.checkpoint();
  };
  for (const page of gc.contentUses()) {
    for (const [contentId] of page) {
      if (needed.has(contentId)) continue;
      const object = gc.dropContent(contentId);
      if (object !== undefined) {
        objects.push(object);
        objectBytes += (await store.backend.size(objectName(object))) ?? 0;
      }
      swept += 1;
      if (swept % CHECKPOINT_CONTENTS === 0) await settle();
    }
    if (pace.isShort()) await settle();
    await pace.breathe();
  }
  await settle();
  return { contents: swept, objectBytes };
}

/** Deletes the rows of records that no content uses. */
async function dropRecords(store: StoreWriter, pace: Pace): Promise<void> {
  const { catalog } = store;
  const used = await measureRecords(catalog, pace.breathe);
  for (const page of catalog.gc.records()) {
    for (const [recordId] of page) if (!used.has(recordId)) catalog.gc.dropRecord(recordId);
    await endSlice(store, pace);
  }
}

async function dropDirectories(store: StoreWriter, needed: IdSet, pace: Pace): Promise<void> {
  const { catalog } = store;
  for (const page of catalog.gc.directories()) {
    for (const directory of page) {
      if (!needed.has(directory)) catalog.gc.dropDirectory(directory);
    }
    await endSlice(store, pace);
  }
}
