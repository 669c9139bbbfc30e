/**
 * Runs one backup on the client: connects, logs in, opens a set, runs the pipeline and closes the set. If the backup
 * fails, the server keeps the received data as an unfinished set.
 */
import { asTardisError, protocolViolation, TardisError, throwIfAborted } from '../errors/index.js';
import { machineName, NO_MARKS } from '../model/index.js';
import { BackupPipeline, type BackupProgress, type StreamedFile } from '../pipeline/index.js';
import { byteText, machineIdentity, type System, wallMs } from '../system/index.js';
import {
  type Connection,
  type Head,
  type LinkOptions,
  linkWith,
  NO_PATIENCE,
  Purpose,
  RateLimit,
} from '../transport/index.js';
import { Login, NO_CREDENTIALS } from '../transport/login/index.js';
import type { JobRunner } from '../workers/index.js';
import type { BackupHooks, BackupRequest, BackupResult, BackupTask } from './backup-request.js';
import { RootPresence } from './root-presence.js';
import {
  missingFailures,
  readRoots,
  type Root,
  rootFailures,
  rootFiles,
  rootsHead,
  rootTasks,
} from './roots.js';
import { closingRun } from './run-report.js';
import { SealingPeer } from './sealing-peer.js';
import { ServerPeer } from './server-peer.js';
import { SessionConnector } from './session-connector.js';
import { spaceDoubt } from './session-line.js';
import type { SealedSet } from './set-sealer.js';
import { type Settled, untilSettled } from './settling.js';
import { clearLeftSnapshots, Snapshots } from './snapshots.js';
import { streamRoots } from './stream-roots.js';

/** Maximum number of sessions per backup. Without it, a server that drops every session would be retried forever. */
const MAX_BEGINNINGS = 16;
/** Throughput to reach on a link with a long round trip, in bytes per millisecond. */
const LINK_BYTES_PER_MS = 160_000;

/**
 * Runs a whole backup. Work that needs no server, above all the walk, starts before the server listens. A lost
 * connection is replaced, and the session continues. If the server has dropped the session (it restarted, or too much
 * time has passed), the backup starts again and builds on the data that is already durable.
 */
export async function runBackup(system: System, task: BackupTask): Promise<BackupResult> {
  const left = await clearLeftSnapshots(system);
  const snapshots = await snapshotsFor(system, task.request);
  let result: BackupResult;
  try {
    result = await runSessions(system, task);
  } finally {
    left.push(...(snapshots?.release() ?? []));
  }
  const doubts = [...(snapshots?.warnings ?? []), ...left, ...result.doubts];
  return { ...result, doubts, ...(snapshots && { snapshots: snapshots.shown }) };
}

/** Makes the snapshots that a backup reads; undefined if none are requested. */
async function snapshotsFor(
  system: System,
  request: BackupRequest,
): Promise<Snapshots | undefined> {
  if (request.snapshot !== 'auto') return undefined;
  const { roots } = readRoots(system, request.directories, request);
  const paths = roots.map(({ path }) => byteText(path));
  return Snapshots.take(system, paths, request.crossDevices === true);
}

/** Runs sessions until one of them reaches its end. */
async function runSessions(
  system: System,
  { reach, openJobs, keepJobs, request, hooks, signal }: BackupTask,
): Promise<BackupResult> {
  const startMs = system.clock.monotonicMs();
  let login: Login | undefined;
  let replaced = 0;
  for (let begun = 1; ; begun += 1) {
    // Threads remember what a session has sent; that must not outlive the session.
    const jobs = await openJobs();
    const run = new BackupRun(system, jobs, { reach, request, hooks }, startMs);
    let isDone = false;
    try {
      const result = await run.toItsEnd(login, signal);
      replaced += run.replaced;
      isDone = true;
      return {
        ...result,
        elapsedMs: run.tookMs,
        replacedConnections: replaced,
        restarts: begun - 1,
      };
    } catch (error) {
      replaced += run.replaced;
      const isGone = error instanceof TardisError && error.code === 'SESSION_GONE';
      if (!isGone || begun >= MAX_BEGINNINGS || signal?.aborted === true) throw error;
      login = run.login;
      hooks.onRestart?.();
    } finally {
      if (isDone && keepJobs !== undefined) {
        jobs.recent.clear();
        keepJobs(jobs);
      } else await jobs.close();
    }
  }
}

