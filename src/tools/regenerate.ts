/** `regenerate`: restores files and trees. */
import { openLocalArchive } from '../archive/index.js';
import { type RestoreFailure, type RestoreProgress, runRestore } from '../client/index.js';
import { defaultOf, type Settings } from '../config/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import { displayName, jsonName } from '../model/index.js';
import { markDamaged } from '../server/index.js';
import { openClientDirectory } from '../store/index.js';
import { absolutePath, nodeSystem, type System } from '../system/index.js';
import { openJobs } from '../workers/index.js';
import { ProgressLine } from './progress-line.js';
import {
  clientPlace,
  interruptSignal,
  JSON_VERSION,
  print,
  runTool,
  toolCommand,
  wantedSet,
} from './run-tool.js';
import { formatBytes, formatCount, formatSeconds } from './units.js';

type RegenerateSettings = Settings<'regenerate'>;

const RECENT_DIGESTS = 8; // restoring sends nothing

const command = toolCommand({
  tool: 'regenerate',
  summary: 'Restores files and directories.',
  help: `
Each PATH becomes OUTPUT/its-last-component, checked against its digests.

Examples:
  regenerate -D /srv/tardis -o /tmp/back /home/me/letters
  regenerate -D /srv/tardis -b 3 /etc/fstab

Exit status: 0 done, 1 failed, 3 done but some files could not be restored, 10 no such store or
client, 130 interrupted.`,
  run: restore,
});

async function restore(options: RegenerateSettings): Promise<number> {
  if (options.paths.length === 0) throw new TardisError('USAGE', 'no path to restore was given');
  const startMs = performance.now();
  const system = nodeSystem();
  const { workers } = options;
  const archive = openLocalArchive(system, clientPlace(options));
  const jobs = await openJobs(system, { threads: workers, recentDigests: RECENT_DIGESTS });
  const progress: RestoreProgress = { directories: 0, files: 0, links: 0, bytes: 0, failures: 0 };
  const line = new ProgressLine(options.progress, () => {
    const { files, directories, bytes } = progress;
    return (
      `restored ${formatCount(files)} files in ${formatCount(directories)} directories, ` +
      formatBytes(bytes)
    );
  });
  try {
    const set = await archive.findSet(wantedSet(options));
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
        paths: options.paths.map(absolutePath),
        output: options.output,
        overwrite: options.overwrite,
        workers,
        numericIds: options.numericIds,
      },
      progress,
      interruptSignal(),
    );
    line.stop();
    const elapsedMs = performance.now() - startMs;
    report(progress, failures, elapsedMs, options.json);
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
  options: RegenerateSettings,
  failures: readonly RestoreFailure[],
): Promise<void> {
  const digests = failures.flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  if (digests.length === 0) return;
  try {
    const directory = openClientDirectory(system, clientPlace(options));
    const limits = {
      packBytes: defaultOf('packBytes'),
      packContentBytes: defaultOf('packContentBytes'),
    };
    await markDamaged(system, directory, limits, digests);
    process.stderr.write('regenerate: the damage is noted; the next backup sends it again\n');
  } catch (error) {
    const { code } = asTardisError(error);
    process.stderr.write(`regenerate: the damage could not be noted in the store [${code}]\n`);
  }
}

await runTool(command);
