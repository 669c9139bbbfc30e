/**
 * One backup from the client's side: connect, greet, open a set, run the pipeline, close the set.
 * If anything fails for good the server keeps what it received, as an unfinished set.
 */
import type { RatePeriod } from '../config/index.js';
import { asTardisError, TardisError, throwIfAborted } from '../errors/index.js';
import type { ExcludeOptions } from '../excludes/index.js';
import {
  BackupPipeline,
  type BackupProgress,
  type PipelineHooks,
  type PipelineSettings,
  type StageFigures,
} from '../pipeline/index.js';
import { NO_MARKS, type SetMarks } from '../model/index.js';
import { type Address, type System, wallMs } from '../system/index.js';
import {
  type Connection,
  type Head,
  type LinkOptions,
  linkWith,
  NO_PATIENCE,
  type Patience,
  Purpose,
  RateLimit,
  type Retry,
  type TlsWish,
} from '../transport/index.js';
import type { JobRunner } from '../workers/index.js';
import {
  type BasePath,
  missingFailures,
  readRoots,
  rootFailures,
  rootsHead,
  rootTasks,
  type Root,
} from './roots.js';
import { type Credentials, Login, NO_CREDENTIALS } from '../login/index.js';
import { Lifeline } from './lifeline.js';
import { spaceDoubt } from './quota.js';
import { SealingPeer } from './sealing-peer.js';
import { ServerPeer } from './server-peer.js';

export interface BackupRequest {
  readonly client: string;
  readonly create: boolean;
  readonly credentials?: Credentials;
  /** Undefined: no TLS. */
  readonly tls?: TlsWish | undefined;
  /** Name of the set; empty for one made by the server. */
  readonly setName: string;
  /** What the set is marked with. */
  readonly marks?: Pick<SetMarks, 'priority' | 'isExpendable' | 'tags'>;
  /** What this run is set to, for whoever looks at the set later; undefined: it is not told. */
  readonly config?: string | undefined;
  /** Paths as bytes, relative ones from the working directory. */
  readonly directories: readonly Buffer[];
  readonly excludes: ExcludeOptions;
  readonly crossDevices?: boolean;
  /** Directories this deep are not entered; 0: no limit. */
  readonly maxDepth?: number;
  readonly basePath?: BasePath;
  /** For each directory the path it is kept under. */
  readonly keptAs?: readonly Buffer[];
  /** Roots are taken as they are, also if they are suddenly empty. */
  readonly trustRoots?: boolean;
  /** Ask the server to purge old sets by its rules, once this one is complete. */
  readonly purge?: boolean;
  /** No deltas, and whole files in place of those there are. */
  readonly full?: boolean;
  readonly settings: PipelineSettings;
  readonly compressMessages: boolean;
  /** How fast to send, by time of day; undefined: as fast as it goes. */
  readonly rates?: readonly RatePeriod[] | undefined;
  readonly timeoutMs: number;
  /** For a connection that is lost; undefined: none. */
  readonly patience?: Patience;
}

export interface BackupHooks extends PipelineHooks {
  /** Called when the pipeline starts, and again when a lost session is begun anew. */
  onStart(progress: BackupProgress): void;
  /** The set is open; it says what is known of earlier ones. */
  onOpened?(opened: Head<'setOpened'>): void;
  /** A connection is lost or could not be made, and is tried again. */
  onRetry?(retry: Retry): void;
  /** The server has given the session up: all that was told of it is told again. */
  onRestart?(): void;
}

export interface BackupResult {
  readonly set: number;
  readonly setName: string;
  readonly elapsedMs: number;
  readonly progress: BackupProgress;
  readonly stages: readonly StageFigures[];
  /** Bytes the server wrote, metadata included. */
  readonly storedBytes: number;
  readonly wireBytes: number;
  /** Of them, what was sent again because a connection was lost. */
  readonly resentBytes: number;
  /** Connections that were lost and replaced, and sessions that were lost and begun anew. */
  readonly replacedConnections: number;
  readonly restarts: number;
  readonly peakInFlightBytes: number;
  /** What is not as it should be, although the set is complete; in words. */
  readonly doubts: readonly string[];
  /** Space of the account that owns the client, if it has a quota; `usedBytes` at the end of the set. */
  readonly quotaBytes?: number;
  readonly usedBytes?: number;
  /** What might have been in flight. */
  readonly budgetBytes: number;
}

/** A server that gives every session up is not asked for ever. */
const MAX_BEGINNINGS = 16;
/** The flow that a long way shall not slow down. */
const LINK_BYTES_PER_MS = 160_000;

