/** `tardis`: backs up directories. */
import { Command, Option } from 'commander';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BackupResult, readRoots, runBackup, startLocalServer } from '../client/index.js';
import {
  DEFAULT_PORT,
  type OptionValues,
  PIPELINE_OPTIONS,
  resolveOptions,
} from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import type { BackupProgress } from '../pipeline/index.js';
import { checkClientName, Codec, type CodecName } from '../store/index.js';
import { type Address, isLoopback, nodeSystem } from '../system/index.js';
import { type Failure, JobPool } from '../workers/index.js';
import { ProgressLine } from './progress-line.js';
import { printBackup, printStages } from './report-backup.js';
import {
  addStoreOptions,
  describeTool,
  interruptSignal,
  runTool,
  type StoreOptions,
} from './run-tool.js';
import { formatBytes, formatCount } from './units.js';

interface TardisOptions extends StoreOptions {
  readonly local?: boolean;
  readonly server: string;
  readonly port: string;
  readonly insecureTcp?: boolean;
  readonly create?: boolean;
  readonly name: string;
  readonly exclude: readonly string[];
  readonly config?: string;
  readonly localConfig?: string;
  readonly localServerCmd?: string;
  readonly timeout: string;
  readonly stats?: boolean;
  readonly progress?: boolean;
  readonly json?: boolean;
  readonly verbose: number;
  readonly [pipelineFlag: string]: unknown;
}

/** Digests remembered to keep repeats off the wire: 4 MiB. */
const RECENT_DIGESTS = 1 << 17;

/** Command-line flags of the pipeline's options. */
const PIPELINE_FLAGS: readonly [flag: string, name: keyof typeof PIPELINE_OPTIONS][] = [
  ['--workers <n>', 'workers'],
  ['--budget <size>', 'budgetBytes'],
  ['--budget-items <n>', 'budgetItems'],
  ['--parcel-files <n>', 'parcelFiles'],
  ['--parcel-size <size>', 'parcelBytes'],
  ['--frame-size <size>', 'frameBytes'],
  ['--small-size <size>', 'smallBytes'],
  ['--hash-concurrency <n>', 'hashConcurrency'],
  ['--compress-concurrency <n>', 'compressConcurrency'],
  ['--stream-concurrency <n>', 'streamConcurrency'],
  ['--compress-data <codec>', 'codec'],
  ['--compress-level <n>', 'compressLevel'],
  ['--compress-msgs <codec>', 'compressMessages'],
];

function optionName(flag: string): string {
  const words = flag.replace(/^--/, '').replace(/ .*$/, '').split('-');
  return words
    .map((word, index) => (index === 0 ? word : word[0]!.toUpperCase() + word.slice(1)))
    .join('');
}

const collect = (value: string, previous: string[]): string[] => [...previous, value];
const count = (_value: string, previous: number): number => previous + 1;

function program(): Command {
  const command = describeTool(new Command(), 'tardis', 'Backs up directories to a tardis store.');
  addStoreOptions(command)
    .argument('<directory...>', 'directories to back up')
    .option('--local', 'write to a store on this machine, by a server started for this run')
    .addOption(
      new Option('--server <host>', 'server to send to').env('TARDIS_SERVER').default('localhost'),
    )
    .addOption(
      new Option('--port <n>', 'its port').env('TARDIS_PORT').default(String(DEFAULT_PORT)),
    )
    .option('--insecure-tcp', 'allow plain TCP, over loopback only (until login exists)')
    .option('--create', 'make the client (and the store, with --local) first')
    .option('--name <name>', 'name of the backup set', '')
    .option('-x, --exclude <glob>', 'leave out what matches; may be given again', collect, [])
    .option('--config <file>', 'configuration file, section [Pipeline]')
    .addOption(
      new Option('--local-config <file>', 'configuration of the --local server').env(
        'TARDIS_LOCAL_CONFIG',
      ),
    )
    .option('--local-server-cmd <command>', 'command that runs the --local server')
    .option('--timeout <seconds>', 'seconds without a sign of life until giving up', '300')
    .option('--stats', 'print figures of every stage')
    .option('--progress', 'show progress (by itself on a terminal)')
    .option('--no-progress', 'show none')
    .option('--json', 'print the result as JSON')
    .option('-v, --verbose', 'say more; may be given again', count, 0);
  for (const [flag, name] of PIPELINE_FLAGS) {
    const spec = PIPELINE_OPTIONS[name];
    command.option(flag, `${spec.help} (default: ${spec.default})`);
  }
  command.addHelpText(
    'after',
    `
Examples:
  tardis -D /srv/tardis --local --create ~     first backup of your home directory
  tardis -D /srv/tardis --local ~              every later one
  tardis --server localhost --insecure-tcp /etc /home

Exit status: 0 done, 1 failed, 3 done but some files could not be read, 10 no such store or client,
11 busy, 130 interrupted.`,
  );
  return command.action(async (directories: string[], options: TardisOptions) => {
    process.exitCode = await backup(directories, options);
  });
}

function pipelineSettings(options: TardisOptions): OptionValues<typeof PIPELINE_OPTIONS> {
  const commandLine: Record<string, string | undefined> = {};
  for (const [flag, name] of PIPELINE_FLAGS) {
    commandLine[name] = options[optionName(flag)] as string | undefined;
  }
  return resolveOptions(PIPELINE_OPTIONS, {
    environment: process.env,
    configFile: options.config,
    commandLine,
  });
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

async function backup(directories: string[], options: TardisOptions): Promise<number> {
  const system = nodeSystem();
  const settings = pipelineSettings(options);
  checkClientName(options.client);
  const timeoutSeconds = Number(options.timeout);
  if (!(timeoutSeconds > 0)) throw new TardisError('USAGE', '--timeout needs a number of seconds');
  readRoots(system, directories); // fails before anything is started
  const tcp = options.local === true ? undefined : tcpAddress(options);
  const signal = interruptSignal();
  // Threads and server start side by side.
  const jobs = new JobPool({ threads: settings.workers, recentDigests: RECENT_DIGESTS });
  let progress: BackupProgress | undefined;
  const line = new ProgressLine(options.progress, () => progressText(progress));
  try {
    const server =
      tcp === undefined ? await startLocalServer(system, localServer(options)) : undefined;
    let result: BackupResult;
    try {
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
          timeoutMs: timeoutSeconds * 1000,
        },
        {
          onStart: (running) => {
            progress = running;
            line.start();
          },
          onFailures: (failures) => tellFailures(line, failures, options.json === true),
        },
        signal,
      );
    } finally {
      line.stop();
      await server?.close();
    }
    printBackup(result, options.json === true);
    if (options.stats === true && options.json !== true) printStages(result);
    return result.progress.unreadable > 0 ? 3 : 0;
  } finally {
    line.stop();
    await jobs.close();
  }
}

function localServer(options: TardisOptions): Parameters<typeof startLocalServer>[1] {
  const tool = fileURLToPath(new URL('./tardisd.js', import.meta.url));
  const command = options.localServerCmd?.split(' ').filter((word) => word !== '') ?? [
    process.execPath,
    ...process.execArgv,
    tool,
  ];
  return { store: path.resolve(options.database), configFile: options.localConfig, command };
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

await runTool(program(), process.argv);
