/**
 * Joins the stages of a backup:
 *
 *   walk ▸ compare ▸ cut ┬▸ hash ▸ [ask] ▸ (delta) ▸ compress ▸ (encrypt) ▸ send
 *                        └▸ large: hash and compress in chunks, which are sent as they are made
 *
 * Delta is between ask and compress, encrypt between compress and send. A first backup skips ask, and runs hash and
 * compress in one job.
 *
 * The budget limits what is in flight. The walk takes entries from it before it emits them, and the cut stage takes
 * the bytes of a parcel. Both return when the server has received the data. Each stage works on a limited number of
 * items at once.
 */
import {
  concat,
  concatMap,
  filter,
  from,
  lastValueFrom,
  merge,
  of,
  share,
  Subject,
  tap,
} from 'rxjs';
import { asTardisError, type TardisError } from '../errors/index.js';
import { copyRowWithDigest, DIGEST_BYTES, joinPath, RowReader } from '../model/index.js';
import {
  type Failure,
  type JobRunner,
  memoryOf,
  memoryOfContents,
  type WalkOutput,
} from '../workers/index.js';
import { askWhatIsWanted } from './ask.js';
import { Budget } from './budget.js';
import { compareBatch, type CompareResult } from './compare.js';
import { CutStage, type LargeWork, type ParcelWork } from './cut.js';
import { OpenDirectories } from './directories.js';
import { Effort } from './effort.js';
import { Flight } from './flight.js';
import type { PipelineHooks } from './hooks.js';
import { HeldMounts } from './held-mounts.js';
import { FILES_IN_FLIGHT, LargeFiles } from './large.js';
import { countUnread, inconsistency, UnreadableFile } from './large-file.js';
import { type LargeListing, selectPages } from './large-listing.js';
import type { LargeFile, Parcel, Selection } from './parcel.js';
import type { HashedParcel, ReadyParcel } from './parcel-stages.js';
import type { BackupPeer } from './peer.js';
import { ALWAYS_THERE, GONE, LostPlaces, pathsOf } from './presence.js';
import { BackupProgress } from './progress.js';
import { savedReporter } from './report.js';
import type { PipelineSettings } from './settings.js';
import { SpareMemory } from './spare-memory.js';
import { stage, StageCounters, type StageFigures } from './stage.js';
import { itemsOf, walkBatches, type WalkOptions } from './walk.js';

/** Number of batches of directories compared at once. It hides the round trips of a slow link. */
const COMPARE_CONCURRENCY = 64;
/** Above this fraction of its capacity, the memory of recent digests forgets some; the server is queried then. */
const RECENT_FULL_RATIO = 0.6;

export class BackupPipeline {
  readonly progress = new BackupProgress();
  readonly budget: Budget;
  private readonly counters;
  private readonly cutting: CutStage;
  private readonly directories: OpenDirectories;
  private readonly large: LargeFiles;
  private readonly spare = new SpareMemory();
  private readonly flushes = new Subject<undefined>();
  /** Files that turned out to be too large for their parcels. */
  private readonly grown = new Subject<LargeWork>();
  /** First failure of sending a parcel; parcels are not awaited. */
  private failure: TardisError | undefined;
  // If the walk waits and nothing is in flight, the cutter holds the budget, so it emits its rest.
  private readonly flight = new Flight(() => this.flushes.next(undefined));
  private lastSent: Promise<void> = Promise.resolve();
  private doneSlots: number[] = [];
  private doneSettled: boolean[] = [];
  private readonly effort: Effort;
  private readonly settings: PipelineSettings;
  private readonly jobs: JobRunner;
  private readonly peer: BackupPeer;
  private readonly walk: WalkOptions;
  private readonly hooks: PipelineHooks;
  private readonly places: LostPlaces;
  private readonly mounts: HeldMounts;

