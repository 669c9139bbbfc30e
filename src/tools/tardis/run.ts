/** Runs a backup for `tardis`: pool, connection, pipeline, report. Loaded while the local server starts. */
import path from 'node:path';
import {
  type BackupHooks,
  type BackupRequest,
  type BackupResult,
  type LocalServer,
  type LocalServerOnDemand,
  notEncrypting,
  rawRules,
  readRoots,
  runBackup,
  type RunReport,
  type StreamSource,
} from '../../client/index.js';
import { FIXED_LIMITS } from '../../pipeline/index.js';
import { parseRates, type RatePeriod, type Settings } from '../../config/index.js';
import { asTardisError, errnoText, type ErrorCode, TardisError } from '../../errors/index.js';
import { countErrors, displayName, displayText, jsonName } from '../../model/index.js';
import { Codec } from '../../store/index.js';
import { type Address, byteText, nodeSystem } from '../../system/index.js';
import { type InnerListener, NO_PATIENCE, type Patience } from '../../transport/index.js';
import type { KeptStretch } from '../../transport/login/index.js';
import { type JobRunner, openJobs } from '../../workers/index.js';
import { BackupNote } from './backup-note.js';
import { BackupEvents, hasToWait, printWait } from './backup-events.js';
import { backupMemoryOf } from '../opening/backup-memory.js';
import { ClientLog } from './client-log.js';
import { excludeOptions } from './exclude-settings.js';
import { cipherChoiceOf } from './filter-settings.js';
import { identityAt } from '../opening/known-state.js';
import { askPassword, givenPassword, strengthLine, stretchFor } from '../opening/password.js';
import { ProgressLine } from '../output/progress-line.js';
import { backupLines, nextLines, printStages } from './report-backup.js';
import { settledWarning } from '../shared/report-purge.js';
import { PARTLY } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import type { CopiesResult } from './other-stores.js';
import { runningConfig } from './running-config.js';
import { sourceHint } from './other-verbs.js';
import { ScanAhead } from './walk-sources.js';
import { SavedList } from './saved-list.js';
import { elsewhereOf, requireNoWeb, retryText, serverPlace } from '../opening/server.js';
import { BackupLine } from './backup-line.js';
import { streamSources } from './stream-sources.js';
import { requireTags } from '../shared/option-words.js';
import { newPlace, type NewPlace, newPlaceText } from '../opening/local-store.js';
import { keyFileOf, promptFor } from '../opening/keys.js';
import { complain, shownProgram } from '../output/command-names.js';

/** Number of digests that are remembered, so that repeated contents are not sent again. They take 4 MiB. */
const RECENT_DIGESTS = 1 << 17;

/** The runner of jobs of the last one in a row of backups, for the next one. The owner of the row closes it. */
export interface KeptJobs {
  runner?: JobRunner | undefined;
}

/** Options of one of a row of backups. */
interface RunOptions {
  readonly signal: AbortSignal;
  /** The date of the set, if it is not the present. */
  readonly datedMs?: number;
  /** The stretched password of the backups before. */
  readonly keptStretch?: KeptStretch;
  readonly keptJobs?: KeptJobs;
  /** The program that makes the backups, as messages name it. */
  readonly program?: 'tardis' | 'tardis-import';
}

/**
 * Runs a backup with its hooks, and reports it. Returns the exit status. The local server is always ended before the
 * final hooks, since they may unmount the file system of the store.
 */
export async function backUp(
  settings: Settings<'tardis'>,
  server: LocalServerOnDemand | undefined,
  { signal, datedMs, keptStretch, keptJobs, program = 'tardis' }: RunOptions,
): Promise<number> {
  let messages: RunMessages | undefined;
  let events: BackupEvents | undefined;
  let result: BackupResult;
  // An import is a run of its own kind.
  const note = program === 'tardis' ? new BackupNote(settings, server?.store()) : undefined;
  const report = note?.report;
  try {
    messages = new RunMessages(settings, new ScanAhead(settings), server, program);
    const memory = backupMemoryOf(settings, server?.store(), note?.roots);
    events = new BackupEvents(settings, memory, (line) => messages?.printNote(line));
    await events.begin(signal);
    result = await run(settings, {
      server: server?.get(),
      signal,
      messages,
      datedMs,
      keptStretch,
      keptJobs,
      report,
    });
  } catch (error) {
    // An interruption is reported itself, instead of the errors that it caused.
    const isInterrupted = signal.aborted;
    messages?.line.stop();
    await messages?.scan.stop();
    await server?.close();
    const failure = isInterrupted
      ? new TardisError('INTERRUPTED', 'interrupted')
      : (deathBehind(error, server) ?? withHint(error, settings));
    const waits = settings.ifDue && !isInterrupted && hasToWait(asTardisError(failure));
    await note?.failed(asTardisError(failure), !waits);
    await events?.failed(asTardisError(failure));
    messages?.failed(failure);
    if (!waits) throw failure;
    printWait(settings, displayText(asTardisError(failure).message));
    return 0;
  }
  messages.line.stop();
  await messages.scan.stop();
  await server?.close();
  const copies = await copiesOf(settings, signal);
  // The set is complete, since the server acknowledged all of it before this.
  const death = server?.death();
  const isSound = death === undefined || death.code === 'SERVER_DIED';
  const isWhole = isSound && countErrors(result.progress) === 0 && result.lost === undefined;
  const status = isWhole && (copies?.warnings ?? []).length === 0 ? 0 : PARTLY;
  if (report !== undefined) await note?.saved(report, result);
  await events.done(result, status, note !== undefined && note.isWhole !== false);
  const late = death === undefined ? [] : [`${displayText(death.message)} [${death.code}]`];
  for (const text of late) messages.printNote(text);
  messages.done(result, [...events.warnings, ...late], copies);
  if (copies?.isInterrupted === true) {
    throw new TardisError(
      'INTERRUPTED',
      'interrupted, after the backup to the first store was complete',
    );
  }
  return status;
}