type RunResult = Omit<BackupResult, 'elapsedMs' | 'replacedConnections' | 'restarts'>;

/** One session, from opening its set to its end. */
class BackupRun {
  /** The login; undefined until it has succeeded. */
  login: Login | undefined;
  /** Duration of the backup in milliseconds, from the start of its first session to the end of the set. The set has it too. */
  tookMs = 0;
  /** Resolves with the result of the server's work after the set; undefined if the backup does not wait for it. */
  private settled: (() => Promise<Settled>) | undefined;
  private readonly server: ServerPeer;
  private readonly peer: SealingPeer;
  private readonly lifeline: SessionConnector;
  private readonly pipeline: BackupPipeline;
  private readonly roots: readonly Root[];
  private readonly missing: ReturnType<typeof readRoots>['missing'];
  private readonly request: BackupRequest;
  private readonly hooks: BackupHooks;
  /** Aborted when the session has failed, so that no command goes on. */
  private readonly streaming = new AbortController();

  constructor(
    private readonly system: System,
    private readonly jobs: JobRunner,
    { reach, request, hooks }: Pick<BackupTask, 'reach' | 'request' | 'hooks'>,
    /** Time by the monotonic clock at which the first session of the backup began. */
    private readonly startMs: number,
  ) {
    this.request = request;
    this.hooks = hooks;
    const { roots: walked, missing } = readRoots(system, request.directories, request);
    const { signal } = this.streaming;
    const absent = missing.map(({ path }) => path);
    const streamed = streamRoots(system, request.streams ?? [], walked, { absent, signal });
    this.roots = [...walked, ...streamed.roots];
    this.missing = missing;
    this.server = new ServerPeer({
      compressHeads: request.compressMessages,
      onDurable: (bytes) => {
        this.pipeline.progress.durableBytes = bytes;
      },
      rateLimit: request.rates && new RateLimit(system.clock, request.rates),
    });
    this.peer = new SealingPeer(
      this.server,
      system.native,
      (what) => request.credentials?.identity?.acceptsOlder(what) === true,
    );
    const { tls, patience = NO_PATIENCE } = request;
    const { elsewhere } = request;
    const how = { address: reach, link: linkOf(request), tls, patience, elsewhere };
    this.lifeline = new SessionConnector(system, this.server.line, how, {
      retrying: (retry) => hooks.onRetry?.(retry),
      failed: (error) => this.peer.fail(error),
    });
    const presence = new RootPresence(walked, (path) => system.native.isRedirected(path));
    const sources = { walked, roots: this.roots, streams: streamed.files, presence };
    this.pipeline = pipelineOf(jobs, this.peer, { ...sources, request, hooks });
  }

  /** Number of connections that were lost and replaced. */
  get replaced(): number {
    return this.lifeline.replaced;
  }

  /** Runs the session. `before` is the login of a lost session that this one replaces. Throws SESSION_GONE. */
  async toItsEnd(before: Login | undefined, signal: AbortSignal | undefined): Promise<RunResult> {
    const { peer, pipeline, hooks, lifeline, request } = this;
    const opening = this.openSet();
    opening.catch(() => undefined); // the awaits below report a failure
    hooks.onStart(pipeline.progress);
    pipeline.reportFailures(missingFailures(this.missing));
    const running = pipeline.run();
    running.catch(() => undefined); // see above
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
      const isInVain = keyring === undefined && request.settings.cipherChoice !== undefined;
      if (isInVain) throw notEncrypting(request.client);
      const file = request.credentials?.identity?.cacheFile('similar');
      if (file !== undefined) pipeline.rememberAt({ file, key: keyring?.similar });
      peer.begin(keyring);
      const opened = await opening;
      hooks.onOpened?.(opened);
      pipeline.note(rootFailures(this.roots, opened.protection));
      await running;
      const sealed = peer.endSet();
      const closed = await this.closeSet(opened, sealed);
      const doubts = [peer.remember(closed.set, sealed.seal), ...pipeline.remember()];
      const settled = await this.settled?.(); // from here on the set is complete, whatever follows
      await lifeline.leave();
      const result = { ...this.resultOf(opened, closed), ...(settled && { settled }) };
      return withDoubts(result, welcome, closed, [
        ...doubts,
        lossDoubt(opened),
        packDoubt(opened),
        machineDoubt(opened),
      ]);
    } catch (error) {
      this.fail(asTardisError(error));
      await lifeline.closed();
      await running.catch(() => undefined); // its jobs must have ended; it failed for the same reason
      throw error;
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
  }