  constructor(
    jobs: JobRunner,
    peer: BackupPeer,
    walk: WalkOptions,
    settings: PipelineSettings,
    hooks: PipelineHooks,
  ) {
    this.jobs = jobs;
    this.peer = peer;
    this.walk = walk;
    this.hooks = hooks;
    this.places = new LostPlaces(walk.presence ?? ALWAYS_THERE, (lost) => this.note(lost));
    this.mounts = new HeldMounts(peer, (held) => this.note(held));
    const { workers, smallBytes } = settings;
    const orWorkers = (value: number, otherwise: number): number =>
      value === 0 ? otherwise : value;
    const streams = orWorkers(settings.streamConcurrency, Math.max(workers, 1));
    this.counters = {
      walk: new StageCounters('walk', settings.walkConcurrency),
      compare: new StageCounters('compare', COMPARE_CONCURRENCY),
      hash: new StageCounters('hash', orWorkers(settings.hashConcurrency, workers + 1)),
      compress: new StageCounters('compress', orWorkers(settings.compressConcurrency, workers + 1)),
      large: new StageCounters('large', streams),
      delta: new StageCounters('delta', streams),
      send: new StageCounters('send', 1),
    };
    this.budget = new Budget(settings.budgetBytes, settings.budgetItems);
    this.effort = new Effort({ ...settings, smallRawBytes: smallBytes }, () => peer.isEmpty);
    this.settings = settings;
    this.directories = new OpenDirectories((finished, items) => {
      this.doneSlots.push(finished.slot);
      this.doneSettled.push(finished.isSettled);
      if (this.doneSlots.length >= DONE_BATCH) this.flushDone();
      // Messages are received in order. Once the last one is received, all of this directory are.
      this.lastSent.then(
        () => this.budget.items.give(items),
        () => undefined, // the failure is thrown where it is awaited
      );
    });
    this.cutting = new CutStage(this.effort, {
      directories: this.directories,
      budget: this.budget,
      flight: this.flight,
      pagesOf: (slot, listing) => this.pagesOf(slot, listing),
    });
    const options = { ...settings, streams };
    this.large = new LargeFiles(jobs, peer, options, this.budget, this.counters, this.progress);
  }

  /** Allows this many more bytes in flight, on a link with long round trips. */
  widen(bytes: number): void {
    this.budget.bytes.grow(bytes);
    if (bytes > 0) this.large.widen();
  }

  /** Returns the counters of all stages, in pipeline order. */
  figures(): StageFigures[] {
    return Object.values(this.counters).map((counters) => counters.figures());
  }

  /** Runs until the whole tree is backed up. Rejects at the first failure that affects more than one file. */
  async run(): Promise<void> {
    const batches = walkBatches(
      this.jobs,
      this.walk,
      this.budget,
      this.counters.walk,
      this.progress,
      () => this.flight.starve(),
      this.places,
    );
    const compared = from(batches).pipe(
      tap(() => this.flight.enterBatch()),
      stage(this.counters.compare, (batch) => this.compare(batch)),
      tap({ complete: () => this.flushes.complete() }),
    );
    const work = concat(merge(compared, this.flushes), of(undefined)).pipe(
      concatMap((selected) => this.cutting.cut(selected)),
      share(),
    );
    const parcels = work.pipe(
      filter((item): item is ParcelWork => 'parcel' in item),
      stage(this.counters.hash, ({ parcel }) => this.hash(parcel)),
      stage(this.counters.compress, (hashed) => this.compress(hashed)),
      tap({ next: (ready) => this.send(ready), complete: () => this.grown.complete() }),
    );
    const larges = merge(
      work.pipe(filter((item): item is LargeWork => 'large' in item)),
      this.grown,
    ).pipe(
      // More files than are read at once wait in this stage for their answers.
      stage(
        this.counters.large,
        ({ large }) => this.sendLarge(large),
        Math.max(this.counters.large.concurrency, FILES_IN_FLIGHT),
      ),
    );
    try {
      await lastValueFrom(merge(parcels, larges), { defaultValue: undefined });
      // If a parcel fails later, the next request to the peer fails too.
      if (this.failure !== undefined) throw this.failure;
      this.flushDone();
    } catch (error) {
      const failure = asTardisError(error);
      this.budget.fail(failure);
      throw failure;
    }
  }

