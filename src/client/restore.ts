/**
 * Restoring: locate ▸ fetch ▸ (decrypt) ▸ decompress ▸ (patch) ▸ write. The tree is walked in the
 * catalog; directories and links are made here, files by jobs in the pool, in the order of the packs.
 * Directories get their metadata last, deepest first. Everything is opened beneath the target.
 */
import { from, lastValueFrom } from 'rxjs';
import { type Archive, type ArchiveEntry, rootAbove } from '../archive/index.js';
import { systemCode, TardisError, toWire, type WireError } from '../errors/index.js';
import { EntryType, joinPath, lastComponent } from '../model/index.js';
import { Credit } from '../transport/index.js';
import { stage, StageCounters } from '../pipeline/index.js';
import type { FailedAttribute, System } from '../system/index.js';
import { OwnerMap } from './owner-map.js';
import { RestoreTarget, type TargetName } from './restore-target.js';
import type { JobRunner, RestoreInput } from '../workers/index.js';
import {
  type FileToRestore,
  type LocatedFile,
  PackOrder,
  planJobs,
  type RestoreJob,
} from './restore-plan.js';

export interface RestoreRequest {
  readonly set: number;
  /** Absolute paths as they were backed up. */
  readonly paths: readonly Buffer[];
  readonly output: Buffer;
  readonly overwrite: boolean;
  readonly workers: number;
  /** Owners by their numbers only, whatever their names are here. */
  readonly numericIds: boolean;
}

export interface RestoreProgress {
  directories: number;
  files: number;
  links: number;
  bytes: number;
  failures: number;
}

export interface RestoreFailure {
  readonly path: Buffer;
  readonly error: WireError;
  /** The content (or part of one) that is damaged, if that is what is wrong. */
  readonly digest: Buffer | undefined;
}

/** Entries of a directory read at once. */
const PAGE_ENTRIES = 2048;
/** Files collected before they are put in the order of the packs. */
const WINDOW_FILES = 1024;
/** The walk works this long without looking at the workers. */
const SLICE_MS = 4;
/** Files put aside because their contents lie far back. */
const MAX_STRAYS = 16_384;
/** Decoded bytes of the jobs that wait or run, for each worker; a job that waits holds only names. */
const JOB_BYTES_PER_WORKER = 64 << 20;
const FIRST_NAME = Buffer.alloc(0);

interface DirectoryToFinish {
  readonly path: Buffer;
  readonly row: Buffer;
}

/** A path that is wanted, with the number of its root. */
interface Wanted {
  readonly entry: ArchiveEntry;
  readonly name: Buffer;
  readonly root: number;
}

/** A directory of the catalog whose entries are still to be restored to `path`. */
interface OpenDirectory {
  readonly root: number;
  readonly directory: number;
  readonly path: Buffer;
}

interface HardLink {
  readonly at: TargetName;
  readonly existing: TargetName;
}

/** Restores some paths. Throws NO_SUCH_PATH before anything is written. */
export async function runRestore(
  system: System,
  archive: Archive,
  jobs: JobRunner,
  request: RestoreRequest,
  progress: RestoreProgress,
  signal?: AbortSignal,
): Promise<RestoreFailure[]> {
  const wanted: Wanted[] = [];
  const roots = await archive.roots(request.set);
  for (const wantedPath of request.paths) {
    const entry = await archive.find(wantedPath, request.set);
    if (entry === undefined) {
      throw new TardisError(
        'NO_SUCH_PATH',
        `the set ${request.set} has no "${wantedPath.toString()}"`,
      );
    }
    const root = rootAbove(roots, wantedPath)?.root.root ?? 0;
    wanted.push({ entry, name: lastComponent(wantedPath), root });
  }
  // Only root can give anything away.
  const byNumber = request.numericIds || process.geteuid?.() !== 0;
  const owners = new OwnerMap(system, byNumber ? [] : await archive.owners(request.set));
  const restore = new Restore(system, archive, jobs, request, owners, progress, signal);
  try {
    await restore.run(wanted);
  } finally {
    restore.close();
  }
  return restore.failures;
}

class Restore {
  readonly failures: RestoreFailure[] = [];
  private readonly target: RestoreTarget;
  private readonly directories: DirectoryToFinish[] = [];
  private readonly links: HardLink[] = [];
  private readonly failedNames = new Set<string>();
  /** The first restored name of each link group, by root, inode and content. */
  private readonly linked = new Map<string, TargetName>();
  private readonly inFlight: Credit;
  private window: FileToRestore[] = [];
  private lastBreathMs = 0;
  private readonly order = new PackOrder();
  private readonly strays: LocatedFile[] = [];
  private readonly archive: Archive;
  private readonly jobs: JobRunner;
  private readonly request: RestoreRequest;
  private readonly owners: OwnerMap;
  private readonly progress: RestoreProgress;
  private readonly signal: AbortSignal | undefined;