/** Brings the copies in other stores up to date; undefined if there are none. */
async function copiesOf(
  settings: Settings<'tardis'>,
  signal: AbortSignal,
): Promise<CopiesResult | undefined> {
  if (settings.otherStores.length === 0) return undefined;
  const { copyToOthers } = await import('./other-stores.js'); // most backups go to one store
  return copyToOthers(settings, signal);
}

/** Errors of a connection that may occur because the server has died. */
const LOST: ReadonlySet<ErrorCode> = new Set([
  'CONNECTION_LOST',
  'SERVER_UNREACHABLE',
  'TIMED_OUT',
]);

/** Returns the error for a lost connection if a signal has killed the local server. */
function deathBehind(
  error: unknown,
  server: LocalServerOnDemand | undefined,
): TardisError | undefined {
  return LOST.has(asTardisError(error).code) ? server?.death() : undefined;
}

/**
 * Adds a hint to two errors: if the default server cannot be reached, and if a new client meets a self-signed
 * certificate.
 */
function withHint(error: unknown, { local, create, client, sources }: Settings<'tardis'>): unknown {
  const { code, message } = asTardisError(error);
  if (create && code === 'CERTIFICATE_REFUSED') {
    const made = `create the client on the server's machine (sonic create -D STORE -C ${client} --password), and omit --create`;
    const why = 'a password authenticates the server only if the client exists';
    return new TardisError('CERTIFICATE_REFUSED', `${message}; ${why}: ${made}`);
  }
  const isNamed = sources.get('server')?.source !== 'built-in';
  if (local || isNamed || code !== 'SERVER_UNREACHABLE') return error;
  const hint =
    'use --local for a store in a directory of this machine, --server for another machine, or set up both by `tardis setup`';
  return new TardisError('SERVER_UNREACHABLE', `${message}; ${hint}`);
}

interface Running {
  readonly server: LocalServer | undefined;
  readonly signal: AbortSignal;
  readonly messages: RunMessages;
  readonly datedMs: number | undefined;
  readonly keptStretch: KeptStretch | undefined;
  readonly keptJobs: KeptJobs | undefined;
  readonly report: RunReport | undefined;
}

async function run(
  settings: Settings<'tardis'>,
  { server, signal, messages, datedMs, keptStretch, keptJobs, report }: Running,
): Promise<BackupResult> {
  const system = nodeSystem();
  const sources = { ...sourcesOf(settings), areExact: datedMs !== undefined };
  const streams = checkedStreams(settings, sources, messages); // fails before any request to the server
  const { client, create } = settings;
  const cipherChoice = cipherChoiceOf(settings);
  const ask = create
    ? { prompt: `New password of ${client}`, isNew: true }
    : promptFor(client, settings.account);
  const password = await givenPassword(settings, ask);
  if (create && (password === undefined || !settings.crypt) && cipherChoice !== undefined) {
    throw notEncrypting(client);
  }
  if (create && password !== undefined) messages.madeWith(password);
  // A server that gets the verifier of a new password is not authenticated by that password.
  const isProven = password !== undefined && !create;
  if (server === undefined) requireNoWeb(settings.server);
  const place = server === undefined ? serverPlace(settings.server, settings, isProven) : undefined;
  const request: BackupRequest = {
    client,
    create,
    credentials: {
      ...credentialsOf(settings, password, place?.address, messages.line),
      keptStretch,
    },
    tls: place?.tls,
    elsewhere: elsewhereOf(place?.address, settings, isProven),
    setName: settings.setName,
    datedMs,
    marks: marksOf(settings),
    config: settings.sendConfig ? runningConfig(settings) : undefined,
    report,
    streams,
    ...sources,
    full: settings.full,
    purge: settings.purge,
    waits: server !== undefined, // a local server ends with this process
    settings: {
      ...FIXED_LIMITS,
      ...settings,
      cipherChoice,
      compression: { codec: Codec[settings.codec], level: settings.compressLevel },
      rawRules: await rawRules({
        types: settings.noCompress,
        file: settings.noCompressFile,
        belowBytes: settings.compressMinBytes,
      }),
    },
    compressMessages: settings.compressMessages === 'snappy',
    rates: ratesOf(settings),
    timeoutMs: settings.timeoutSeconds * 1000,
    // A local server that died is not restarted.
    patience: server === undefined ? patienceOf(settings) : NO_PATIENCE,
  };
  const mayBeFew = server?.isForLittle === true;
  const jobs = jobsFor(settings, mayBeFew, keptJobs);
  const reach = async (): Promise<Address | InnerListener> => {
    await server?.ready;
    return server?.address ?? place!.address;
  };
  return runBackup(system, { reach, ...jobs, request, hooks: messages.hooks(), signal });
}

