/**
 * Restores paths: locate ▸ fetch ▸ (decrypt) ▸ decompress ▸ (patch) ▸ write. The tree is walked in the catalog.
 * Directories and links are created in this thread. Jobs in the pool write the files, in the order of the packs.
 * Directories get their metadata last, deepest first. Everything is opened beneath the target. Existing entries are
 * inspected first, but not in a directory that was just created.
 */
import { from, lastValueFrom, mergeMap } from 'rxjs';
import { type History, KeptReads } from '../history/index.js';
import { fromWire, systemCode, TardisError, toWire, type WireError } from '../errors/index.js';
import { displayName, EntryType, joinPath, liesBelow } from '../model/index.js';
import { type FailedAttribute, type System, wallMs } from '../system/index.js';
import { attributeNotSet, type JobRunner, RestoreHow, targetFull } from '../workers/index.js';
import {
  isShared,
  journalDirectories,
  type RestoreIdentity,
  RestoreJournal,
  restoreId,
  type Resume,
  temporaryPrefix,
} from './journal.js';
import { CompactFile } from './compact-file.js';
import { isReadInRanges, runJobOf } from './job-source.js';
import { FileQueue } from './file-queue.js';
import { FoldedNames } from './folded-names.js';
import { OwnerMap } from './owner-map.js';
import { LinkGroups } from './links.js';
import { type Place, RestorePlaces, type PlacedAs } from './places.js';
import { RestorePolicy } from './policy.js';
import type { RestoreFailure, RestoreProgress } from './progress.js';
import type { RestoreMeans, RestoreRequest, RestoreResult } from './request.js';
import { RestoreTarget, explainedWhenFull } from './target.js';
import { type DirectoryFacts, TreeWalk, type Visited, type WalkVisitor } from './walk.js';
import { type FileToRestore, pathsOfJob, type RestoreJob } from './plan.js';

/** Milliseconds for which the walk runs before it yields to the workers. */
const SLICE_MS = 4;
/** Maximum number of jobs whose records are fetched ahead while the workers run others; only for a remote store. */
const MOST_FETCHING_JOBS = 8;

/** Restores some paths. Throws NO_SUCH_PATH and NO_ACCESS before anything is written. */
export async function runRestore(
  system: System,
  means: RestoreMeans,
  request: RestoreRequest,
): Promise<RestoreResult> {
  const { history } = means;
  // Only root can set other owners, so other users need no names of owners.
  const byNumber = request.numericIds === true || process.geteuid?.() !== 0;
  const owners = new OwnerMap(system, byNumber ? [] : await history.owners(request.set));
  const restore = new Restore(system, means, request, owners);
  const walk = await TreeWalk.over(history, request, restore);
  try {
    await restore.run(walk);
  } catch (error) {
    throw explainedWhenFull(system, request.output, error);
  } finally {
    restore.close();
  }
  return { failures: restore.failures, resume: restore.resume, losses: restore.losses };
}

class Restore implements WalkVisitor<Place> {
  readonly failures: RestoreFailure[] = [];
  losses: readonly string[] = [];
  private opened: RestoreTarget | undefined;
  /** The tree of `RestoreRequest.earlier`. */
  private earlier: RestoreTarget | undefined;
  private journal: RestoreJournal | undefined;
  private places!: RestorePlaces;
  private readonly policy: RestorePolicy;
  private readonly links: LinkGroups;
  private readonly failedNames = new Set<string>();
  private readonly refusals = new Map<string, WireError>();
  private readonly queue: FileQueue;
  /** Reads the records; undefined if jobs can read them themselves. */
  private readonly records: KeptReads | undefined;
  private lastBreathMs = 0;
  private readonly history: History;
  private readonly jobs: JobRunner;
  private readonly identity: RestoreIdentity;
  private readonly progress: RestoreProgress;
  private readonly signal: AbortSignal | undefined;
  /** Memory by which jobs in other threads learn that the restore is stopped. */
  private readonly stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  private readonly onAbort = (): void => void Atomics.store(this.stop, 0, 1);