  constructor(
    system: System,
    archive: Archive,
    jobs: JobRunner,
    request: RestoreRequest,
    owners: OwnerMap,
    progress: RestoreProgress,
    signal: AbortSignal | undefined,
  ) {
    this.owners = owners;
    this.archive = archive;
    this.jobs = jobs;
    this.request = request;
    this.progress = progress;
    this.signal = signal;
    this.target = new RestoreTarget(system, request.output, request.overwrite);
    this.inFlight = new Credit(Math.max(request.workers, 1) * JOB_BYTES_PER_WORKER);
  }

  async run(wanted: readonly Wanted[]): Promise<void> {
    const counters = new StageCounters('restore', this.request.workers * 2 + 2);
    const work = from(this.jobsFor(wanted)).pipe(stage(counters, (job) => this.runJob(job)));
    try {
      await lastValueFrom(work, { defaultValue: undefined });
    } catch (error) {
      this.inFlight.fail(error as Error);
      throw error;
    }
    for (const { at, existing } of this.links) {
      this.attempt(joinPath(at.directory, at.name), () => {
        // What has that name may be somebody else's.
        if (this.failedNames.has(joinPath(existing.directory, existing.name).toString('latin1'))) {
          throw new TardisError('TARGET_EXISTS', 'the file it is linked to was not restored');
        }
        this.target.makeLink(at, existing);
        this.progress.files += 1;
      });
    }
    for (const directory of this.directories.toReversed()) {
      this.attempt(directory.path, () =>
        this.tellMissing(
          directory.path,
          this.target.finishDirectory(directory.path, directory.row),
        ),
      );
    }
  }

  close(): void {
    this.target.close();
  }

  /** Walks what is wanted, making directories and links on the way; yields jobs for the files. */
  private async *jobsFor(wanted: readonly Wanted[]): AsyncGenerator<RestoreJob> {
    const stack: OpenDirectory[] = [];
    for (const { entry, name, root } of wanted.toReversed()) {
      this.visit(entry, root, FIRST_NAME, name, stack);
    }
    for (;;) {
      const next = stack.pop();
      if (next === undefined) break;
      const below: typeof stack = [];
      let after: Buffer = FIRST_NAME;
      for (;;) {
        if (this.signal?.aborted === true) throw new TardisError('INTERRUPTED', 'interrupted');
        const page = await this.archive.list({
          directory: next.directory,
          set: this.request.set,
          after,
          limit: PAGE_ENTRIES,
          withDigests: false,
        });
        await this.breathe();
        for (const entry of page) this.visit(entry, next.root, next.path, entry.name, below);
        if (this.window.length >= WINDOW_FILES) yield* this.flushWindow(false);
        if (page.length < PAGE_ENTRIES) break;
        after = page.at(-1)!.name;
      }
      for (const directory of below.toReversed()) stack.push(directory);
    }
    yield* this.flushWindow(true);
  }

  /** Lets finished jobs be followed by new ones: the walk must not keep the workers waiting. */
  private async breathe(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.lastBreathMs < SLICE_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.lastBreathMs = performance.now();
  }

  /** `name` empty: the entry's contents go into the output directory itself. */
  private visit(
    entry: ArchiveEntry,
    root: number,
    directory: Buffer,
    name: Buffer,
    stack: OpenDirectory[],
  ): void {
    const full = joinPath(directory, name);
    this.attempt(full, () => {
      switch (entry.type) {
        case EntryType.directory:
          if (name.length > 0) {
            this.target.makeDirectory({ directory, name });
            this.directories.push({
              path: full,
              row: this.owners.row(entry.metadata, name, undefined),
            });
            this.progress.directories += 1;
          }
          if (entry.childId !== undefined) {
            stack.push({ root, directory: entry.childId, path: full });
          }
          return;
        case EntryType.file:
          if (!this.isLinked(entry, root, { directory, name })) {
            this.window.push({ entry, directory, name });
          }
          return;
        default:
          if (!this.isLinked(entry, root, { directory, name })) {
            this.makeOther(entry, { directory, name });
          }
      }
    });
  }

  /** Makes what is neither a directory nor a regular file. */
  private makeOther(entry: ArchiveEntry, at: TargetName): void {
    const row = this.owners.row(entry.metadata, at.name, undefined);
    const full = joinPath(at.directory, at.name);
    if (entry.linkTarget === undefined) this.tellMissing(full, this.target.makeNode(at, row));
    else this.tellMissing(full, this.target.makeSymlink(at, entry.linkTarget, row));
    if (entry.type === EntryType.symlink) this.progress.links += 1;
    else this.progress.files += 1;
  }

