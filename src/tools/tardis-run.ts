/** The run of `tardis`: pool, connection, pipeline, report. Loaded while the local server starts. */
import { type BackupResult, type LocalServer, readRoots, runBackup } from '../client/index.js';
import type { Settings } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import type { BackupProgress } from '../pipeline/index.js';
import { Codec } from '../store/index.js';
import { type Address, isLoopback, nodeSystem } from '../system/index.js';
import { type Failure, JobPool } from '../workers/index.js';
import { ProgressLine } from './progress-line.js';
import { printBackup, printStages } from './report-backup.js';
import { formatBytes, formatCount } from './units.js';

/** Digests remembered to keep repeats off the wire: 4 MiB. */
const RECENT_DIGESTS = 1 << 17;

/** Runs a backup and reports it; returns the exit status. Ends the local server in any case. */
export async function backUp(
  settings: Settings<'tardis'>,
  server: LocalServer | undefined,
  signal: AbortSignal,
): Promise<number> {
  const system = nodeSystem();
  let jobs: JobPool | undefined;
  let progress: BackupProgress | undefined;
  const line = new ProgressLine(settings.progress, () => progressText(progress));
  let result: BackupResult;
  try {
    readRoots(system, settings.directories); // fails before the server is asked for anything
    const tcp = server === undefined ? tcpAddress(settings) : undefined;
    jobs = new JobPool({ threads: settings.workers, recentDigests: RECENT_DIGESTS });
    await server?.ready;
    result = await runBackup(
      system,
      server?.address ?? tcp!,
      jobs,
      {
        client: settings.client,
        create: settings.create,
        setName: settings.setName,
        directories: settings.directories,
        excludes: settings.exclude,
        settings: {
          ...settings,
          compression: {
            codec: Codec[settings.codec],
            level: settings.compressLevel,
          },
        },
        compressMessages: settings.compressMessages === 'snappy',
        timeoutMs: settings.timeoutSeconds * 1000,
      },
      {
        onStart: (running) => {
          progress = running;
          line.start();
        },
        onFailures: (failures) => tellFailures(line, failures, settings.json),
        onDirectory: (directory, isSame) => {
          const isWanted = isSame ? settings.verbosity > 1 : settings.verbosity > 0;
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
  printBackup(result, settings.json);
  if (settings.stats && !settings.json) printStages(result);
  return result.progress.unreadable > 0 ? 3 : 0;
}

function tcpAddress({ server, port, insecureTcp }: Settings<'tardis'>): Address {
  if (port === 0) throw new TardisError('CONFIG_INVALID', "port 0 is nobody's");
  if (!insecureTcp || !isLoopback(server)) {
    throw new TardisError('INSECURE_TCP_REFUSED', `refusing plain TCP to ${server}:${port}`);
  }
  return { kind: 'tcp', host: server, port };
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