  constructor(
    private readonly system: System,
    { history, jobs, progress, signal }: RestoreMeans,
    private readonly request: RestoreRequest,
    owners: OwnerMap,
  ) {
    this.history = history;
    this.jobs = jobs;
    this.progress = progress;
    this.signal = signal;
    signal?.addEventListener('abort', this.onAbort, { once: true });
    this.policy = new RestorePolicy(request.policy ?? {}, wallMs(system.clock), owners);
    this.links = new LinkGroups(request.hardLinks !== false);
    const isHere = history.directory !== undefined;
    this.records = isHere ? undefined : new KeptReads(system, history.objects());
    this.queue = new FileQueue(history, {
      workers: request.workers,
      rows: this.policy,
      records: this.records,
      failed: ({ directory, name }, error) => {
        this.fail(joinPath(directory.path, name), error, undefined);
      },
    });
    const { set, paths, hierarchy = false } = request;
    this.identity = { client: history.client, set, paths, hierarchy };
  }

  get resume(): Resume | undefined {
    return this.policy.resume;
  }

  private get isDry(): boolean {
    return this.request.dryRun === true;
  }

  async run(walk: TreeWalk<Place>): Promise<void> {
    await this.begin();
    const fetching = isReadInRanges(this.history) ? MOST_FETCHING_JOBS : 0;
    const concurrency = this.request.workers * 2 + 2 + fetching;
    const work = from(this.jobsFor(walk)).pipe(mergeMap((job) => this.runJob(job), concurrency));
    try {
      await lastValueFrom(work, { defaultValue: undefined });
    } catch (error) {
      this.queue.fail(error as Error);
      throw error;
    }
    for (const link of this.links.toMake(this.places.target)) {
      this.attempt(joinPath(link.at.directory, link.at.name), () => {
        const outcome = this.links.make(link, this.places, this.policy, this.failedNames);
        this.progress[outcome === 'made' ? 'files' : outcome] += 1;
      });
    }
    const attempt = (path: Buffer, work: () => FailedAttribute[]): void =>
      this.attempt(path, () => this.reportMissing(path, work()));
    this.places.finish(attempt, this.failures);
    await this.places.sync(); // before the journal is removed
    const toRepeat = this.request.isFinal === true ? [] : this.failures;
    await this.journal?.end(toRepeat, this.places.hasUnfinished);
    // A further run of this restore could not change these, so the journal has nothing of them.
    for (const { path, error, digest } of walk.unsaved) this.reportFailure(path, error, digest);
  }

  private async begin(): Promise<void> {
    const { system, request, policy, identity } = this;
    const prefix = temporaryPrefix(restoreId(identity));
    const { metadataOptions } = policy;
    const options = { metadataOptions, prefix, isDry: this.isDry };
    const target = new RestoreTarget(system, request.output, options);
    this.opened = target;
    if (request.earlier !== undefined) {
      const reading = { metadataOptions, prefix, isDry: true };
      this.earlier = new RestoreTarget(system, request.earlier.directory, reading);
    }
    for (const directory of journalDirectories(identity)) {
      const fd = target.hold(directory);
      if (fd === undefined || (directory.length > 0 && isShared(fd))) continue;
      if (this.isDry) policy.resume = RestoreJournal.peek(system, fd, identity);
      else this.journal = await RestoreJournal.begin(system, fd, identity);
      policy.resume ??= this.journal?.resume;
      if (policy.resume !== undefined || this.journal !== undefined) break;
    }
    const names =
      this.journal?.isFolded === true ? (request.foldedNames ?? new FoldedNames()) : undefined;
    this.places = new RestorePlaces(target, policy, this.progress, names);
    if (!this.isDry) this.losses = target.losses(policy.requestedLimits);
  }

  close(): void {
    this.signal?.removeEventListener('abort', this.onAbort); // an export has one signal for all sets
    this.records?.close();
    this.journal?.close();
    this.opened?.close();
    this.earlier?.close();
  }

  // --- the walk --------------------------------------------------------------------------------------

  directory(plain: DirectoryFacts): Place {
    return this.places.open(plain);
  }

  leftOut(): void {
    this.progress.leftOut += 1;
  }

  failed(path: Buffer, error: WireError | Error): void {
    this.fail(path, toWire(error), undefined);
  }

