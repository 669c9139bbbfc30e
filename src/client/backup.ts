/**
 * One backup from the client's side: connect, greet, open a set, run the pipeline, close the set.
 * If anything fails the connection ends and the server keeps what it received, as an unfinished set.
 */
import type { RatePeriod } from '../config/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import type { ExcludeOptions } from '../excludes/index.js';
import {
  BackupPipeline,
  type BackupProgress,
  type PipelineHooks,
  type PipelineSettings,
  type StageFigures,
} from '../pipeline/index.js';
import type { Address, System } from '../system/index.js';
import {
  connect,
  type Connection,
  DEFAULT_LINK,
  type Head,
  Purpose,
  RateLimit,
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
  /** Paths as bytes, relative ones from the working directory. */
  readonly directories: readonly Buffer[];
  readonly excludes: ExcludeOptions;
  readonly crossDevices?: boolean;
  /** Directories this deep are not entered; 0: no limit. */
  readonly maxDepth?: number;
  readonly basePath?: BasePath;
  /** Roots are taken as they are, also if they are suddenly empty. */
  readonly trustRoots?: boolean;
  /** No deltas, and whole files in place of those there are. */
  readonly full?: boolean;
  readonly settings: PipelineSettings;
  readonly compressMessages: boolean;
  /** How fast to send, by time of day; undefined: as fast as it goes. */
  readonly rates?: readonly RatePeriod[] | undefined;
  readonly timeoutMs: number;
}

export interface BackupHooks extends PipelineHooks {
  /** Called once, when the pipeline starts. */
  onStart(progress: BackupProgress): void;
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
  readonly peakInFlightBytes: number;
  /** What is not as it should be, although the set is complete; in words. */
  readonly doubts: readonly string[];
  /** Space of the account that owns the client, if it has a quota; `usedBytes` at the end of the set. */
  readonly quotaBytes?: number;
  readonly usedBytes?: number;
  /** What might have been in flight. */
  readonly budgetBytes: number;
}

/** The flow that a long way shall not slow down. */
const LINK_BYTES_PER_MS = 160_000;

/**
 * Runs a whole backup. `reach` resolves with where the server is, once it listens: what can be done
 * without it, first of all the walk, begins before. `signal` ends it early, as INTERRUPTED.
 */
export async function runBackup(
  system: System,
  reach: () => Promise<Address>,
  jobs: JobRunner,
  request: BackupRequest,
  hooks: BackupHooks,
  signal?: AbortSignal,
): Promise<BackupResult> {
  const startMs = system.clock.monotonicMs();
  const { roots, missing } = readRoots(system, request.directories, request.basePath);
  const server = new ServerPeer({
    compressHeads: request.compressMessages,
    rateLimit: request.rates && new RateLimit(system.clock, request.rates),
  });
  const peer = new SealingPeer(server, system.native);
  const pipeline = pipelineOf(jobs, peer, roots, request, hooks);
  const clientTimeMs = Math.round(system.clock.nowMs());
  const opening = peer.openSet({
    name: request.setName,
    clientTimeMs,
    trust: request.trustRoots === true,
    full: request.full === true,
    ...rootsHead(roots),
  });
  opening.catch(() => undefined); // told by what is waited for below
  hooks.onStart(pipeline.progress);
  pipeline.tell(missingFailures(missing));
  const running = pipeline.run();
  running.catch(() => undefined); // the same
  let connection: Connection | undefined;
  const interrupt = (): void => {
    const reason = new TardisError('INTERRUPTED', 'interrupted');
    if (connection === undefined) peer.fail(reason);
    else connection.fail(reason);
  };
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    throwIfAborted(signal);
    const target = { client: request.client, create: request.create, purpose: Purpose.backup };
    const login = await Login.prepare(system, target, request.credentials ?? NO_CREDENTIALS);
    connection = await connect(system, await reach(), linkOf(request), request.tls);
    throwIfAborted(signal);
    pipeline.widen(longWayBytes(connection, request));
    const greeted = connection;
    const welcome = await login.keepingKeys(() => server.begin(greeted, login));
    const keyring = login.keyring(welcome);
    const isInVain = keyring === undefined && request.settings.cryptWish !== undefined;
    if (isInVain) throw notEncrypting(request.client);
    peer.begin(keyring);
    const opened = await opening;
    pipeline.note(rootFailures(roots, opened.held));
    await running;
    const seal = peer.endSet();
    const closed = await server.closeSet(setStats(pipeline.progress), seal);
    const doubt = peer.remember(closed.set, seal);
    connection.leave();
    await connection.closed;
    const elapsedMs = system.clock.monotonicMs() - startMs;
    const result = resultOf(pipeline, opened, closed, server.sender.sentBytes, elapsedMs);
    return withDoubts(result, welcome, closed, doubt);
  } catch (error) {
    peer.fail(asTardisError(error));
    connection?.fail(error);
    await connection?.closed;
    await running.catch(() => undefined); // its jobs must have ended; it has failed for the same reason
    throw error;
  } finally {
    signal?.removeEventListener('abort', interrupt);
  }
}

/** Whoever says what to encrypt with shall not believe that it happens. */
export function notEncrypting(client: string): TardisError {
  const what = '--efilter-file (CryptFilterFile) and --def-crypt (DefaultCrypt)';
  return new TardisError('CONFIG_INVALID', `${client} does not encrypt, so it takes no ${what}`);
}

function resultOf(
  pipeline: BackupPipeline,
  opened: Head<'setOpened'>,
  { storedBytes }: Head<'setClosed'>,
  wireBytes: number,
  elapsedMs: number,
): Omit<BackupResult, 'doubts'> {
  const { progress, budget } = pipeline;
  return {
    set: opened.set,
    setName: opened.name,
    elapsedMs,
    progress,
    stages: pipeline.figures(),
    storedBytes,
    wireBytes,
    peakInFlightBytes: budget.bytes.usedPeak,
    budgetBytes: budget.bytes.limit,
  };
}

function withDoubts(
  result: Omit<BackupResult, 'doubts'>,
  { quotaBytes }: Head<'welcome'>,
  { usedBytes }: Head<'setClosed'>,
  doubt: string | undefined,
): BackupResult {
  const space = { quotaBytes, usedBytes };
  const doubts = [doubt, spaceDoubt(space)].filter((text) => text !== undefined);
  return { ...result, ...(quotaBytes === 0 ? {} : space), doubts };
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new TardisError('INTERRUPTED', 'interrupted');
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

function linkOf({ timeoutMs, compressMessages }: BackupRequest): typeof DEFAULT_LINK {
  return { ...DEFAULT_LINK, timeoutMs, compressHeads: compressMessages };
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