/**
 * Runs a whole backup. `reach` resolves with where the server is, once it listens: what can be done
 * without it, first of all the walk, begins before. `signal` ends it early, as INTERRUPTED.
 *
 * A connection that is lost is replaced, and the session goes on. When the server has given the session up
 * (it was started anew, or too much time has passed), the backup begins again over what had become durable.
 */
export async function runBackup(
  system: System,
  reach: () => Promise<Address>,
  openJobs: () => Promise<JobRunner>,
  request: BackupRequest,
  hooks: BackupHooks,
  signal?: AbortSignal,
): Promise<BackupResult> {
  const startMs = system.clock.monotonicMs();
  let login: Login | undefined;
  let replaced = 0;
  for (let begun = 1; ; begun += 1) {
    // What threads remember of a session, first of all what it sent, must not outlive it.
    const jobs = await openJobs();
    const run = new BackupRun(system, reach, jobs, request, hooks);
    try {
      const result = await run.toItsEnd(login, signal);
      replaced += run.replaced;
      const elapsedMs = system.clock.monotonicMs() - startMs;
      return { ...result, elapsedMs, replacedConnections: replaced, restarts: begun - 1 };
    } catch (error) {
      replaced += run.replaced;
      const isGone = error instanceof TardisError && error.code === 'SESSION_GONE';
      if (!isGone || begun >= MAX_BEGINNINGS || signal?.aborted === true) throw error;
      login = run.login;
      hooks.onRestart?.();
    } finally {
      await jobs.close();
    }
  }
}

type RunResult = Omit<BackupResult, 'elapsedMs' | 'replacedConnections' | 'restarts'>;

/** One session, from its set's opening to its end. */
class BackupRun {
  /** Once it has logged in. */
  login: Login | undefined;
  private readonly server: ServerPeer;
  private readonly peer: SealingPeer;
  private readonly lifeline: Lifeline;
  private readonly pipeline: BackupPipeline;
  private readonly roots: readonly Root[];
  private readonly missing: ReturnType<typeof readRoots>['missing'];
  private readonly system: System;
  private readonly request: BackupRequest;
  private readonly hooks: BackupHooks;

  constructor(
    system: System,
    reach: () => Promise<Address>,
    jobs: JobRunner,
    request: BackupRequest,
    hooks: BackupHooks,
  ) {
    this.system = system;
    this.request = request;
    this.hooks = hooks;
    const { roots, missing } = readRoots(system, request.directories, request);
    this.roots = roots;
    this.missing = missing;
    this.server = new ServerPeer({
      compressHeads: request.compressMessages,
      onDurable: (bytes) => {
        this.pipeline.progress.durableBytes = bytes;
      },
      rateLimit: request.rates && new RateLimit(system.clock, request.rates),
    });
    this.peer = new SealingPeer(this.server, system.native);
    const { tls, patience = NO_PATIENCE } = request;
    const how = { address: reach, link: linkOf(request), tls, patience };
    this.lifeline = new Lifeline(system, this.server.line, how, {
      retrying: (retry) => hooks.onRetry?.(retry),
      failed: (error) => this.peer.fail(error),
    });
    this.pipeline = pipelineOf(jobs, this.peer, roots, request, hooks);
  }

  /** Connections that were lost and replaced. */
  get replaced(): number {
    return this.lifeline.replaced;
  }

