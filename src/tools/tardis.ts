/**
 * `tardis`: backs up directories. With --local the server process is started before anything else is
 * loaded, so that both get ready side by side.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startLocalServer } from '../client/local-server.js';
import { TardisError } from '../errors/index.js';
import { checkClientName } from '../store/client-name.js';
import { interruptSignal, runTool } from './run-tool.js';
import { pipelineSettings, tardisCommand, type TardisOptions } from './tardis-options.js';

const command = tardisCommand(async (directories, options) => {
  // All that can be wrong on the command line is told before anything is started.
  const settings = pipelineSettings(options);
  checkClientName(options.client);
  if (!(Number(options.timeout) > 0)) {
    throw new TardisError('USAGE', '--timeout needs a number of seconds');
  }
  const signal = interruptSignal(); // from here on there is something to end in order
  const server = options.local === true ? startLocalServer(localServer(options)) : undefined;
  const { backUp } = await import('./tardis-run.js');
  process.exitCode = await backUp(directories, options, settings, server, signal);
});

function localServer(options: TardisOptions): Parameters<typeof startLocalServer>[0] {
  const tool = fileURLToPath(new URL('./tardisd.js', import.meta.url));
  const command = options.localServerCmd?.split(' ').filter((word) => word !== '') ?? [
    process.execPath,
    ...process.execArgv,
    tool,
  ];
  return { store: path.resolve(options.database), configFile: options.localConfig, command };
}

await runTool(command, process.argv);