  private async compare(batch: WalkOutput): Promise<CompareResult> {
    const startMs = performance.now();
    this.peer.owners(batch.owners);
    const failures = batch.failures.filter((failure) => failure.name.length > 0);
    const onDirectory = (path: Buffer, isSame: boolean): void =>
      this.hooks.onDirectory?.(path, isSame);
    const comparing = compareBatch(batch, this.peer, this.progress, onDirectory, this.mounts);
    if (batch.leftOutPaths.length > 0) this.hooks.onLeftOut?.(batch.leftOutPaths);
    this.note(failures); // after the heads, which declare the directories that are named here
    const result = await comparing;
    const elapsedMs = performance.now() - startMs;
    this.counters.compare.count(itemsOf(batch), batch.listings.length, 0, elapsedMs);
    if (result.sameItems > 0) this.budget.items.give(result.sameItems);
    for (const held of result.heldInVain) await this.jobs.run('dropNames', { held });
    return result;
  }

  private pagesOf(slot: number, listing: LargeListing): AsyncGenerator<Selection> {
    return selectPages(this.jobs, this.peer, listing, this.walk.excludes, {
      listing: (...page) => this.mounts.listing(...page),
      owners: (owners) => this.peer.owners(owners),
      failures: (failures) => this.note(failures),
      changed: () => this.directories.unsettle(slot),
    });
  }

  private async hash(parcel: Parcel): Promise<HashedParcel> {
    const startMs = performance.now();
    const { recent } = this.jobs;
    const isForgetting = recent.added > recent.capacity * RECENT_FULL_RATIO;
    const frames = this.peer.isEmpty && !isForgetting ? this.effort.usualFrames : undefined;
    const { input, heldBytes } = parcel;
    const { rawRules, cryptWish: crypt } = this.settings;
    const report = savedReporter(input, this.hooks.onSaved);
    const paths = pathsOf(input);
    const transfer = memoryOf(input.rows, input.rowEnds, input.paths, input.pathEnds, input.slots);
    const memory = frames === undefined ? undefined : this.spare.take();
    if (memory !== undefined) transfer.push(...memoryOf(memory));
    const { output: hashed, busyMs } = await this.jobs.run(
      'hash',
      { parcel: input, frames, memory, rawRules, crypt, keys: this.peer.contentKeys },
      transfer,
    );
    const output = this.places.hashed(hashed, paths);
    report(output);
    const elapsedMs = performance.now() - startMs;
    const hashMs = busyMs - output.compressMs;
    this.counters.hash.count(output.files, output.readBytes, hashMs, elapsedMs - output.compressMs);
    const { compressMs } = output;
    if (frames !== undefined) {
      this.counters.compress.count(output.files, output.readBytes, compressMs, compressMs);
    }
    this.progress.filesRead += output.files;
    this.progress.readBytes += output.readBytes;
    this.progress.holeBytes += output.holeBytes;
    this.progress.filesHad += output.repeats;
    this.note(output.failures);
    this.peer.owners(output.owners);
    for (const { slot, path, row } of output.grown) {
      this.directories.hold(slot);
      this.flight.enter();
      const sizeBytes = new RowReader(row).sizeBytes(0);
      const [directoryPath, copy] = [Buffer.from(path), Buffer.from(row)];
      // Not awaited: it may itself wait for the budget that this parcel holds.
      const large = { slot, directoryPath, row: copy, sizeBytes, hashFirst: false };
      this.grown.next({ large });
    }
    return { output, heldBytes, slots: parcel.slots };
  }

  /** Queries which contents are needed and makes records of them, unless the hash job has made them. */
  private async compress({ output, heldBytes, slots }: HashedParcel): Promise<ReadyParcel> {
    const { rows, rowEnds, contents } = output;
    const outgoing = { slots: output.slots, rows, rowEnds };
    if (contents === undefined) {
      const { records, recordLengths } = output;
      const count = output.files - output.repeats;
      return {
        outgoing: { ...outgoing, records, recordLengths },
        contents: count,
        heldBytes,
        slots,
      };
    }
    const { wanted, count } = await askWhatIsWanted(this.peer, this.jobs.recent, contents);
    this.progress.filesHad += contents.starts.length - count;
    if (count === 0) {
      return { outgoing: { ...outgoing, ...NO_RECORDS }, contents: 0, heldBytes, slots };
    }
    const startMs = performance.now();
    const { sizes } = contents;
    const rawBytes = sizes.reduce((sum, size, index) => sum + wanted[index]! * size, 0);
    const transfer = [...memoryOfContents(contents), ...memoryOf(wanted)];
    const memory = this.spare.take();
    if (memory !== undefined) transfer.push(...memoryOf(memory));
    const frames = this.effort.framesFor(rawBytes);
    const input = { contents, wanted, frames, memory, keys: this.peer.contentKeys };
    const { output: made, busyMs } = await this.jobs.run('compress', input, transfer);
    this.counters.compress.count(count, rawBytes, busyMs, performance.now() - startMs);
    return { outgoing: { ...outgoing, ...made }, contents: count, heldBytes, slots };
  }