  /** `before`: the login of a session that this one takes the place of. Throws SESSION_GONE if it is lost itself. */
  async toItsEnd(before: Login | undefined, signal: AbortSignal | undefined): Promise<RunResult> {
    const { peer, pipeline, hooks, lifeline, request } = this;
    const opening = this.openSet();
    opening.catch(() => undefined); // told by what is waited for below
    hooks.onStart(pipeline.progress);
    pipeline.tell(missingFailures(this.missing));
    const running = pipeline.run();
    running.catch(() => undefined); // the same
    const interrupt = (): void => this.fail(new TardisError('INTERRUPTED', 'interrupted'));
    signal?.addEventListener('abort', interrupt, { once: true });
    try {
      throwIfAborted(signal);
      const again = before?.again({ isMade: true });
      const first = again ?? (await this.prepareLogin());
      throwIfAborted(signal);
      const { welcome, login, connection } = await lifeline.begin(first, before !== undefined);
      throwIfAborted(signal);
      this.login = login;
      pipeline.widen(longWayBytes(connection, request));
      const keyring = login.keyring(welcome);
      const isInVain = keyring === undefined && request.settings.cryptWish !== undefined;
      if (isInVain) throw notEncrypting(request.client);
      peer.begin(keyring);
      const opened = await opening;
      hooks.onOpened?.(opened);
      pipeline.note(rootFailures(this.roots, opened.held));
      await running;
      const seal = peer.endSet();
      const closed = await this.server.closeSet(
        setStats(pipeline.progress),
        seal,
        this.request.purge === true,
      );
      const doubt = peer.remember(closed.set, seal);
      await lifeline.leave();
      return withDoubts(this.resultOf(opened, closed), welcome, closed, doubt);
    } catch (error) {
      this.fail(asTardisError(error));
      await lifeline.closed();
      await running.catch(() => undefined); // its jobs must have ended; it has failed for the same reason
      throw error;
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
  }

  private openSet(): Promise<Head<'setOpened'>> {
    const { request, roots } = this;
    const { priority, isExpendable, tags } = request.marks ?? NO_MARKS;
    const opening = this.peer.openSet({
      name: request.setName,
      clientTimeMs: wallMs(this.system.clock),
      trust: request.trustRoots === true,
      full: request.full === true,
      priority,
      expendable: isExpendable,
      tags: [...tags],
      ...rootsHead(roots),
    });
    if (request.config !== undefined) this.peer.configuration(request.config);
    return opening;
  }

  private prepareLogin(): Promise<Login> {
    const { client, create, credentials = NO_CREDENTIALS } = this.request;
    return Login.prepare(this.system, { client, create, purpose: Purpose.backup }, credentials);
  }

  private fail(error: TardisError): void {
    this.peer.fail(error);
    this.lifeline.fail(error);
  }

  private resultOf(
    opened: Head<'setOpened'>,
    { storedBytes }: Head<'setClosed'>,
  ): Omit<RunResult, 'doubts'> {
    const { progress, budget } = this.pipeline;
    const { sentBytes: wireBytes, resentBytes } = this.server.sender;
    return {
      set: opened.set,
      setName: opened.name,
      progress,
      stages: this.pipeline.figures(),
      storedBytes,
      wireBytes,
      resentBytes,
      peakInFlightBytes: budget.bytes.usedPeak,
      budgetBytes: budget.bytes.limit,
    };
  }
}

/** Whoever says what to encrypt with shall not believe that it happens. */
export function notEncrypting(client: string): TardisError {
  const what = '--efilter-file (CryptFilterFile) and --def-crypt (DefaultCrypt)';
  return new TardisError('CONFIG_INVALID', `${client} does not encrypt, so it takes no ${what}`);
}

function withDoubts(
  result: Omit<RunResult, 'doubts'>,
  { quotaBytes }: Head<'welcome'>,
  { usedBytes }: Head<'setClosed'>,
  doubt: string | undefined,
): RunResult {
  const space = { quotaBytes, usedBytes };
  const doubts = [doubt, spaceDoubt(space)].filter((text) => text !== undefined);
  return { ...result, ...(quotaBytes === 0 ? {} : space), doubts };
}

function pipelineOf(
  jobs: JobRunner,
  peer: SealingPeer,
  roots: readonly Root[],
  request: BackupRequest,
  hooks: BackupHooks,
): BackupPipeline {
  const walk = {
    start: rootTasks(roots),
    firstFreeSlot: roots.length,
    excludes: request.excludes,
    crossDevices: request.crossDevices === true,
    maxDepth: request.maxDepth ?? 0,
  };
  return new BackupPipeline(jobs, peer, walk, request.settings, hooks);
}

function linkOf({ timeoutMs, compressMessages }: BackupRequest): LinkOptions {
  return { ...linkWith(timeoutMs), compressHeads: compressMessages };
}

/** On a long way more must be under way at once for the same flow. */
function longWayBytes({ roundTripMs }: Connection, { settings }: BackupRequest): number {
  const { linkBudgetBytes = 0 } = settings;
  return Math.min(linkBudgetBytes, Math.round(roundTripMs * LINK_BYTES_PER_MS));
}

function setStats(progress: BackupProgress): Record<string, number> {
  const { directories, entries, scannedBytes, filesRead, readBytes, contentsSent, sentBytes } =
    progress;
  const { vanished, unreadable, changed, incomplete, held, leftOut } = progress;
  return {
    directories,
    entries,
    scannedBytes,
    filesRead,
    readBytes,
    contentsSent,
    sentBytes,
    vanished,
    unreadable,
    changed,
    leftOut,
    incomplete,
    held,
  };
}
