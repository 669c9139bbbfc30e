/** The run of `tardis`: pool, connection, pipeline, report. Loaded while the local server starts. */
import { type BackupResult, type LocalServer, readRoots, runBackup } from '../client/index.js';
import type { OptionValues, PIPELINE_OPTIONS } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import type { BackupProgress } from '../pipeline/index.js';
import { Codec, type CodecName } from '../store/index.js';
import { type Address, isLoopback, nodeSystem } from '../system/index.js';
import { type Failure, JobPool } from '../workers/index.js';
import { ProgressLine } from './progress-line.js';
import { printBackup, printStages } from './report-backup.js';
import type { TardisOptions } from './tardis-options.js';
import { formatBytes, formatCount } from './units.js';

/** Digests remembered to keep repeats off the wire: 4 MiB. */
const RECENT_DIGESTS = 1 << 17;

/** Runs a backup and reports it; returns the exit status. Ends the local server in any case. */
export async function backUp(
  directories: readonly string[],
  options: TardisOptions,
  settings: OptionValues<typeof PIPELINE_OPTIONS>,
  server: LocalServer | undefined,
  signal: AbortSignal,
): Promise<number> {
  const system = nodeSystem();
  let jobs: JobPool | undefined;
  let progress: BackupProgress | undefined;
  const line = new ProgressLine(options.progress, () => progressText(progress));
  let result: BackupResult;
  try {
    readRoots(system, directories); // fails before the server is asked for anything
    const tcp = server === undefined ? tcpAddress(options) : undefined;
    jobs = new JobPool({ threads: settings.workers, recentDigests: RECENT_DIGESTS });
    await server?.ready;
    result = await runBackup(
      system,
      server?.address ?? tcp!,
      jobs,
      {
        client: options.client,
        create: options.create === true,
        setName: options.name,
        directories,
        excludes: options.exclude,
        settings: {
          ...settings,
          compression: {
            codec: Codec[settings.codec as CodecName],
            level: settings.compressLevel,
          },
        },
        compressMessages: settings.compressMessages === 'snappy',
        timeoutMs: Number(options.timeout) * 1000,
      },
      {
        onStart: (running) => {
          progress = running;
          line.start();
        },
        onFailures: (failures) => tellFailures(line, failures, options.json === true),
        onDirectory: (directory, isSame) => {
          const isWanted = isSame ? options.verbose > 1 : options.verbose > 0;
          if (isWanted) line.interject(`${isSame ? '=' : '+'} ${displayName(directory)}`);
        },
      },
      signal,
    );
  } catch (error) {
    // Whatever broke because of the interruption, the interruption is what happened.
    if (signal.aborted) throw new TardisError('INTERRUPTED', 'interrupted');
    throw error;
  } finally {
    line.stop();
    await Promise.all([server?.close(), jobs?.close()]);
  }
  printBackup(result, options.json === true);
  if (options.stats === true && options.json !== true) printStages(result);
  return result.progress.unreadable > 0 ? 3 : 0;
}

function tcpAddress(options: TardisOptions): Address {
  const port = Number(options.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new TardisError('USAGE', `"${options.port}" is no port`);
  }
  if (options.insecureTcp !== true || !isLoopback(options.server)) {
    throw new TardisError(
      'INSECURE_TCP_REFUSED',
      `refusing plain TCP to ${options.server}:${port}`,
    );
  }
  return { kind: 'tcp', host: options.server, port };
}

function tellFailures(line: ProgressLine, failures: readonly Failure[], json: boolean): void {
  if (json) return;
  for (const { path: name, what, reason } of failures) {
    line.interject(`tardis: ${displayName(name)}: ${what} (${reason})`);
  }
}

function progressText(progress: BackupProgress | undefined): string {
  if (progress === undefined) return 'starting';
  const { entries, scannedBytes, filesRead, readBytes, sentBytes, isWalkDone } = progress;
  const scanned = `${formatCount(entries)} entries, ${formatBytes(scannedBytes)}`;
  return (
    `scanned ${scanned}${isWalkDone ? '' : ' …'}  ` +
    `read ${formatCount(filesRead)} files, ${formatBytes(readBytes)}  sent ${formatBytes(sentBytes)}`
  );
}