  /** Throws PROTOCOL_VIOLATION if the server closes another set than the one that it opened. */
  private async closeSet(
    { set }: Head<'setOpened'>,
    sealed: SealedSet,
  ): Promise<Head<'setClosed'>> {
    const { server, request, lifeline } = this;
    const purge = request.purge === true;
    const waits = purge || request.waits === true;
    if (waits) {
      const answer = server.settled();
      answer.catch(() => undefined); // reported by `this.settled`
      this.settled = () => untilSettled(answer, (lost) => lifeline.expectNoMore(lost));
    }
    this.tookMs = Math.round(this.system.clock.monotonicMs() - this.startMs);
    const stats = { ...setStats(this.pipeline.progress), tookMs: this.tookMs };
    const closed = await server.closeSet(stats, sealed, { purge, waits, runs: this.runs() });
    if (closed.set === set) return closed;
    const what = `the server opened set ${set}, and closed set ${closed.set}`;
    throw protocolViolation(what);
  }

  /** Returns the records for the journal: those of earlier runs, then that of this one. */
  private runs(): string[] {
    const { request, peer, pipeline } = this;
    const { report } = request;
    if (report === undefined) return [];
    const own = closingRun(this.system, report, pipeline.progress);
    return [
      ...report.earlier.map((run) => peer.record({ run, configured: undefined })),
      peer.record(own),
    ];
  }

  private openSet(): Promise<Head<'setOpened'>> {
    const { request, roots } = this;
    const { priority, isExpendable, tags } = request.marks ?? NO_MARKS;
    const opening = this.peer.openSet({
      name: request.setName,
      clientTimeMs: request.datedMs ?? wallMs(this.system.clock),
      trust: request.trustRoots === true,
      full: request.full === true,
      priority,
      expendable: isExpendable,
      tags: [...tags],
      machine: machineIdentity(),
      ...rootsHead(roots),
    });
    if (request.config !== undefined) this.peer.configuration(request.config);
    return opening;
  }

  private prepareLogin(): Promise<Login> {
    const { client, create, credentials = NO_CREDENTIALS, report } = this.request;
    const target = { client, create, purpose: Purpose.backup, run: report?.run.id };
    return Login.prepare(this.system, target, credentials);
  }

  private fail(error: TardisError): void {
    this.streaming.abort();
    this.jobs.stopRanges();
    this.peer.fail(error);
    this.lifeline.fail(error);
  }

  private resultOf(
    opened: Head<'setOpened'>,
    { storedBytes, isRecorded }: Head<'setClosed'>,
  ): Omit<RunResult, 'doubts'> {
    const { progress, budget } = this.pipeline;
    const { sentBytes: wireBytes, resentBytes } = this.server.sender;
    return {
      set: opened.set,
      setName: opened.name,
      progress,
      missing: this.missing.length,
      stages: this.pipeline.figures(),
      storedBytes,
      isRecorded,
      wireBytes,
      resentBytes,
      peakInFlightBytes: budget.bytes.usedPeak,
      budgetBytes: budget.bytes.limit,
      ...lossIn(opened),
    };
  }
}

/** Returns the error for a client that does not encrypt although encryption settings are given. */
export function notEncrypting(client: string): TardisError {
  const what = '--efilter-file (CryptFilterFile) and --def-crypt (DefaultCrypt)';
  return new TardisError('CONFIG_INVALID', `${client} does not encrypt, so it cannot use ${what}`);
}

