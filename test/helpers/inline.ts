/**
 * Runs client and server in one thread, with an injected system. Jobs and storage run inline, one after the
 * other; only the socket between them is real. It is TCP, since a unix socket needs a umask, which the process
 * of the tests keeps. The clock runs ahead, so that entries made a moment ago count as settled.
 */
import fs from 'node:fs';
import path from 'node:path';
import {
  type Certificate,
  type InnerListener,
  type MessageName,
  NO_PATIENCE,
  type Patience,
  type Retry,
} from '../../src/transport/index.js';
import { pino } from 'pino';
import { type History, type HistoryEntry, openLocalHistory } from '../../src/history/index.js';
import { type BackupResult, runBackup, type StreamSource } from '../../src/client/index.js';
import type { KnownClient } from '../../src/crypto/identity/index.js';
import {
  newRestoreProgress,
  type PolicyOptions,
  type RestoreFailure,
  runRestore,
} from '../../src/restore/index.js';
import type { ExcludeOptions } from '../../src/excludes/index.js';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import type { PlainConfig, RunRecord } from '../../src/model/index.js';
import type { PipelineSettings } from '../../src/pipeline/index.js';
import { rebuildCatalog } from '../../src/maintenance/rebuild/index.js';
import {
  Daemon,
  InlineStorageHost,
  type StorageHost,
  type StorageOptions,
  type SharedClients,
} from '../../src/server/index.js';
import { openClientDirectory } from '../../src/store/index.js';
import { type Address, type NativeCalls, nodeSystem, type System } from '../../src/system/index.js';
import { type Failure, InlineJobs, type JobRunner } from '../../src/workers/index.js';
import { oneByOne } from '../support/leaves-all.js';
import { SETTINGS } from './pipelines.js';
import { LIGHT } from './light.js';
import { scratchInMemory } from './scratch.js';
import { makeTree, type TreeNode } from './tree.js';

/** A client in a store. */
export interface Place {
  readonly store: string;
  readonly client: string;
}

const KIB = 1 << 10;
const AHEAD_MS = 10_000;
const MANY_ATTEMPTS = { burst: 1e6, refillMs: 1 };
/** Milliseconds after which an inline operation counts as hung. */
const DEADLINE_MS = 240_000;

/** Returns the real system with a clock that runs ahead, and with some parts replaced. */
export function inlineSystem(parts: Partial<System> = {}): System {
  const base = nodeSystem();
  return {
    clock: { ...base.clock, nowMs: () => base.clock.nowMs() + AHEAD_MS },
    random: base.random,
    files: base.files,
    native: base.native,
    network: base.network,
    openDatabase: base.openDatabase,
    ...parts,
  };
}

/** Returns a system in which some calls of the addon are replaced. */
export function withNative(change: (real: NativeCalls) => Partial<NativeCalls>): System {
  const { native } = nodeSystem();
  return inlineSystem({ native: { ...native, ...oneByOne(change(native)) } });
}

/** Small limits, so that a small tree uses every path: parcels, parts of frames, several packs. */
export const SMALL_SETTINGS: PipelineSettings = Object.freeze({
  ...SETTINGS,
  budgetBytes: 1024 * KIB,
  budgetItems: 1024,
  parcelFiles: 4,
  parcelBytes: 64 * KIB,
  frameBytes: 32 * KIB,
  smallBytes: 16 * KIB,
});

export const SMALL_STORE: StorageOptions = Object.freeze({
  store: Object.freeze({ packBytes: 128 * KIB, packContentBytes: 128 * KIB }),
  deltas: Object.freeze({ maxChain: 5, maxChangePercent: 50, saveFull: false }),
  checkpoint: Object.freeze({ bytes: 96 * KIB, entries: 1000, intervalMs: 3_600_000 }),
});

