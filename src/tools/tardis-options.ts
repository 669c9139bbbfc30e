/** The command line of `tardis`: its options, and their help. */
import { Command, Option } from 'commander';
import {
  DEFAULT_PORT,
  type OptionValues,
  PIPELINE_OPTIONS,
  resolveOptions,
} from '../config/index.js';
import { addStoreOptions, describeTool, type StoreOptions } from './run-tool.js';

export interface TardisOptions extends StoreOptions {
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

/** Command-line flags of the pipeline's options. */
const PIPELINE_FLAGS: readonly [flag: string, name: keyof typeof PIPELINE_OPTIONS][] = [
  ['--workers <n>', 'workers'],
  ['--budget <size>', 'budgetBytes'],
  ['--budget-items <n>', 'budgetItems'],
  ['--parcel-files <n>', 'parcelFiles'],
  ['--parcel-size <size>', 'parcelBytes'],
  ['--frame-size <size>', 'frameBytes'],
  ['--small-size <size>', 'smallBytes'],
  ['--walk-concurrency <n>', 'walkConcurrency'],
  ['--hash-concurrency <n>', 'hashConcurrency'],
  ['--compress-concurrency <n>', 'compressConcurrency'],
  ['--stream-concurrency <n>', 'streamConcurrency'],
  ['--compress-data <codec>', 'codec'],
  ['--compress-level <n>', 'compressLevel'],
  ['--compress-msgs <codec>', 'compressMessages'],
];

const collect = (value: string, previous: string[]): string[] => [...previous, value];
const count = (_value: string, previous: number): number => previous + 1;

/** The command; `run` gets the directories and the options. */
export function tardisCommand(
  run: (directories: string[], options: TardisOptions) => Promise<void>,
): Command {
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
    .option(
      '-v, --verbose',
      'name each changed directory (+); twice: unchanged ones (=) too',
      count,
      0,
    );
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
  return command.action(run);
}

function optionName(flag: string): string {
  const words = flag.replace(/^--/, '').replace(/ .*$/, '').split('-');
  return words
    .map((word, index) => (index === 0 ? word : word[0]!.toUpperCase() + word.slice(1)))
    .join('');
}

/** The pipeline's settings from defaults, the config file and flags. Throws CONFIG_INVALID. */
export function pipelineSettings(options: TardisOptions): OptionValues<typeof PIPELINE_OPTIONS> {
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
