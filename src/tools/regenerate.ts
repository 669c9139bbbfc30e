/** `regenerate`: restores files and trees. */
import { Command } from 'commander';
import path from 'node:path';
import { openLocalArchive } from '../archive/index.js';
import { type RestoreFailure, type RestoreProgress, runRestore } from '../client/index.js';
import { PIPELINE_OPTIONS, resolveOptions, SERVER_OPTIONS } from '../config/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import { displayName, jsonName } from '../model/index.js';
import { markDamaged } from '../server/index.js';
import { openClientDirectory } from '../store/index.js';
import { nodeSystem, type System } from '../system/index.js';
import { JobPool } from '../workers/index.js';
import { ProgressLine } from './progress-line.js';
import {
  addStoreOptions,
  clientPlace,
  describeTool,
  interruptSignal,
  JSON_VERSION,
  print,
  runTool,
  type StoreOptions,
} from './run-tool.js';
import { formatBytes, formatCount, formatSeconds } from './units.js';

interface RegenerateOptions extends StoreOptions {
  readonly backup?: string;
  readonly output: string;
  readonly overwrite?: boolean;
  readonly workers?: string;
  readonly progress?: boolean;
  readonly json?: boolean;
}

const RECENT_DIGESTS = 8; // restoring sends nothing

function program(): Command {
  const command = describeTool(new Command(), 'regenerate', 'Restores files and directories.');
  addStoreOptions(command)
    .argument('<path...>', 'paths as they were backed up')
    .option(
      '-b, --backup <set>',
      'from this set (number or name; default: the newest complete one)',
    )
    .option('-o, --output <dir>', 'directory to restore into', '.')
    .option('--overwrite', 'replace files that are there already')
    .option('--workers <n>', 'worker threads')
    .option('--progress', 'show progress (by itself on a terminal)')
    .option('--no-progress', 'show none')
    .option('--json', 'print the result as JSON');
  command.addHelpText(
    'after',
    `
Each PATH becomes OUTPUT/its-last-component, checked against its digests.

Examples:
  regenerate -D /srv/tardis -o /tmp/back /home/me/letters
  regenerate -D /srv/tardis -b 3 /etc/fstab

Exit status: 0 done, 1 failed, 3 done but some files could not be restored, 10 no such store or
client, 130 interrupted.`,
  );
  return command.action(async (paths: string[], options: RegenerateOptions) => {
    process.exitCode = await restore(paths, options);
  });
}

async function restore(paths: readonly string[], options: RegenerateOptions): Promise<number> {
  const startMs = performance.now();
  const system = nodeSystem();
  const { workers } = resolveOptions(PIPELINE_OPTIONS, {
    environment: process.env,
    commandLine: { workers: options.workers },
  });
  const archive = openLocalArchive(system, clientPlace(options));
  const jobs = new JobPool({ threads: workers, recentDigests: RECENT_DIGESTS });
  const progress: RestoreProgress = { directories: 0, files: 0, links: 0, bytes: 0, failures: 0 };
  const line = new ProgressLine(options.progress, () => {
    const { files, directories, bytes } = progress;
    return (
      `restored ${formatCount(files)} files in ${formatCount(directories)} directories, ` +
      formatBytes(bytes)
    );
  });
  try {
    const set = await archive.findSet(options.backup);
    if (set.state !== 'complete') {
      line.interject(`regenerate: set ${set.set} is unfinished; restoring what it holds`);
    }
    if (set.isDoubtful) {
      line.interject(`regenerate: set ${set.set} may lack entries that were lost to damage`);
    }
    line.start();
    const failures = await runRestore(
      system,
      archive,
      jobs,
      {
        set: set.set,
        paths: paths.map((given) => Buffer.from(path.resolve(given))),
        output: options.output,
        overwrite: options.overwrite === true,
        workers,
      },
      progress,
      interruptSignal(),
    );
    line.stop();
    const elapsedMs = performance.now() - startMs;
    report(progress, failures, elapsedMs, options.json === true);
    await noteDamage(system, options, failures);
    if (failures.length === 0) return set.isDoubtful ? 3 : 0;
    const allTaken = failures.every(({ error }) => error.code === 'TARGET_EXISTS');
    if (allTaken && progress.files + progress.directories + progress.links === 0) {
      throw new TardisError('TARGET_EXISTS', 'nothing was restored: everything is there already');
    }
    return 3;
  } finally {
    line.stop();
    archive.close();
    await jobs.close();
  }
}

function report(
  progress: RestoreProgress,
  failures: readonly RestoreFailure[],
  elapsedMs: number,
  asJson: boolean,
): void {
  if (asJson) {
    const shown = failures.map(({ path: name, error }) => ({ ...jsonName(name), ...error }));
    print(JSON.stringify({ version: JSON_VERSION, ...progress, elapsedMs, failed: shown }));
    return;
  }
  for (const { path: name, error } of failures) {
    process.stderr.write(`regenerate: ${displayName(name)}: ${error.message} [${error.code}]\n`);
  }
  const { files, directories, links, bytes } = progress;
  print(
    `Restored ${formatCount(files)} files, ${formatCount(directories)} directories and ` +
      `${formatCount(links)} links, ${formatBytes(bytes)}, in ${formatSeconds(elapsedMs)}.`,
  );
  if (failures.length > 0) print(`${formatCount(failures.length)} could not be restored.`);
}

/** What was found damaged is noted in the store, so that the next backup sends it again. */
async function noteDamage(
  system: System,
  options: RegenerateOptions,
  failures: readonly RestoreFailure[],
): Promise<void> {
  const digests = failures.flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  if (digests.length === 0) return;
  try {
    const directory = openClientDirectory(system, clientPlace(options));
    const limits = {
      packBytes: SERVER_OPTIONS.packBytes.default,
      packContentBytes: SERVER_OPTIONS.packContentBytes.default,
    };
    await markDamaged(system, directory, limits, digests);
    process.stderr.write('regenerate: the damage is noted; the next backup sends it again\n');
  } catch (error) {
    const { code } = asTardisError(error);
    process.stderr.write(`regenerate: the damage could not be noted in the store [${code}]\n`);
  }
}

await runTool(program(), process.argv);