export interface InlineBackup {
  readonly excludes?: ExcludeOptions;
  readonly create?: boolean;
  readonly setName?: string;
  readonly streams?: readonly StreamSource[];
  readonly settings?: Partial<PipelineSettings>;
  readonly onFailures?: (failures: readonly Failure[]) => void;
  readonly signal?: AbortSignal;
  /** The password with which the client encrypts. */
  readonly password?: string;
  /** The machine's memory of the client. */
  readonly identity?: KnownClient;
  /** The settings that the client reports. */
  readonly config?: PlainConfig;
  /** The record of the run, for the journal. */
  readonly run?: RunRecord;
  /** Wraps the jobs that the pipeline uses. */
  readonly wrapJobs?: (jobs: JobRunner) => JobRunner;
  /** Takes the jobs at the end, if the backup succeeds. */
  readonly keepJobs?: (jobs: JobRunner) => void;
  readonly timeoutMs?: number;
  readonly patience?: Patience;
  readonly onRetry?: (retry: Retry) => void;
}

export interface InlineServer {
  readonly storage?: StorageOptions;
  /** Wraps the storage that the server uses. */
  readonly wrapHost?: (host: StorageHost) => StorageHost;
  readonly port?: number;
  /** A place in this process that the server listens at, in place of a port. */
  readonly inner?: InnerListener;
  /** Listens with TLS. */
  readonly certificate?: Certificate;
  readonly creditBytes?: number;
  readonly timeoutMs?: number;
  readonly parkMs?: number;
  readonly maxParked?: number;
  readonly acceptCopies?: boolean;
  /** As over a bucket. */
  readonly shared?: SharedClients;
  readonly onlyClient?: string;
}

/** Observes the messages from a server to its storage, and observes or changes the answers. */
export interface Tap {
  message?(name: MessageName, bytes: Buffer): void;
  answer?(answer: Buffer): Buffer;
}

/** Returns a function for `wrapHost`. Each session has a tap of its own. */
export function tapped(tapOf: () => Tap): (host: StorageHost) => StorageHost {
  return (host) => ({
    open: async (directory, purpose, options, events) => {
      const tap = tapOf();
      const handle = await host.open(directory, purpose, options, {
        answer: (answer, processedBytes) =>
          events.answer(answer && (tap.answer?.(answer) ?? answer), processedBytes),
        closing: (requests) => events.closing(requests),
        failed: (error) => events.failed(error),
      });
      return {
        post: (name, bytes) => {
          tap.message?.(name, bytes);
          handle.post(name, bytes);
        },
        park: () => handle.park(),
        end: () => handle.end(),
        abandon: () => handle.abandon(),
      };
    },
    measure: (directory, withEntries) => host.measure(directory, withEntries),
    standing: (directory, withFigures) => host.standing(directory, withFigures),
    collectGarbage: (directory, work) => host.collectGarbage(directory, work),
    halt: () => host.halt(),
    close: () => host.close(),
  });
}

/** Starts a server over TCP. */
export function startInline(
  system: System,
  store: string,
  options: InlineServer = {},
): Promise<Daemon> {
  return Daemon.start(
    system,
    (options.wrapHost ?? ((host: StorageHost) => host))(new InlineStorageHost(system)),
    {
      address: options.inner ?? { kind: 'tcp', host: '127.0.0.1', port: options.port ?? 0 },
      certificate: options.certificate,
      shared: options.shared,
      baseDir: store,
      catalogFile: 'tardis.db',
      allowCreate: true,
      newHostsAtOnce: 1_000_000,
      onlyClient: options.onlyClient,
      requirePassword: false,
      loginTimeoutMs: 60_000,
      creditBytes: options.creditBytes ?? 17 << 20,
      timeoutMs: options.timeoutMs ?? DEADLINE_MS,
      single: false,
      parkMs: options.parkMs ?? 600_000,
      maxParked: options.maxParked ?? 16,
      acceptCopies: options.acceptCopies ?? false,
      storageOptions: options.storage ?? SMALL_STORE,
      // A test makes many logins from one address.
      attempts: { pair: MANY_ATTEMPTS, address: MANY_ATTEMPTS },
    },
    pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
  );
}