/** Returns what opens the runner of jobs, or takes the one that the backup before has kept, and keeps it for the next one. */
function jobsFor({ workers }: Settings<'tardis'>, mayBeFew: boolean, kept: KeptJobs | undefined) {
  const recentDigests = RECENT_DIGESTS;
  const options = { threads: workers, recentDigests, mayBeFew, isForBackups: true };
  return {
    openJobs: async (): Promise<JobRunner> => {
      const runner = kept?.runner;
      if (kept !== undefined) kept.runner = undefined;
      return runner ?? openJobs(nodeSystem(), options);
    },
    keepJobs:
      kept &&
      ((jobs: JobRunner): void => {
        kept.runner = jobs;
      }),
  };
}

/** Returns the part of a request that is about directories. */
function sourcesOf(settings: Settings<'tardis'>) {
  const { directories, snapshot, readDevices, maxDepth, basePath, keptAs, trustRoots } = settings;
  return {
    directories,
    excludes: excludeOptions(settings),
    crossDevices: settings.crossDevice,
    snapshot,
    readDevices,
    maxDepth,
    basePath,
    keptAs,
    trustRoots,
  };
}

/** Returns the streams to back up. Throws if they, or the directories, cannot be backed up. */
function checkedStreams(
  settings: Settings<'tardis'>,
  sources: NonNullable<Parameters<typeof readRoots>[2]>,
  messages: RunMessages,
): StreamSource[] {
  const streams = streamSources(settings, (line) => messages.printNote(line));
  const hintAt = sourceHint(settings);
  readRoots(nodeSystem(), settings.directories, { ...sources, streams, hintAt });
  return streams;
}

/** Returns the credentials; `server` is undefined for the local store. */
function credentialsOf(
  settings: Settings<'tardis'>,
  password: Buffer | undefined,
  server: Address | undefined,
  line: ProgressLine,
): NonNullable<BackupRequest['credentials']> {
  const { account, client, crypt } = settings;
  return {
    password,
    stretch: stretchFor(settings),
    encrypts: crypt,
    account,
    keyFile: keyFileOf(settings),
    identity: identityAt(settings, server),
    ask: (over) => line.silentDuring(() => askPassword(promptFor(client, account), over)),
  };
}

function patienceOf({ reconnectSeconds, sources }: Settings<'tardis'>): Patience {
  // If no server is named, the default one is tried once.
  const triesFirst = sources.get('server')?.source !== 'built-in';
  const waitsForName = sources.get('reconnectSeconds')?.source !== 'built-in';
  return { forMs: reconnectSeconds * 1000, triesFirst, waitsForName };
}

/** Maximum number of failures in JSON. The set has all failures. */
const MOST_NAMED = 10_000;

/** Messages to the user during the run and at its end, on the terminal and in log files. */
class RunMessages {
  readonly line: ProgressLine;
  private readonly shown = new BackupLine();
  /** Failures and doubts, for --json. */
  private readonly named: Record<string, string>[] = [];
  private readonly log: ClientLog;
  private readonly saved: SavedList | undefined;

  /** The place of a client that this run has created in a store of this machine. */
  private created: NewPlace | undefined;
  /** True if this is the first backup of a client that this run has created. */
  private isFirst = false;
  /** True if the run creates the client with a password that encrypts its data. */
  private isEncrypted = false;

  constructor(
    private readonly settings: Settings<'tardis'>,
    readonly scan: ScanAhead,
    private readonly server: LocalServerOnDemand | undefined,
    private readonly program: 'tardis' | 'tardis-import',
  ) {
    this.log = new ClientLog(settings.logFiles);
    this.line = new ProgressLine(settings.progress, () => this.shown.text());
    this.saved = settings.report ? new SavedList(settings.json) : undefined;
  }

