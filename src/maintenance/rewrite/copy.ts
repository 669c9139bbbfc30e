/**
 * Copies a client to another store. The sets keep their numbers, names, times, marks and seals. Data that the target
 * has is not copied again. So a run may be killed at any point, and the next run continues. The source is only read,
 * and sessions and garbage collection may use it meanwhile.
 */
import type { BackupSet } from '../../store/catalog/index.js';
import { Opened } from '../../errors/index.js';
import { areSameMarks, type ContentId, type SetMarks, type SetNumber } from '../../model/index.js';
import { type ClientDirectory, mediumOf } from '../../store/index.js';
import {
  requireNoSecond,
  type SpaceMeter,
  type StoreLimits,
  StoreWriter,
} from '../../store/writer/index.js';
import { PrivateFolder, type System, yieldRegularly } from '../../system/index.js';
import { collectGarbage, lacksParity, protectStore } from '../gc/index.js';
import { RecordCopier } from './copied-records.js';
import { CopiedSets, findNeeded } from './copied-sets.js';
import { readOrigin, requireSameHistory, writeOrigin } from './copy-origin.js';
import { lookAtTarget, pointText, setsAt } from './copy-known.js';
import type { CopySource, TakenSource } from './copy-source.js';
import { type CopyTarget, openTarget } from './copy-target.js';
import type { OldStore } from './old-generation.js';

/** Maximum number of times that a copy begins again because garbage collection or a rebuild has moved its source. */
const MAX_ROUNDS = 5;

export type CopyStep = 'catalog' | 'contents' | 'sets' | 'remove';

/** Reports how far a run is; `of` is undefined if the total is unknown. */
export type CopyProgress = (step: CopyStep, done: number, of: number | undefined) => void;

interface CopyRequest {
  readonly source: CopySource;
  readonly limits: StoreLimits;
  /**
   * True to apply deletions of the source too: delete sets at the target that were deleted at the source, and unlock
   * sets that were unlocked.
   */
  readonly deletes: boolean;
  /** True to keep the marks of sets that are already at the target unchanged. */
  readonly keepsMarks?: boolean;
  /** Minimum share of unneeded data for which a pack of the target is rewritten after deletions. */
  readonly wasteRatio: number;
  readonly signal: AbortSignal;
  readonly onProgress: CopyProgress;
  /** Counts the space that the copy takes; undefined if there is no limit. */
  readonly space?: SpaceMeter | undefined;
}

export interface CopyResult {
  /** Numbers of the sets that this run has copied. */
  readonly sets: readonly SetNumber[];
  /** Number of the newest set if its backup has not ended, so that the next run copies it. */
  readonly leftSet: SetNumber | undefined;
  /** Numbers of the sets that were deleted at the target. */
  readonly deleted: readonly SetNumber[];
  readonly copiedRecords: number;
  readonly copiedBytes: number;
  /** If the source is another store than that of the last copy: the sets of the target that it lacks, which stay. */
  readonly kept?: readonly SetNumber[] | undefined;
  /** Number of versions of files at the target whose contents are damaged or missing. */
  readonly lostVersions: number;
  /** Number of sets at the target. */
  readonly allSets: number;
}

/**
 * Brings the target up to date with the source. Throws COPY_DIFFERS if the target has another history, CLIENT_BUSY if
 * another process uses the target, CATALOG_DAMAGED if a catalog is damaged, DISK_FULL if the target's disk is full, and
 * INTERRUPTED if it is aborted.
 */
export async function copyClient(
  system: System,
  request: CopyRequest & { readonly target: CopyTarget },
): Promise<CopyResult & { readonly isNew: boolean }> {
  const { directory, isNew } = await openTarget(system, request.source.keys(), request.target);
  return { ...(await copyInto(system, request, directory)), isNew };
}

/** Copies as `copyClient` does, to a client that exists and has the keys of the source. Throws the same errors. */
export async function copyInto(
  system: System,
  request: CopyRequest,
  target: ClientDirectory,
): Promise<CopyResult> {
  const { source, deletes, keepsMarks = false } = request;
  const { target: there, done } = await lookAtTarget(system, target, { deletes, keepsMarks });
  const news = await source.news(done && { clientId: done.clientId, point: done.source });
  if (news === 'none') return NOTHING;
  const isProtected = news === 'nothing new' && !(await isUnprotected(system, there, request));
  if (isProtected) return { ...NOTHING, allSets: setsAt(system, there) };
  try {
    return await copyUsed(system, request, there);
  } catch (error) {
    throw source.explain(error);
  }
}

