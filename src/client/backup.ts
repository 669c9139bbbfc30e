/**
 * One backup from the client's side: connect, greet, open a set, run the pipeline, close the set.
 * If anything fails the connection ends and the server keeps what it received, as an unfinished set.
 */
import type { RatePeriod } from '../config/index.js';
import { TardisError } from '../errors/index.js';
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
  PROTOCOL_VERSION,
  RateLimit,
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
import { ServerPeer } from './server-peer.js';

export interface BackupRequest {
  readonly client: string;
  readonly create: boolean;
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
  /** What might have been in flight. */
  readonly budgetBytes: number;
}

const SOFTWARE = 'tardis-pipeline 0.1.0';

/** The flow that a long way shall not slow down. */
const LINK_BYTES_PER_MS = 160_000;

/** Runs a whole backup. `signal` ends it early, as INTERRUPTED. */
export async function runBackup(
  system: System,
  address: Address,
  jobs: JobRunner,
  request: BackupRequest,
  hooks: BackupHooks,
  signal?: AbortSignal,
): Promise<BackupResult> {
  const startMs = system.clock.monotonicMs();
  const { roots, missing } = readRoots(system, request.directories, request.basePath);
  const link = {
    ...DEFAULT_LINK,
    timeoutMs: request.timeoutMs,
    compressHeads: request.compressMessages,
  };
  const connection = await connect(system, address, link);
  const interrupt = (): void => {
    connection.fail(new TardisError('INTERRUPTED', 'interrupted'));
  };
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    if (signal?.aborted === true) throw new TardisError('INTERRUPTED', 'interrupted');
    const peer = new ServerPeer(connection, {
      compressHeads: request.compressMessages,
      rateLimit: request.rates && new RateLimit(system.clock, request.rates),
    });
    const opened = await open(peer, request, roots, Math.round(system.clock.nowMs()));
    const start = rootTasks(roots, opened.held);
    const pipeline = new BackupPipeline(
      jobs,
      peer,
      {
        start,
        firstFreeSlot: roots.length,
        excludes: request.excludes,
        crossDevices: request.crossDevices === true,
        maxDepth: request.maxDepth ?? 0,
      },
      { ...request.settings, budgetBytes: budgetFor(connection, request) },
      hooks,
    );
    hooks.onStart(pipeline.progress);
    pipeline.note(rootFailures(roots, opened.held));
    pipeline.tell(missingFailures(missing));
    await pipeline.run();
    const { progress } = pipeline;
    const closed = await peer.closeSet(setStats(progress));
    connection.leave();
    await connection.closed;
    return {
      set: opened.set,
      setName: opened.name,
      elapsedMs: system.clock.monotonicMs() - startMs,
      progress,
      stages: pipeline.figures(),
      storedBytes: closed.storedBytes,
      wireBytes: peer.sender.sentBytes,
      peakInFlightBytes: pipeline.budget.bytes.usedPeak,
      budgetBytes: pipeline.budget.bytes.limit,
    };
  } catch (error) {
    connection.fail(error);
    await connection.closed;
    throw error;
  } finally {
    signal?.removeEventListener('abort', interrupt);
  }
}

/** On a long way more must be under way at once for the same flow. */
function budgetFor({ roundTripMs }: Connection, { settings }: BackupRequest): number {
  const { budgetBytes, linkBudgetBytes = 0 } = settings;
  return budgetBytes + Math.min(linkBudgetBytes, Math.round(roundTripMs * LINK_BYTES_PER_MS));
}

/** Greets and opens the set, the one before the other is answered: over a long way one round trip. */
async function open(
  peer: ServerPeer,
  { client, create, setName, trustRoots }: BackupRequest,
  roots: readonly Root[],
  clientTimeMs: number,
): Promise<Head<'setOpened'>> {
  const [, opened] = await Promise.all([
    peer.greet({ protocol: PROTOCOL_VERSION, software: SOFTWARE, client, create }),
    peer.openSet({
      name: setName,
      clientTimeMs,
      trust: trustRoots === true,
      ...rootsHead(roots),
    }),
  ]);
  return opened;
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