  /** Returns the hooks that print messages of a run. */
  hooks(): BackupHooks {
    const { saved, settings } = this;
    return {
      onStart: (running) => {
        this.shown.begin(running);
        this.line.start();
      },
      onOpened: (opened) => {
        this.shown.opened(opened);
        this.isFirst = settings.create && opened.empty;
        if (settings.create) this.noteCreated();
        const isLookedAt = opened.empty && this.line.isShown && settings.workers > 0;
        if (isLookedAt) this.scan.start((total) => this.shown.expect(total));
      },
      onRetry: (retry) => this.printNote(retryText(retry)),
      onRestart: () => {
        this.named.length = 0;
        this.printNote('the server has ended the session; starting again from its last checkpoint');
      },
      onFailures: (failures) => {
        for (const { path: name, what, reason } of failures) {
          const words = errnoText(reason);
          const why = words === reason ? ` (${reason})` : `: ${words}`;
          const text = `${displayName(name)}: ${what}${why}`;
          this.log.write(text);
          if (this.named.length < MOST_NAMED)
            this.named.push({ ...jsonName(Buffer.from(name)), what, reason });
          if (!settings.json) this.line.interject(`${shownProgram(this.program)}: ${text}`);
        }
      },
      onDirectory: (directory, isSame) => {
        if (settings.verbosity <= (isSame ? 1 : 0)) return;
        const text = `${isSame ? '=' : '+'} ${displayName(directory)}`;
        this.printLine(text);
      },
      onLeftOut: (leftOut) => {
        for (const { path, why } of leftOut) this.printLine(`x ${displayName(path)} (${why})`);
      },
      ...(saved === undefined ? {} : { onSaved: (path) => saved.add(path) }),
    };
  }

  /** Prints the place of the new client before its first backup, which may take long. */
  private noteCreated(): void {
    const { server, settings } = this;
    const store = this.created === undefined ? server?.store() : undefined;
    if (store === undefined) return;
    const [shown, { client }] = [byteText(store), settings];
    const sources = this.program === 'tardis' ? settings.directories : []; // an import shows its own in TMPDIR
    this.created = newPlace(shown, path.join(shown, client), sources);
    this.printNote(`the client "${client}" is new: ${newPlaceText(this.created)}`);
  }

  /** Prints the strength of the password of a new client, and notes whether it encrypts the data. */
  madeWith(password: Buffer): void {
    const line = strengthLine(password, this.settings);
    this.isEncrypted = this.settings.crypt;
    if (!this.settings.json) complain(this.program, line);
  }

  printNote(text: string): void {
    this.log.write(text);
    if (!this.settings.json) this.line.interject(`${shownProgram(this.program)}: ${text}`);
  }

  private printLine(text: string): void {
    this.log.write(text);
    this.line.interject(text);
  }

  failed(error: unknown): void {
    const { code, message } = asTardisError(error);
    this.log.write(`${message} [${code}]`);
    this.log.close();
    this.saved?.close();
  }

  done(result: BackupResult, warnings: readonly string[], copies: CopiesResult | undefined): void {
    const { json, stats, client, purge } = this.settings;
    this.saved?.print((chunk) => process.stdout.write(chunk));
    this.saved?.close();
    const next = this.isFirst ? nextLines(this.settings, this.isEncrypted) : [];
    const lines = [...backupLines(result, client, purge), ...(copies?.lines ?? []), ...next];
    for (const line of lines) this.log.write(line);
    const unpurged = result.settled && settledWarning(result.settled);
    const doubts = [...result.doubts, ...(unpurged === undefined ? [] : [unpurged])];
    for (const doubt of [...doubts, ...(copies?.warnings ?? [])]) {
      this.log.write(doubt);
      if (!json) complain(this.program, doubt);
    }
    this.log.close();
    const named = { failed: this.named, warnings };
    const copied = {
      ...(this.created && { created: this.created }),
      ...(copies && { copies: copies.shown }),
    };
    const snapshots = result.snapshots?.map(({ path, ...more }) => ({
      ...jsonName(path),
      ...more,
    }));
    const shown = { ...result, ...(snapshots && { snapshots }) };
    if (json) printJson({ ...shown, ...named, ...copied });
    else lines.forEach(print);
    if (stats && !json) printStages(result);
  }
}

/** Returns the marks of the new set. Throws USAGE for an invalid tag. */
function marksOf({ tags, priority, expendable }: Settings<'tardis'>): BackupRequest['marks'] {
  requireTags(tags);
  return { tags, priority, isExpendable: expendable };
}

function ratesOf({ bandwidthLimit }: Settings<'tardis'>): RatePeriod[] | undefined {
  return bandwidthLimit === undefined ? undefined : parseRates(bandwidthLimit, 'BandwidthLimit');
}
