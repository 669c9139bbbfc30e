/** The run of `tardis`: pool, connection, pipeline, report. Loaded while the local server starts. */
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
} from '../client/index.js';
import { type Found, parseRates, type RatePeriod, type Settings } from '../config/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import { displayName, jsonName } from '../model/index.js';
import { Codec } from '../store/index.js';
import { type Address, nodeSystem } from '../system/index.js';
import { type JobRunner, openJobs } from '../workers/index.js';
import { BackupEvents } from './backup-events.js';
import { ClientLog } from './client-log.js';
import { excludeOptions } from './exclude-settings.js';
import { cryptWishOf } from './filter-settings.js';
import { askPassword, givenPassword, strengthLine } from './password.js';
import { ProgressLine } from './progress-line.js';
import { backupLines, printStages } from './report-backup.js';
import { JSON_VERSION, print } from './run-tool.js';
import { runningConfig } from './running-config.js';
import { SavedList } from './saved-list.js';
import { retryText, serverPlace } from './server-address.js';
import { ShownBackup } from './shown-backup.js';
import { requireTags } from './tags.js';
import { keyFileOf, promptFor } from './unlock.js';

/** Digests remembered to keep repeats off the wire: 4 MiB. */
const RECENT_DIGESTS = 1 << 17;

/**
 * Runs a backup, with its hooks, and reports it; returns the exit status. Ends the local server in any case, and before
 * the hooks at the end: they may unmount what the store is on.
 */
export async function backUp(
  settings: Settings<'tardis'>,
  found: ReadonlyMap<string, Found>,
  server: LocalServerOnDemand | undefined,
  signal: AbortSignal,
): Promise<number> {
  let told: Told | undefined;
  let events: BackupEvents | undefined;
  let result: BackupResult;
  try {
    told = new Told(settings);
    events = new BackupEvents(settings, (line) => told?.say(line));
    await events.begin(signal);
    result = await run(settings, found, server?.get(), signal, told);
  } catch (error) {
    // Whatever broke because of the interruption, the interruption is what happened.
    const failure = signal.aborted ? new TardisError('INTERRUPTED', 'interrupted') : error;
    told?.line.stop();
    await server?.close();
    await events?.failed(asTardisError(failure));
    told?.failed(failure);
    throw failure;
  }
  told.line.stop();
  await server?.close();
  const { unreadable, incomplete, held } = result.progress;
  const status = unreadable + incomplete + held > 0 ? 3 : 0;
  await events.done(result, status);
  told.done(result, events.warnings);
  return status;
}