/** True if an earlier copy was cut off before it had made all parity. */
async function isUnprotected(
  system: System,
  target: ClientDirectory,
  { limits }: CopyRequest,
): Promise<boolean> {
  if ((limits.parityPercent ?? 0) === 0 || target.bucket !== undefined) return false;
  using backend = mediumOf(system, target).records();
  return lacksParity(backend);
}

const NOTHING: CopyResult = {
  sets: [],
  leftSet: undefined,
  deleted: [],
  copiedRecords: 0,
  copiedBytes: 0,
  lostVersions: 0,
  allSets: 0,
};

async function copyUsed(
  system: System,
  request: CopyRequest,
  target: ClientDirectory,
): Promise<CopyResult> {
  const breathe = yieldRegularly(request.signal);
  const store = await StoreWriter.open(system, target, request.limits, request.space);
  let result: CopyResult | undefined;
  try {
    await requireNoSecond(system, target);
    for (let round = 1; result === undefined; round += 1) {
      using run = await Run.open(system, request, { target, store }, round > 1);
      result = await run.all(round === MAX_ROUNDS);
    }
    await protectStore(system, store, async () => breathe());
    request.space?.settle(store.packs.appendedBytes + store.parity.bytes);
    store.close();
  } catch (error) {
    throw store.closeAfterFailure(error);
  }
  if (result.deleted.length > 0) await freeDeleted(system, request, target);
  return result;
}

/** Frees the data that only deleted sets needed. Frames are copied unchanged, since there may be no keys. */
async function freeDeleted(
  system: System,
  { limits, wasteRatio, signal, onProgress }: CopyRequest,
  target: ClientDirectory,
): Promise<void> {
  await collectGarbage(system, target, {
    limits,
    graceMs: 0, // 0, since a reader that misses a file looks for its new place
    wasteRatio,
    frames: undefined,
    isThorough: false,
    signal,
    onProgress: (_, done) => onProgress('remove', done, undefined),
  });
}

interface Ends {
  readonly target: ClientDirectory;
  readonly store: StoreWriter;
}

/** One round of a copy, from a snapshot of the source's catalog. */
class Run implements Disposable {
  private readonly opened: Opened;
  private readonly taken: TakenSource;
  private readonly old: OldStore;

  private constructor(
    private readonly system: System,
    private readonly request: CopyRequest,
    private readonly ends: Ends,
    { opened, taken }: { readonly opened: Opened; readonly taken: TakenSource },
  ) {
    this.opened = opened;
    this.taken = taken;
    this.old = taken.old;
  }

  /**
   * Opens source and target. `isAgain` is true if records were moved during an earlier round. Throws CATALOG_DAMAGED if
   * the source's catalog is damaged, since damage must not be copied.
   */
  static async open(
    system: System,
    request: CopyRequest,
    ends: Ends,
    isAgain: boolean,
  ): Promise<Run> {
    using opened = new Opened();
    const folder = opened.add(new PrivateFolder(system), (one) => one.remove());
    try {
      const taken = await request.source.take(folder, isAgain);
      opened.add(taken.old, (one) => one.close());
      return new Run(system, request, ends, { opened: opened.move(), taken });
    } catch (error) {
      throw folder.explain(error);
    }
  }