  private send({ outgoing, contents, heldBytes, slots }: ReadyParcel): void {
    const startMs = performance.now();
    const sentBytes = outgoing.records?.length ?? 0;
    // From here on only records and rows use memory, so the rest of the budget is returned at once.
    const stillBytes = Math.min(heldBytes, sentBytes + outgoing.rows.length);
    this.budget.bytes.give(heldBytes - stillBytes);
    this.progress.contentsSent += contents;
    this.progress.sentBytes += sentBytes;
    this.lastSent = this.peer.parcel(outgoing);
    this.lastSent.then(
      () => {
        this.counters.send.count(1, sentBytes, 0, performance.now() - startMs);
        this.budget.bytes.give(stillBytes);
        if (outgoing.records !== undefined) this.spare.give(outgoing.records);
        this.flight.leave();
      },
      (error: unknown) => {
        this.failure ??= asTardisError(error);
        this.budget.fail(this.failure);
      },
    );
    for (const slot of slots) this.directories.release(slot);
  }

  private async sendLarge(file: LargeFile): Promise<void> {
    const { slot } = file;
    try {
      const result = await this.large.send(file);
      if (this.places.isDoubtful(file.directoryPath)) throw new UnreadableFile(GONE);
      const { row, digest, incomplete } = result;
      countUnread(this.progress, result);
      if (result.isInconsistent) this.noteLarge(file, 'inconsistent', inconsistency(result));
      else if (result.hasChanged) this.noteLarge(file, 'changed', 'read');
      if (incomplete !== '') this.noteLarge(file, 'incomplete', incomplete);
      this.hooks.onSaved?.(pathOf(file));
      this.progress.filesRead += 1;
      const rows = new RowReader(row);
      let final: Buffer = row;
      if (digest.length > 0) {
        final = Buffer.alloc(row.length + DIGEST_BYTES);
        final = final.subarray(0, copyRowWithDigest(rows, 0, digest, final, 0));
      }
      const slots = Uint32Array.of(slot);
      const rowEnds = Uint32Array.of(final.length);
      this.lastSent = this.peer.parcel({ slots, rows: final, rowEnds, ...NO_RECORDS });
      await this.lastSent;
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      const reason = this.places.isDoubtful(file.directoryPath) ? GONE : error.reason;
      this.noteLarge(file, reason === 'ENOENT' ? 'vanished' : 'unreadable', reason);
    }
    this.directories.release(slot);
    this.flight.leave();
  }

  private noteLarge(file: LargeFile, what: Failure['what'], reason: string): void {
    const name = new RowReader(file.row).name(0);
    this.note([{ slot: file.slot, name, path: pathOf(file), what, reason }]);
  }

  /** Records failures in the set, and reports them. */
  note(failures: readonly Failure[]): void {
    if (failures.length === 0) return;
    for (const { slot } of failures) this.directories.unsettle(slot);
    this.peer.notes(failures);
    this.tell(failures);
  }

  /** Counts and reports failures that cannot be recorded at an entry of the set. */
  tell(failures: readonly Failure[]): void {
    if (failures.length === 0) return;
    for (const { what } of failures) this.progress[what] += 1;
    this.hooks.onFailures(failures);
  }

  private flushDone(): void {
    if (this.doneSlots.length === 0) return;
    this.peer.done(this.doneSlots, this.doneSettled);
    this.doneSlots = [];
    this.doneSettled = [];
  }
}

function pathOf({ directoryPath, row }: LargeFile): Buffer {
  return joinPath(directoryPath, new RowReader(row).name(0));
}

const DONE_BATCH = 64;
const NO_RECORDS = { records: undefined, recordLengths: [] };
