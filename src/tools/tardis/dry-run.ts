/** Implements `tardis --dry-run`: walks the sources by the rules of a backup, without a server. */
import { missingFailures, readRoots } from '../../client/index.js';
import type { Settings } from '../../config/index.js';
import { countErrors, displayName, displayText } from '../../model/index.js';
import { BackupProgress } from '../../pipeline/index.js';
import { nodeSystem } from '../../system/index.js';
import { type Failure, runOf, type WalkOutput } from '../../workers/index.js';
import { PARTLY } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { counted, formatBytes, formatCount } from '../output/units.js';
import { notEnteredText } from './report-backup.js';
import { sourceHint } from './other-verbs.js';
import { commandsOf } from '../shared/configured.js';
import { walkSources } from './walk-sources.js';
import { complain } from '../output/command-names.js';

/** In the predecessor `-n` gave the name of the set, which is taken for a directory here. */
const NAME_HINT = '-n is --dry-run here; a name of the set is given by --name';

/** Prints the entries that a backup would save. Returns the exit status, which is 3 if some entries cannot be read. */
export async function dryRun(settings: Settings<'tardis'>, signal: AbortSignal): Promise<number> {
  const system = nodeSystem();
  const streams = namedStreams(settings);
  const near = sourceHint(settings);
  const hintAt = near && ((source: Buffer) => `${near(source)} (${NAME_HINT})`);
  const { roots, missing } = readRoots(system, settings.directories, {
    ...settings,
    streams,
    hintAt,
  });
  const run = new DryRun(settings);
  run.reportFailures(missingFailures(missing));
  const { progress } = run;
  const onBatch = (batch: WalkOutput): void => run.take(batch);
  const { workers: threads } = settings;
  await walkSources({ system, settings, roots, progress, threads, signal, onBatch });
  run.report(streams);
  return countErrors(run.progress) > 0 ? PARTLY : 0;
}

/** A file of the set that is no file of this machine. */
interface NamedStream {
  readonly name: string;
  readonly from: string;
}

/** Names standard input and the commands. They are not run, and their sizes are unknown. */
function namedStreams(settings: Settings<'tardis'>): NamedStream[] {
  const { stdin } = settings;
  const named = commandsOf(settings).map(({ name, command, user }): NamedStream => {
    const as = user === undefined ? '' : ` as ${user}`;
    return { name, from: `output of${as}: ${command.join(' ')}` };
  });
  return stdin === undefined ? named : [{ name: stdin, from: 'standard input' }, ...named];
}

class DryRun {
  readonly progress = new BackupProgress();

  constructor(private readonly settings: Settings<'tardis'>) {}

  take({ walked, failures, leftOutPaths }: WalkOutput): void {
    const { verbosity, json } = this.settings;
    this.reportFailures(failures);
    if (json || verbosity === 0) return;
    for (let index = 0; index < walked.slots.length; index += 1) {
      print(`+ ${displayName(runOf(walked.paths, walked.pathEnds, index))}`);
    }
    for (const { path, why } of leftOutPaths) print(`x ${displayName(path)} (${why})`);
  }

  reportFailures(failures: readonly Failure[]): void {
    for (const { path, what, reason } of failures) {
      this.progress[what] += 1;
      if (this.settings.json) continue;
      complain('tardis', `${displayName(path)}: ${what} (${reason})`);
    }
  }

  report(streams: readonly NamedStream[]): void {
    const { progress } = this;
    const { entries, directories, scannedBytes, leftOut, notEntered } = progress;
    if (this.settings.json) {
      const sources = streams.length === 0 ? {} : { sources: streams };
      printJson({ dryRun: true, progress, ...sources });
      return;
    }
    for (const { name, from } of streams) print(`+ /${displayText(name)} (${displayText(from)})`);
    const what = `${counted(entries, 'entry', 'entries')} in ${counted(directories, 'directory', 'directories')}`;
    print(
      `A backup would save ${what}, ${formatBytes(scannedBytes)}; unchanged files are not sent again.`,
    );
    if (leftOut > 0) print(`${formatCount(leftOut)} left out by exclude rules (-vv lists them).`);
    if (notEntered.count > 0) print(notEnteredText(notEntered));
    print('Nothing was done, and no server was contacted.');
  }
}