async function run(
  settings: Settings<'tardis'>,
  found: ReadonlyMap<string, Found>,
  server: LocalServer | undefined,
  signal: AbortSignal,
  told: Told,
): Promise<BackupResult> {
  const system = nodeSystem();
  readRoots(system, settings.directories, settings); // fails before the server is asked for anything
  const { client, create } = settings;
  const cryptWish = cryptWishOf(settings);
  const ask = create
    ? { prompt: `New password of ${client}`, isNew: true }
    : promptFor(client, settings.account);
  const password = await givenPassword(settings, found, ask);
  if (create && (password === undefined || !settings.crypt) && cryptWish !== undefined) {
    throw notEncrypting(client);
  }
  if (create && password !== undefined) told.strength(strengthLine(password));
  // A server that is given a new password's verifier is not proven by it.
  const isProven = password !== undefined && !create;
  const place = server === undefined ? serverPlace(settings.server, settings, isProven) : undefined;
  const request: BackupRequest = {
    client,
    create,
    credentials: {
      password,
      encrypts: settings.crypt,
      account: settings.account,
      keyFile: keyFileOf(settings),
      ask: (over) =>
        told.line.silentDuring(() => askPassword(promptFor(client, settings.account), over)),
    },
    tls: place?.tls,
    setName: settings.setName,
    marks: marksOf(settings),
    config: settings.sendConfig ? runningConfig(settings, found) : undefined,
    directories: settings.directories,
    excludes: excludeOptions(settings, found),
    crossDevices: settings.crossDevice,
    maxDepth: settings.maxDepth,
    basePath: settings.basePath,
    keptAs: settings.keptAs,
    trustRoots: settings.trustRoots,
    full: settings.full,
    purge: settings.purge,
    settings: {
      ...settings,
      cryptWish,
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
    // A local server that is gone does not come back.
    patience: { forMs: server === undefined ? settings.reconnectSeconds * 1000 : 0 },
  };
  const jobs = (): Promise<JobRunner> =>
    openJobs(system, { threads: settings.workers, recentDigests: RECENT_DIGESTS });
  const reach = async (): Promise<Address> => {
    await server?.ready;
    return server?.address ?? place!.address;
  };
  return runBackup(system, reach, jobs, request, told.hooks(), signal);
}

/** Failures named in JSON; the set has them all. */
const MOST_NAMED = 10_000;

/** What the user is told while it runs and at its end, on the terminal and in log files. */
class Told {
  readonly line: ProgressLine;
  private readonly shown = new ShownBackup();
  /** What could not be saved, or not surely, for --json. */
  private readonly named: Record<string, string>[] = [];
  private readonly log: ClientLog;
  private readonly saved: SavedList | undefined;
  private readonly settings: Settings<'tardis'>;

  constructor(settings: Settings<'tardis'>) {
    this.settings = settings;
    this.log = new ClientLog(settings.logFiles);
    this.line = new ProgressLine(settings.progress, () => this.shown.text());
    this.saved = settings.report ? new SavedList(settings.json) : undefined;
  }

  hooks(): BackupHooks {
    const { saved, settings } = this;
    return {
      onStart: (running) => {
        this.shown.begin(running);
        this.line.start();
      },
      onOpened: (opened) => this.shown.opened(opened),
      onRetry: (retry) => this.say(retryText(retry)),
      onRestart: () => {
        this.named.length = 0;
        this.say('the server has given the session up, beginning again from its last checkpoint');
      },
      onFailures: (failures) => {
        for (const { path: name, what, reason } of failures) {
          const text = `${displayName(name)}: ${what} (${reason})`;
          this.log.write(text);
          if (this.named.length < MOST_NAMED)
            this.named.push({ ...jsonName(Buffer.from(name)), what, reason });
          if (!settings.json) this.line.interject(`tardis: ${text}`);
        }
      },
      onDirectory: (directory, isSame) => {
        if (settings.verbosity <= (isSame ? 1 : 0)) return;
        const text = `${isSame ? '=' : '+'} ${displayName(directory)}`;
        this.tell(text);
      },
      onLeftOut: (leftOut) => {
        for (const { path, why } of leftOut) this.tell(`x ${displayName(path)} (${why})`);
      },
      ...(saved === undefined ? {} : { onSaved: (path) => saved.add(path) }),
    };
  }

  /** How strong a new password is. */
  strength(line: string): void {
    if (!this.settings.json) process.stderr.write(`tardis: ${line}\n`);
  }

  say(text: string): void {
    this.log.write(text);
    if (!this.settings.json) this.line.interject(`tardis: ${text}`);
  }

  private tell(text: string): void {
    this.log.write(text);
    this.line.interject(text);
  }

  failed(error: unknown): void {
    const { code, message } = asTardisError(error);
    this.log.write(`${message} [${code}]`);
    this.log.close();
    this.saved?.close();
  }

  done(result: BackupResult, warnings: readonly string[]): void {
    const { json, stats } = this.settings;
    this.saved?.print((chunk) => process.stdout.write(chunk));
    this.saved?.close();
    const lines = backupLines(result);
    for (const line of lines) this.log.write(line);
    for (const doubt of result.doubts) {
      this.log.write(doubt);
      if (!json) process.stderr.write(`tardis: ${doubt}\n`);
    }
    this.log.close();
    const named = { failed: this.named, warnings };
    if (json) print(JSON.stringify({ version: JSON_VERSION, ...result, ...named }));
    else lines.forEach(print);
    if (stats && !json) printStages(result);
  }
}

/** Throws USAGE. */
function marksOf({ tags, priority, expendable }: Settings<'tardis'>): BackupRequest['marks'] {
  requireTags(tags);
  return { tags, priority, isExpendable: expendable };
}

function ratesOf({ bandwidthLimit }: Settings<'tardis'>): RatePeriod[] | undefined {
  return bandwidthLimit === undefined ? undefined : parseRates(bandwidthLimit, 'BandwidthLimit');
}