  /** Names of one link group become links if all else agrees too; the first is restored. */
  private isLinked(entry: ArchiveEntry, root: number, at: TargetName): boolean {
    if (entry.linkCount < 2) return false;
    // The inode alone does not tell: several file systems may lie below one root.
    const { inode, ctimeNs, birthTimeNs, contentId, sizeBytes, type } = entry;
    const key = [root, inode, ctimeNs, birthTimeNs, type, contentId ?? 0, sizeBytes].join('/');
    const existing = this.linked.get(key);
    if (existing === undefined) this.linked.set(key, at);
    else this.links.push({ at, existing });
    return existing !== undefined;
  }

  /** Attributes that could not be put: the file is there without them. */
  private tellMissing(full: Buffer, missing: readonly FailedAttribute[]): void {
    for (const { name, code } of missing) {
      const message = `its attribute "${name}" could not be set`;
      const error = { code: 'ATTRIBUTE_NOT_SET', message, context: { cause: code } } as const;
      this.progress.failures += 1;
      this.failures.push({ path: full, error, digest: undefined });
    }
  }

  /**
   * Jobs for the files of the window. A file whose content lies far behind what has been restored
   * already (a copy of an earlier file, mostly) would have a whole frame decoded once more for itself:
   * such strays are put aside and restored together, in the order of the packs.
   */
  private async *flushWindow(isLast: boolean): AsyncGenerator<RestoreJob> {
    const files = this.window;
    this.window = [];
    const located = await this.locate(files);
    const inOrder = located.filter((file) => {
      const isStray = this.order.isStray(file.pieces[0]);
      if (isStray) this.strays.push(file);
      return !isStray;
    });
    for (const { pieces } of inOrder) this.order.advance(pieces[0]);
    yield* this.admit(planJobs(inOrder, this.owners));
    if (!isLast && this.strays.length < MAX_STRAYS) return;
    yield* this.admit(planJobs(this.strays.splice(0), this.owners));
  }

  private async locate(files: readonly FileToRestore[]): Promise<LocatedFile[]> {
    const locations = await this.archive.locate(files.map(({ entry }) => entry.contentId ?? 0));
    const located: LocatedFile[] = [];
    for (const [index, file] of files.entries()) {
      const pieces = file.entry.contentId === undefined ? [] : locations[index];
      if (pieces !== undefined) located.push({ file, pieces });
      else {
        // It is known to be missing already: there is nothing to note.
        this.fail(joinPath(file.directory, file.name), missingContent(), undefined);
      }
    }
    return located;
  }

  private async *admit(jobs: readonly RestoreJob[]): AsyncGenerator<RestoreJob> {
    for (const job of jobs) {
      await this.inFlight.take(job.bytes);
      yield job;
    }
  }

  private async runJob(job: RestoreJob): Promise<void> {
    const input: RestoreInput = {
      ...job.input,
      clientPath: this.archive.clientPath,
      targetPath: this.target.path,
      ownerOptions: this.target.ownerOptions,
      overwrite: this.request.overwrite,
    };
    const { output } = await this.jobs.run('restore', input);
    this.inFlight.give(job.bytes);
    this.progress.files += output.files;
    this.progress.bytes += output.bytes;
    for (const { file, isRestored, digest, error } of output.failures) {
      const { directory, name } = job.files[file]!;
      if (isRestored) {
        this.progress.failures += 1;
        this.failures.push({ path: joinPath(directory, name), error, digest: undefined });
        continue;
      }
      const isDamage = error.code === 'CONTENT_DAMAGED' || error.code === 'RECORD_DAMAGED';
      // Of a file in parts only the damaged one: the others need not be sent again.
      const damaged = isDamage && digest !== undefined ? Buffer.from(digest) : undefined;
      this.fail(joinPath(directory, name), error, damaged);
    }
  }

  /** One entry's failure does not end the restore; a full disk does. */
  private attempt(full: Buffer, work: () => void): void {
    try {
      work();
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOSPC' || code === 'EDQUOT') {
        throw new TardisError('TARGET_FULL', 'the target is full', { cause: code }, error);
      }
      if (code === undefined && !(error instanceof TardisError)) throw error;
      const wire = toWire(error);
      const isThere = code === 'EEXIST';
      this.fail(full, isThere ? { ...wire, code: 'TARGET_EXISTS' } : wire, undefined);
    }
  }

  private fail(full: Buffer, error: WireError, digest: Buffer | undefined): void {
    this.progress.failures += 1;
    this.failedNames.add(full.toString('latin1'));
    this.failures.push({ path: full, error, digest });
  }
}

function missingContent(): WireError {
  return { code: 'CONTENT_DAMAGED', message: 'its content is not in the store', context: {} };
}
