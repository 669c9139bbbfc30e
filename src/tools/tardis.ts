/**
 * Implements `tardis`: backs up directories. With --local, the process of the server is started first and runs while
 * the other modules are loaded.
 */
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import type { LocalServerOnDemand } from '../client/index.js';
import { isSetAbove, type Settings } from '../config/index.js';
import { usageError } from '../errors/index.js';
import { displayLine, displayName, setNameFault } from '../model/index.js';
import { checkClientName } from '../store/layout/client-name.js';
import { realPathOf } from '../system/index.js';
import { interruptSignal } from './shared/signals.js';
import { print } from './output/output.js';
import { runTool, toolCommand } from './shared/run-tool.js';
import { localOnDemand, usedStore } from './tardis/local-server.js';
import { tardisHelp } from './shared/commands.js';
import { refuseHelpOf, refuseVerb } from './tardis/other-verbs.js';

/** Words for the help of all commands, if they are the first; after `backup`, they are options. */
const HELP_WORDS: readonly string[] = ['-h', '--help'];

const DAEMON = fileURLToPath(new URL('./tardisd.js', import.meta.url));

const command = toolCommand({
  tool: 'tardis',
  isWork: true,
  run: async (given) => {
    let settings = await withStreams(given);
    if (settings.makeSampleFilterFile) {
      const { makeSampleFilter } = await import('./tardis/sample-filter.js');
      return makeSampleFilter(settings.json);
    }
    if (settings.testMail) {
      const { testReport } = await import('./tardis/backup-events.js');
      return testReport(settings);
    }
    if (settings.explain.length > 0) {
      const { explainPaths } = await import('./tardis/explain.js');
      return explainPaths(settings);
    }
    // Errors of the command line are reported before anything is started.
    refuseVerb(settings);
    if (settings.dryRun) {
      const { dryRun } = await import('./tardis/dry-run.js');
      return dryRun(settings, interruptSignal('tardis', 'nothing was done'));
    }
    checkClientName(settings.client);
    checkSetName(settings);
    // From here on, the command handles interruptions, to end in order.
    const signal = interruptSignal('tardis', 'the next run continues from the last checkpoint');
    const isLocal = settings.local && !isSetAbove(settings, 'server', 'local');
    if (settings.otherStores.length > 0) requireOtherStores(settings, isLocal);
    if (settings.ifDue) {
      const { settingsIfDue } = await import('./tardis/if-due.js');
      const due = await settingsIfDue(settings, isLocal ? usedStore(settings) : undefined);
      if (due === undefined) return 0;
      settings = due;
    }
    const server = isLocal ? localOnDemand(settings, { daemon: DAEMON }) : undefined;
    if (settings.hookBefore === undefined) server?.get(); // a hook may have to mount the store first
    const { backUp } = await loadedBeside(server, import('./tardis/run.js'));
    return backUp(settings, server, { signal });
  },
});

/** Returns the settings, without the usual directory if they request streams only. Throws CONFIG_INVALID. */
async function withStreams(settings: Settings<'tardis'>): Promise<Settings<'tardis'>> {
  if (settings.stdin === undefined && settings.commands.length === 0) return settings;
  const { withoutUsualDirectory } = await import('./shared/configured.js'); // most backups have no streams
  return withoutUsualDirectory(settings);
}

/**
 * Returns a module that is loaded while the server starts. If the module cannot be loaded, closes the server, since an
 * open server would keep this process from ending.
 */
async function loadedBeside<M>(
  server: LocalServerOnDemand | undefined,
  loading: Promise<M>,
): Promise<M> {
  try {
    return await loading;
  } catch (error) {
    await server?.close();
    throw error;
  }
}

/**
 * Throws USAGE if copies are requested of a store that is not on this machine, or to the same store. A store that does
 * not exist yet is compared as soon as it exists.
 */
function requireOtherStores({ database, otherStores }: Settings<'tardis'>, isLocal: boolean): void {
  if (!isLocal) {
    const why =
      'copies are made of a store of this machine: give --local, or copy there with `sonic copy`';
    throw usageError(`--also-to: ${why}`);
  }
  const first = realPathOf(database);
  for (const other of otherStores) {
    const isFirst =
      other.equals(database) || (first !== undefined && realPathOf(other)?.equals(first) === true);
    if (isFirst) throw usageError(`--also-to: ${displayName(other)} is the first store`);
  }
}

/**
 * Throws USAGE for an invalid name. The server checks the name too, but does not know this user's word for the newest
 * set.
 */
function checkSetName({ setName, recentSet }: Settings<'tardis'>): void {
  if (setName === '') return;
  const fault = setName === recentSet ? 'stands for the newest set' : setNameFault(setName);
  if (fault === undefined) return;
  const shown = displayLine(setName.slice(0, MAX_SHOWN_CHARS));
  throw usageError(`--name: "${shown}" ${fault}`);
}

const MAX_SHOWN_CHARS = 80;

export default runTool(command, (words) => {
  const [first = ''] = words;
  if (first === 'backup') return words.slice(1);
  if (HELP_WORDS.includes(words[1] ?? '')) refuseHelpOf(first);
  if (!HELP_WORDS.includes(first)) return words;
  print(tardisHelp());
  throw new CommanderError(0, 'commander.helpDisplayed', 'the help of the commands is printed');
});