function withDoubts(
  result: Omit<RunResult, 'doubts'>,
  { quotaBytes }: Head<'welcome'>,
  { usedBytes }: Head<'setClosed'>,
  reported: readonly (string | undefined)[],
): RunResult {
  const space = { quotaBytes, usedBytes };
  const doubts = [...reported, spaceDoubt(space)].filter((text) => text !== undefined);
  return { ...result, ...(quotaBytes === 0 ? {} : space), doubts };
}

function lossIn({ doubtfulUpTo, lostRecords }: Head<'setOpened'>): Pick<BackupResult, 'lost'> {
  if (doubtfulUpTo + lostRecords === 0) return {};
  return { lost: { doubtfulUpTo, records: lostRecords } };
}

function machineDoubt({ otherMachine }: Head<'setOpened'>): string | undefined {
  if (otherMachine === undefined) return undefined;
  return `another machine, ${machineName(otherMachine)}, has made the set before under the name of this client: give each machine a client of its own (-C); \`sonic list\` shows the machines of the sets`;
}

function packDoubt({ strangePacks }: Head<'setOpened'>): string | undefined {
  if (strangePacks.length === 0) return undefined;
  const [are, they] =
    strangePacks.length === 1 ? ['is not a pack', 'it was'] : ['are not packs', 'they were'];
  return `${strangePacks.join(', ')} in the store ${are} of this client, despite the name; ${they} not changed: \`sonic check\` lists every such file`;
}

function lossDoubt({ doubtfulUpTo, lostRecords }: Head<'setOpened'>): string | undefined {
  if (doubtfulUpTo + lostRecords === 0) return undefined;
  const sets = doubtfulUpTo === 0 ? '' : `; sets up to ${doubtfulUpTo} may lack entries`;
  return (
    'the catalog of this client was lost and has been rebuilt, but records or packs are damaged or missing' +
    `${sets}: \`sonic check\` lists what cannot be restored`
  );
}

function pipelineOf(
  jobs: JobRunner,
  peer: SealingPeer,
  {
    walked,
    roots,
    streams,
    presence,
    request,
    hooks,
  }: {
    /** The roots that are walked. Those of streams follow in `roots`. */
    readonly walked: readonly Root[];
    readonly roots: readonly Root[];
    readonly streams: readonly StreamedFile[];
    readonly presence: RootPresence;
    readonly request: BackupRequest;
    readonly hooks: BackupHooks;
  },
): BackupPipeline {
  const sources = {
    start: rootTasks(walked),
    files: rootFiles(walked),
    readsDevices: request.readDevices === true,
    firstFreeSlot: roots.length,
    streams,
    excludes: request.excludes,
    crossDevices: request.crossDevices === true,
    maxDepth: request.maxDepth ?? 0,
    presence,
  };
  return new BackupPipeline(jobs, { peer, sources, settings: request.settings, hooks });
}

function linkOf({ timeoutMs, compressMessages }: BackupRequest): LinkOptions {
  return { ...linkWith(timeoutMs), compressHeads: compressMessages };
}

/**
 * Returns the number of bytes that must be in flight to reach LINK_BYTES_PER_MS with this round trip, at most
 * `linkBudgetBytes`.
 */
function longWayBytes({ roundTripMs }: Connection, { settings }: BackupRequest): number {
  const { linkBudgetBytes = 0 } = settings;
  return Math.min(linkBudgetBytes, Math.round(roundTripMs * LINK_BYTES_PER_MS));
}

/** Returns the statistics that are stored with a set. */
export function setStats(progress: BackupProgress): Record<string, number> {
  const { directories, entries, scannedBytes, filesRead, readBytes, contentsSent, sentBytes } =
    progress;
  const {
    vanished,
    unreadable,
    changed,
    incomplete,
    inconsistent,
    protected: kept,
    leftOut,
    notEntered,
  } = progress;
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
    notEntered: notEntered.count,
    incomplete,
    inconsistent,
    protected: kept,
  };
}