  visit(visited: Visited<Place>, made: Place | undefined): boolean {
    const { directory, name } = visited;
    try {
      if (this.request.guarded !== undefined) this.requireOpen(visited);
      if (made !== undefined) return this.places.make(made);
      if (!this.places.make(directory)) {
        if (this.policy.keepsSilently) return false;
        throw new TardisError('TARGET_EXISTS', 'something else is there in place of its directory');
      }
      this.places.claimName(directory, name);
      if (visited.entry.type === EntryType.file) this.addFile(visited);
      else this.makeOther(visited);
      return true;
    } catch (error) {
      this.failOrEnd(joinPath(directory.path, name), error);
      return false;
    }
  }

  /** Throws TARGET_GUARDED for what the request guards, and for anything but a directory in place of one above that. */
  private requireOpen({ entry, directory, name }: Visited<Place>): void {
    const path = joinPath(this.places.target.path, joinPath(directory.path, name));
    const isAbove = (one: Buffer): boolean =>
      entry.type !== EntryType.directory && liesBelow(one, path);
    for (const one of this.request.guarded!) {
      if (!one.equals(path) && !liesBelow(path, one) && !isAbove(one)) continue;
      throw new TardisError('TARGET_GUARDED', `${displayName(one)} is a place of this program`);
    }
  }

  /** Yields to the event loop after SLICE_MS of the walk, so that idle workers get jobs. */
  async breathe(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.lastBreathMs < SLICE_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.lastBreathMs = performance.now();
  }

  private makeOther(visited: Visited<Place>): void {
    const { entry, directory, name } = visited;
    const at = { directory: directory.path, name };
    if (this.links.isFurther(visited, at)) return;
    const how = this.settle(visited);
    if (typeof how !== 'number' || this.isTakenOver(visited)) return;
    if (!this.isDry) {
      const { target } = this.places;
      const row = this.policy.row(entry.metadata, name);
      const mayReplace = (how & RestoreHow.replace) !== 0;
      const missing =
        entry.linkTarget === undefined
          ? target.makeNode(at, row, mayReplace)
          : target.makeSymlink(at, entry.linkTarget, row, mayReplace);
      this.reportMissing(joinPath(directory.path, name), missing);
    }
    this.progress[entry.type === EntryType.symlink ? 'links' : 'files'] += 1;
  }

  private addFile(visited: Visited<Place>): void {
    const { entry, directory, name } = visited;
    const at = { directory: directory.path, name };
    if (this.links.isFurther(visited, at)) return;
    const how = this.settle(visited);
    if (typeof how !== 'number' || this.isTakenOver(visited)) return;
    const isToCompare = (how & RestoreHow.compare) !== 0;
    if (this.isDry && !isToCompare) {
      this.progress.files += 1;
      this.progress.bytes += entry.sizeBytes;
      return;
    }
    const bits = this.isDry ? how | RestoreHow.pretend : how;
    this.queue.add(new CompactFile(entry, { directory: directory.at, name, how: bits }));
  }

  /** True if an entry became a hard link to the one of the earlier tree, which is equal. */
  private isTakenOver({ entry, directory, name }: Visited<Place>): boolean {
    const { earlier, policy, progress } = this;
    const at = { directory: directory.path, name };
    if (
      earlier === undefined ||
      this.request.earlier?.isEqual(joinPath(at.directory, name)) !== true
    ) {
      return false;
    }
    const isRight = (row: Buffer): boolean => policy.isUntouched(entry, row);
    if (!this.places.target.linkFrom(earlier, at, isRight)) return false;
    progress.unchanged += 1;
    return true;
  }

  private settle(visited: Visited<Place>): PlacedAs {
    let how: PlacedAs = 'kept';
    try {
      how = this.places.settle(visited.entry, visited.directory, visited.name);
      return how;
    } finally {
      this.links.settled(visited, how);
    }
  }

  // --- files ---------------------------------------------------------------------------------------

  private async *jobsFor(walk: TreeWalk<Place>): AsyncGenerator<RestoreJob> {
    for await (const _ of walk.run(this.signal)) yield* this.queue.jobsNow();
    yield* this.queue.remainingJobs();
  }

