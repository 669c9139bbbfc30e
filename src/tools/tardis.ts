/**
 * `tardis`: backs up directories. With --local the server process is started before anything else is
 * loaded, so that both get ready side by side.
 */
import { fileURLToPath } from 'node:url';
import {
  type LocalServer,
  type LocalServerOnDemand,
  startLocalServer,
} from '../client/local-server.js';
import type { Found, SettingName, Settings } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import { displayName, setNameFault } from '../model/index.js';
import { checkClientName } from '../store/client-name.js';
import { absolutePath, isThere } from '../system/index.js';
import { interruptSignal, runTool, toolCommand } from './run-tool.js';

const command = toolCommand({
  tool: 'tardis',
  isWork: true,
  run: async (settings, found) => {
    if (settings.makeSampleFilterFile) {
      const { makeSampleFilter } = await import('./sample-filter.js');
      return makeSampleFilter(settings.json);
    }
    if (settings.explain.length > 0) {
      const { explainPaths } = await import('./tardis-explain.js');
      return explainPaths(settings, found);
    }
    // All that can be wrong on the command line is told before anything is started.
    checkClientName(settings.client);
    checkSetName(settings);
    // From here on there is something to end in order.
    const signal = interruptSignal('tardis', 'the next run goes on from the last checkpoint');
    const server = settings.local ? localOnDemand(settings, found) : undefined;
    if (settings.hookBefore === undefined) server?.get(); // else the hook may have to mount the store first
    const { backUp } = await import('./tardis-run.js');
    return backUp(settings, found, server, signal);
  },
});

/** Throws USAGE. The server looks too, but does not know what this user calls the newest set. */
function checkSetName({ setName, recentSet }: Settings<'tardis'>): void {
  if (setName === '') return;
  const fault = setName === recentSet ? 'stands for the newest set' : setNameFault(setName);
  if (fault === undefined) return;
  const shown = displayName(Buffer.from(setName.slice(0, MAX_SHOWN_CHARS)));
  throw new TardisError('USAGE', `--name: "${shown}" ${fault}`);
}

const MAX_SHOWN_CHARS = 80;

/** Read by a local server if it is there, when nobody names another. */
const USUAL_LOCAL_CONFIG = '/etc/tardis/tardisd.local.cfg';

/** Starts it when it is first wanted. */
function localOnDemand(
  settings: Settings<'tardis'>,
  found: ReadonlyMap<string, Found>,
): LocalServerOnDemand {
  let started: LocalServer | undefined;
  return {
    get: () => (started ??= startLocalServer(localServer(settings, found))),
    close: async () => started?.close(),
  };
}

/**
 * How to start it. Store and profile are told only if our command line or configuration file named
 * them: the server's own file comes before the environment, which it inherits.
 */
function localServer(
  settings: Settings<'tardis'>,
  found: ReadonlyMap<string, Found>,
): Parameters<typeof startLocalServer>[0] {
  const tool = fileURLToPath(new URL('./tardisd.js', import.meta.url));
  const isNamed = (name: SettingName): boolean => {
    const source = found.get(name)?.source;
    return source === 'command line' || source === 'configuration file';
  };
  return {
    store: isNamed('database') ? absolutePath(settings.database) : undefined,
    profile: isNamed('profile') ? settings.profile : undefined,
    configFile:
      settings.localConfig ??
      (isThere(USUAL_LOCAL_CONFIG) ? Buffer.from(USUAL_LOCAL_CONFIG) : undefined),
    command: settings.localServerCmd ?? [process.execPath, ...process.execArgv, tool],
  };
}

await runTool(command);
