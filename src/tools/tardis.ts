/**
 * Implements `tardis`: backs up directories. With --local, the process of the server is started first and runs while
 * the other modules are loaded.
 */
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import {
  type LocalServer,
  type LocalServerOnDemand,
  type ServerSettings,
  startLocalServer,
} from '../client/local-server.js';
import { isSetAbove, type SettingName, type Settings } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { displayName, setNameFault } from '../model/index.js';
import { checkClientName } from '../store/layout/client-name.js';
import { absolutePath, byteText, isThere, realPathOf } from '../system/index.js';
import { bucketSettings } from './opening/local-store.js';
import { interruptSignal, print, runTool, toolCommand } from './shared/run-tool.js';
import { innerSettings, startInnerServer } from './tardis/inner-server.js';
import { tardisHelp } from './shared/commands.js';
import { refuseHelpOf, refuseVerb } from './tardis/other-verbs.js';

/** Words for the help of all commands, if they are the first; after `backup`, they are options. */
const HELP_WORDS: readonly string[] = ['-h', '--help'];

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
    const { importedSets, importedStore, importedRepository } = settings;
    if ([importedSets, importedStore, importedRepository].some((one) => one !== undefined)) {
      const { importSets } = await import('./tardis/import-sets.js');
      checkClientName(settings.client);
      const interrupted = interruptSignal('tardis', 'the next run continues with this set');
      return importSets(settings, localOnDemand, interrupted);
    }
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
    const server = isLocal ? localOnDemand(settings) : undefined;
    if (settings.hookBefore === undefined) server?.get(); // a hook may have to mount the store first
    const { backUp } = await loadedBeside(server, import('./tardis/run.js'));
    return backUp(settings, server, { signal });
  },
});

/** Returns the settings, without the usual directory if they request streams only. Throws CONFIG_INVALID. */
async function withStreams(settings: Settings<'tardis'>): Promise<Settings<'tardis'>> {
  if (settings.stdin === undefined && settings.commands.length === 0) return settings;
  const { withoutUsualDirectory } = await import('./tardis/stream-sources.js'); // most backups have no streams
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
    throw new TardisError('USAGE', `--also-to: ${why}`);
  }
  const first = realPathOf(database);
  for (const other of otherStores) {
    const isFirst =
      other.equals(database) || (first !== undefined && realPathOf(other)?.equals(first) === true);
    if (isFirst)
      throw new TardisError('USAGE', `--also-to: ${displayName(other)} is the first store`);
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
  const shown = displayName(Buffer.from(setName.slice(0, MAX_SHOWN_CHARS)));
  throw new TardisError('USAGE', `--name: "${shown}" ${fault}`);
}

const MAX_SHOWN_CHARS = 80;

/** Configuration file of a local server. It is used if it exists and no other file is named. */
const USUAL_LOCAL_CONFIG = '/etc/tardis/tardisd.local.cfg';

/**
 * Returns a local server that is started when it is first needed. If a date is given, its clock stands there, and it must
 * be in this process.
 */
function localOnDemand(settings: Settings<'tardis'>, dateMs?: number): LocalServerOnDemand {
  let started: LocalServer | undefined;
  return {
    get: () => (started ??= startServer(settings, dateMs)),
    death: () => started?.death(),
    store: () => usedStore(settings),
    close: async () => started?.close(),
  };
}

function usedStore(settings: Settings<'tardis'>): Buffer | undefined {
  if (bucketSettings() !== undefined) return settings.database;
  if (settings.localServerCmd !== undefined) return undefined;
  const inner = innerSettings(withoutUsualFile(serverSettings(settings)));
  return inner && absolutePath(inner.database);
}

function startServer(settings: Settings<'tardis'>, dateMs: number | undefined): LocalServer {
  const named = serverSettings(settings);
  const command = withoutConfig(settings.localServerCmd);
  if (command !== undefined) return startLocalServer(command, named);
  const given = withoutUsualFile(named);
  const inner = innerSettings(given);
  const tool = fileURLToPath(new URL('./tardisd.js', import.meta.url));
  const logFile = inner?.logFile;
  const here = inner && startInnerServer(inner, settings.client, dateMs);
  if (here === undefined && dateMs !== undefined) {
    const why = 'the settings of the local server need a process of its own, which dates no sets';
    throw new TardisError('USAGE', `--sets: ${why}: omit User, Group and a strict umask`);
  }
  return (
    here ??
    startLocalServer(
      [process.execPath, ...process.execArgv, tool],
      logFile === undefined ? given : new Map([...given, ['logFile', [byteText(logFile)]]]),
    )
  );
}

/** Returns settings with which a server reads no configuration file of its machine's service. */
function withoutUsualFile(given: ServerSettings): ServerSettings {
  return new Map([['daemonConfig', ['']], ...given]);
}

/**
 * Returns the settings of the local server. Store, parity and profile are passed only if the command line or the
 * configuration file of `tardis` sets them: the server inherits the environment, and its own file takes precedence
 * over it. If copies are requested, the store is always passed, since they are made of it. A store in a bucket is
 * passed with the settings of the bucket.
 */
function serverSettings(settings: Settings<'tardis'>): ServerSettings {
  const isNamed = (name: SettingName): boolean => {
    const source = settings.sources.get(name)?.source;
    return source === 'command line' || source === 'configuration file';
  };
  // If copies are requested, they are made of the store that this command names, so the server must use it.
  const isStoreNamed = isNamed('database') || settings.otherStores.length > 0;
  const bucket = bucketSettings();
  const { database, profile, parityPercent } = settings;
  const config =
    settings.localConfig ??
    (isThere(USUAL_LOCAL_CONFIG) ? Buffer.from(USUAL_LOCAL_CONFIG) : undefined);
  const given: [string, string | undefined][] = [
    ['daemonConfig', config && byteText(config)],
    ['database', isStoreNamed ? byteText(absolutePath(database)) : undefined],
    ['profile', isNamed('profile') ? profile : undefined],
    ['parityPercent', isNamed('parityPercent') ? String(parityPercent) : undefined],
  ];
  return new Map([
    ...given.flatMap(([name, value]) => (value === undefined ? [] : [[name, [value]] as const])),
    ...(bucket ?? []),
  ]);
}

/**
 * Removes a trailing `--config`, with which the default command of Tardis (Python) ends. The caller adds this option
 * before the file name in any case.
 */
function withoutConfig(command: readonly string[] | undefined): readonly string[] | undefined {
  return command?.at(-1) === '--config' ? command.slice(0, -1) : command;
}

export default runTool(command, (words) => {
  const [first = ''] = words;
  if (first === 'backup') return words.slice(1);
  if (HELP_WORDS.includes(words[1] ?? '')) refuseHelpOf(first);
  if (!HELP_WORDS.includes(first)) return words;
  print(tardisHelp());
  throw new CommanderError(0, 'commander.helpDisplayed', 'the help of the commands is printed');
});