  private async runJob(job: RestoreJob): Promise<void> {
    await this.queue.ready(job);
    const gone = await this.runOnce(job, false);
    this.queue.ended(job);
    if (gone.length === 0) return;
    // The records of these files were removed after they were located, or files that are copied were changed.
    for (const second of await this.queue.planAgain(gone)) await this.runOnce(second, true);
  }

  /** Runs a job. Returns the files whose records were removed; with `reportsGone`, they are failures instead. */
  private async runOnce(job: RestoreJob, reportsGone: boolean): Promise<FileToRestore[]> {
    const gone: FileToRestore[] = [];
    const { target } = this.places;
    const output = await runJobOf(this.history, this.records, this.jobs, {
      ...job.input,
      directories: pathsOfJob(job),
      takenBytes: job.takenBytes,
      target: target.place,
      metadataOptions: target.metadataOptions,
      temporaryPrefix: target.prefix,
      stop: this.stop,
      keys: this.history.contentKeys,
    });
    this.progress.files += output.files;
    this.progress.bytes += output.bytes;
    this.progress.unchanged += output.unchanged;
    for (const { file, isRestored, digest, error } of output.failures) {
      const { directory, name, how } = job.files[file]!;
      // No other file can be read either, or is to be.
      if (['NO_SUCH_STORE', 'INTERRUPTED'].includes(error.code)) throw fromWire(error);
      if (error.context['isGone'] === true && !reportsGone) {
        gone.push(job.files[file]!);
        continue;
      }
      if (isRestored) {
        this.reportFailure(joinPath(directory.path, name), error, undefined);
        continue;
      }
      const isCompared = (how & (RestoreHow.compare | RestoreHow.begun)) !== 0;
      if (error.code === 'TARGET_EXISTS' && isCompared && this.policy.keepsSilently) {
        this.progress.kept += 1;
        this.failedNames.add(joinPath(directory.path, name).toString('latin1'));
        continue;
      }
      const isDamage = error.code === 'CONTENT_DAMAGED' || error.code === 'RECORD_DAMAGED';
      // For a file in parts, the digest is that of the damaged part, since the other parts need not be sent again.
      const damaged = isDamage && digest !== undefined ? Buffer.from(digest) : undefined;
      this.fail(joinPath(directory.path, name), error, damaged);
    }
    return gone;
  }

  // --- failures ------------------------------------------------------------------------------------

  private attempt(full: Buffer, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.failOrEnd(full, error);
    }
  }

  /** Records the failure of one entry, which does not end the restore. Throws if the disk is full, or for a bug. */
  private failOrEnd(full: Buffer, error: unknown): void {
    const targetIsFull = targetFull(error);
    if (targetIsFull !== undefined) throw targetIsFull;
    const code = systemCode(error);
    if (code === undefined && !(error instanceof TardisError)) throw error;
    const isThere = code === 'EEXIST' || code === 'EISDIR';
    const wire = this.places.target.explain(full, error);
    this.fail(full, isThere ? { ...wire, code: 'TARGET_EXISTS' } : wire, undefined);
  }

  private fail(full: Buffer, error: WireError, digest: Buffer | undefined): void {
    this.failedNames.add(full.toString('latin1'));
    this.reportFailure(full, error, digest);
  }

  private reportFailure(full: Buffer, error: WireError, digest: Buffer | undefined): void {
    this.progress.failures += 1;
    this.failures.push({ path: full, error: this.shared(error), digest });
  }

  /** Returns one object for equal errors of metadata, since all entries of a restore may have the same. */
  private shared(error: WireError): WireError {
    if (error.code !== 'ATTRIBUTE_NOT_SET') return error;
    const key = `${error.message} ${String(error.context['cause'])}`;
    const known = this.refusals.get(key) ?? error;
    this.refusals.set(key, known);
    return known;
  }

  /** Reports attributes that could not be set; the file exists without them. */
  private reportMissing(full: Buffer, missing: readonly FailedAttribute[]): void {
    for (const attribute of missing)
      this.reportFailure(full, attributeNotSet(attribute), undefined);
  }
}