  /**
   * Copies everything. Returns undefined if records could not be read because the source has changed meanwhile. With
   * `isLast`, such records are counted as lost instead.
   */
  async all(isLast: boolean): Promise<CopyResult | undefined> {
    const { system, old, ends, request } = this;
    const { store, target } = ends;
    const { signal, onProgress, source } = request;
    const sourceId = this.taken.clientId;
    const origin = await readOrigin(system, target);
    const both = { source: old.catalog, sourceId, target: store.catalog, origin };
    const kept = requireSameHistory(both, request.deletes);
    const { missing, leftSet } = this.missing();
    const isFirst = store.catalog.sets.all().length === 0;
    const upToSet = old.catalog.state.readCounters().set;
    store.raiseCounters(old.catalog);
    if (origin?.upToSet !== upToSet || origin.clientId !== sourceId) {
      await store.checkpoint(); // so a later backup to the target uses higher numbers
      await writeOrigin(system, target, { clientId: sourceId, upToSet });
    }
    const wanted = await findNeeded(old, missing, signal);
    const { needed } = wanted;
    const all = wanted.neededCount + this.addMissing(needed);
    const copier = new RecordCopier(old, store, { needed, isEncrypting: source.isEncrypting });
    let done = 0;
    onProgress('contents', done, undefined);
    await copier.copyNew(signal, (isNeeded) => {
      if (isNeeded) onProgress('contents', (done += 1), all);
    });
    if (copier.hasLost && !isLast && (await this.taken.isStale())) return undefined;
    const sets = new CopiedSets(old, store, copier);
    if (isFirst) sets.bringSettings();
    this.settle();
    await sets.copy(wanted, signal, (count) => {
      onProgress('sets', count, missing.length);
      this.settle();
    });
    if (leftSet === undefined) sets.copyFlags();
    sets.bringDoubt();
    if (request.keepsMarks !== true) this.bringMarks();
    const deleted = request.deletes ? this.deleteGone() : [];
    await store.checkpoint();
    const { unreadableVersions: lostVersions } = store.catalog.history;
    if (leftSet === undefined && lostVersions === 0) {
      const done = { source: this.taken.point, target: pointText(store.commitPoint) };
      const { deletes, keepsMarks = false } = request;
      const note = { clientId: sourceId, upToSet, done: { ...done, deletes, marks: !keepsMarks } };
      await writeOrigin(system, target, note);
    }
    return {
      sets: missing.map(({ set }) => set),
      leftSet,
      deleted,
      kept,
      copiedRecords: copier.copied.records,
      copiedBytes: copier.copied.bytes,
      lostVersions,
      allSets: store.catalog.sets.listed().length,
    };
  }

  /**
   * Returns the sets that are newer than those of the target. The newest set of the target is included if it was
   * incomplete when it was copied and is complete now. The newest set of the source is left for the next run while a
   * session may still be writing it.
   */
  private missing(): { missing: readonly BackupSet[]; leftSet: SetNumber | undefined } {
    const last = this.ends.store.catalog.sets.all().at(-1);
    const isPartly = (set: BackupSet): boolean =>
      set.set === last?.set && last.state !== 'complete' && set.state === 'complete';
    const missing = this.old.catalog.sets
      .listed()
      .filter((set) => set.set > (last?.set ?? 0) || isPartly(set));
    const newest = missing.at(-1);
    const isOpen = newest?.state === 'unfinished' && newest.set > this.taken.endedUpTo;
    return { leftSet: isOpen ? missing.pop()?.set : undefined, missing };
  }

  /**
   * Adds those contents to the needed ones that the target lacks although its entries name them. Returns their number.
   */
  private addMissing(needed: { has(id: ContentId): boolean; add(id: ContentId): void }): number {
    const { contents } = this.ends.store.catalog;
    let added = 0;
    for (const page of contents.missing()) {
      for (const { digest } of page) {
        const found = this.old.catalog.contents.find(digest);
        if (found?.isStored !== true || needed.has(found.contentId)) continue;
        needed.add(found.contentId);
        added += 1;
      }
    }
    return added;
  }

  /** Counts the written bytes. Throws QUOTA_EXCEEDED if they exceed the limit. */
  private settle(): void {
    const { space, packs, parity } = this.ends.store;
    space?.settle(packs.appendedBytes + parity.bytes);
    space?.requireRoom();
  }

  /** Copies the marks of sets at the source. A lock stays at the target, unless deletions are copied too. */
  private bringMarks(): void {
    const { store } = this.ends;
    for (const { set, marks } of store.catalog.sets.listed()) {
      const theirs = this.old.catalog.sets.find(set);
      if (theirs === undefined) continue;
      const isLocked = theirs.marks.isLocked || (marks.isLocked && !this.request.deletes);
      const wanted: SetMarks = { ...theirs.marks, isLocked };
      if (!areSameMarks(marks, wanted))
        store.writeEvent({ type: 'set-marked', set, marks: wanted });
    }
  }

  /** Deletes sets that are gone at the source. Keeps locked sets, the newest complete set and the sets after it. */
  private deleteGone(): SetNumber[] {
    const theirs = new Set(this.old.catalog.sets.listed().map(({ set }) => set));
    const { store } = this.ends;
    const mine = store.catalog.sets.listed();
    const newest = mine.findLast(({ state }) => state === 'complete')?.set ?? 0;
    const sets = mine
      .filter(({ set, marks }) => !theirs.has(set) && set < newest && !marks.isLocked)
      .map(({ set }) => set);
    if (sets.length > 0) store.writeEvent({ type: 'sets-deleted', sets });
    return sets;
  }

  [Symbol.dispose](): void {
    this.opened[Symbol.dispose]();
  }
}