/** Makes one backup to a running server. Throws the error that the client receives. */
export async function backupTo(
  system: System,
  reach: () => Promise<Address | InnerListener>,
  client: string,
  directories: readonly string[],
  options: InlineBackup = {},
): Promise<BackupResult> {
  const openJobs = async (): Promise<JobRunner> => {
    const inline = new InlineJobs(system);
    return options.wrapJobs?.(inline) ?? inline;
  };
  const request = {
    client,
    ...credentialsOf(options),
    create: options.create ?? false,
    setName: options.setName ?? '',
    ...(options.streams && { streams: options.streams }),
    config: options.config,
    ...(options.run && { report: { run: options.run, earlier: [], configured: undefined } }),
    directories: directories.map((directory) => Buffer.from(directory)),
    excludes: options.excludes ?? NO_EXCLUDES,
    settings: { ...SMALL_SETTINGS, ...options.settings },
    compressMessages: false,
    timeoutMs: options.timeoutMs ?? DEADLINE_MS,
    patience: options.patience ?? NO_PATIENCE,
  };
  const hooks = {
    onStart: () => undefined,
    onFailures: (failures: readonly Failure[]) => options.onFailures?.(failures),
    ...(options.onRetry === undefined ? {} : { onRetry: options.onRetry }),
  };
  const done = runBackup(system, {
    reach,
    openJobs,
    keepJobs: options.keepJobs,
    request,
    hooks,
    signal: options.signal,
  });
  return within(done, 'the backup');
}

/** Runs `work` with a server of its own in this thread, which has stopped when the promise resolves. */
export async function withDaemon<T>(
  system: System,
  place: Place,
  options: InlineServer,
  work: (address: Address) => Promise<T>,
): Promise<T> {
  const daemon = await startInline(system, place.store, options);
  try {
    return await within(work(daemon.address), 'the session');
  } finally {
    await within(daemon.stop(), 'stopping the server');
  }
}

/** Makes one backup with a server of its own, which is then stopped. Throws the error that the client receives. */
export function backupInline(
  system: System,
  place: Place,
  directories: readonly string[],
  options: InlineBackup & InlineServer = {},
): Promise<BackupResult> {
  return withDaemon(system, place, options, (address) =>
    backupTo(system, async () => address, place.client, directories, options),
  );
}

/** A tree, and the client `me` of a store, which backs it up within this thread. */
export interface InlineLab {
  /** The folder of both, and of other files beside them. */
  readonly home: string;
  readonly place: Place;
  readonly source: string;
  /** Returns the path of a file in `home`. */
  at(...names: string[]): string;
  /** Backs the tree up as it is now. The first backup creates the client. */
  backup(options?: InlineBackup & InlineServer, system?: System): Promise<BackupResult>;
}

/** Makes a lab with a tree, and no store yet. */
export function inlineLab(
  t: Parameters<typeof scratchInMemory>[0],
  tree: readonly TreeNode[],
): InlineLab {
  const home = scratchInMemory(t);
  const at = (...names: string[]): string => path.join(home, ...names);
  const [place, source] = [{ store: at('store'), client: 'me' }, at('tree')];
  makeTree(source, tree);
  const backup: InlineLab['backup'] = (options, system = inlineSystem()) => {
    const create = !fs.existsSync(path.join(place.store, place.client));
    return backupInline(system, place, [source], { create, ...options });
  };
  return { home, place, source, at, backup };
}

function credentialsOf({ password, identity }: InlineBackup) {
  if (password === undefined) return {};
  const bytes = Buffer.from(password);
  const ask = (): Promise<Buffer> => Promise.resolve(bytes);
  return { credentials: { password: bytes, stretch: LIGHT, ask, identity } };
}

export interface InlineRestore {
  readonly paths: readonly string[];
  readonly output: string;
  /** A set's number or name; the newest complete set by default. */
  readonly set?: string;
  readonly numericIds?: boolean;
  readonly policy?: PolicyOptions;
  /** Opens the history, if it is not that of the place. */
  readonly open?: () => Promise<History>;
  /** The runner of the jobs, which is closed at the end; by default one in this thread. */
  readonly jobs?: JobRunner;
}

/** Restores; returns the entries that could not be restored. */
export async function restoreInline(
  system: System,
  place: Place,
  { paths, output, set, policy, numericIds = false, open, ...others }: InlineRestore,
): Promise<RestoreFailure[]> {
  const history = open === undefined ? openLocalHistory(system, place) : await open();
  const jobs = others.jobs ?? new InlineJobs(system);
  const progress = newRestoreProgress();
  try {
    const found = await history.findSet(set);
    const { failures } = await within(
      runRestore(
        system,
        { history, jobs, progress },
        {
          set: found.set,
          paths: paths.map((given) => Buffer.from(given)),
          output: Buffer.from(output),
          workers: 1,
          numericIds,
          policy: policy ?? {},
        },
      ),
      'the restore',
    );
    return failures;
  } finally {
    await jobs.close();
    history.close();
  }
}

export async function rebuildInline(place: Place): Promise<{ readonly damagedRecords: number }> {
  const system = inlineSystem();
  return rebuildCatalog(system, openClientDirectory(system, place));
}

/** Opens a client for reading, for one query. */
export async function withHistory<T>(
  place: Place,
  ask: (history: History) => Promise<T>,
): Promise<T> {
  const history = openLocalHistory(nodeSystem(), place);
  try {
    return await ask(history);
  } finally {
    history.close();
  }
}

/** Returns a client's whole history: its sets, and all entries of each, one line each. */
export function dumpHistory(place: Place): Promise<string[]> {
  return withHistory(place, (history) => historyOf(history, digestOf));
}

type Described = (entry: HistoryEntry) => Promise<string> | string;

function digestOf({ digest }: HistoryEntry): string {
  return digest?.toString('hex') ?? '';
}

/** Returns the lines of any history; `contentOf` describes a content. */
export async function historyOf(history: History, contentOf: Described): Promise<string[]> {
  const lines: string[] = [];
  for (const set of await history.sets()) {
    // A rebuild may mark a set as doubtful that a catalog, which recorded the repair, does not.
    lines.push(`set ${JSON.stringify({ ...set, isDoubtful: undefined, isSealed: undefined })}`);
    for (const note of await history.notes(set.set)) lines.push(`note ${JSON.stringify(note)}`);
    for (const { isGroup, id, name } of await history.owners(set.set)) {
      lines.push(`owner ${isGroup} ${id} ${name.toString('latin1')}`);
    }
    for await (const [name, entry] of entriesOf(history, set.set)) {
      const { firstSet, lastSet, linkTarget, attributes } = entry;
      // Left out: numbers of rows in this catalog, and flags, which no record contains.
      const { type, permissions, uid, gid, linkCount, sizeBytes, mtimeNs, ctimeNs, inode } = entry;
      const shown = [
        [type, permissions, uid, gid, linkCount, sizeBytes, mtimeNs, ctimeNs, inode, entry.device],
        [await contentOf(entry), linkTarget?.toString('latin1'), attributes?.toString('hex')],
        [firstSet, lastSet],
      ].join();
      lines.push(`${set.set} ${name} ${shown}`);
    }
  }
  return lines;
}

/** Yields the path (bytes as latin1) of each root of a set, and of all that is below it, with its entry. */
export async function* entriesOf(
  history: History,
  set: number,
): AsyncGenerator<[path: string, entry: HistoryEntry]> {
  for (const { path } of await history.roots(set)) {
    const top = await history.find(path, set);
    if (top !== undefined) yield* entriesFrom(history, set, path.toString('latin1'), top);
  }
}

/** Yields an entry and all that is below it, each directory before what is in it. */
export async function* entriesFrom(
  history: History,
  set: number,
  at: string,
  entry: HistoryEntry,
): AsyncGenerator<[path: string, entry: HistoryEntry]> {
  yield [at, entry];
  if (entry.childId === undefined) return;
  const page = { directory: entry.childId, set, after: Buffer.alloc(0), limit: 1e5 };
  for (const child of await history.list({ ...page, withDigests: true })) {
    const below = `${at}/${child.name.toString('latin1')}`;
    yield* entriesFrom(history, set, below, child);
  }
}

async function within<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what} did not end within ${DEADLINE_MS} ms`));
    }, DEADLINE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
