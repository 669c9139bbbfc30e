/**
 * Stands for the module that starts the server of `tardis --local`, for a command that runs in a test's thread
 * (`in-process.ts`): the server runs in that thread too, with the settings that its command line and files give it.
 */
import { pino } from 'pino';
import {
  type LocalServer,
  type LocalServerOptions,
  startLocalServer as startProcess,
} from '../../src/client/index.js';
import {
  isBucket,
  type Resolved,
  resolveSettings,
  type SettingName,
} from '../../src/config/index.js';
import { asTardisError, fromWire } from '../../src/errors/index.js';
import { Daemon, InlineStorageHost } from '../../src/server/index.js';
import {
  byteText,
  makeSocketFolder,
  nodeSystem,
  removeSocketFolder,
} from '../../src/system/index.js';
import { daemonOptions, listenAddress, printError, serveBucket } from '../../src/tools/index.js';

const LEVELS = ['error', 'info', 'debug', 'trace'];

/** Starts the server. A command that the test has set is a process. */
export function startLocalServer(options: LocalServerOptions): LocalServer {
  const isOurs = options.command.at(-1)?.endsWith('/tardisd.js') === true;
  if (!isOurs) return startProcess(options);
  const { socket } = makeSocketFolder();
  const starting = start(options, socket);
  const ready = starting.then(() => undefined, refuse);
  ready.catch(() => undefined); // callers of `ready` get the error; there may be none yet
  return {
    address: { kind: 'unix', path: socket },
    ready,
    death: () => undefined,
    close: async () => {
      const daemon = await starting.catch(() => undefined);
      await daemon?.stop();
      removeSocketFolder(socket);
    },
  };
}

/** The settings of a server that the words for a bucket give. */
const BUCKET_SETTINGS = new Map<string, SettingName>([
  ['--database', 'database'],
  ['--endpoint', 'endpoint'],
  ['--region', 'region'],
  ['--addressing', 'addressing'],
  ['--bucket-ca', 'bucketCa'],
  ['--single-writer', 'singleWriter'],
  ['--lock-days', 'lockDays'],
]);

function settingsIn(words: readonly string[]): (readonly [SettingName, string])[] {
  return words.flatMap((word, at) => {
    const name = BUCKET_SETTINGS.get(word);
    if (name === undefined) return [];
    return [[name, name === 'singleWriter' ? 'true' : words[at + 1]!] as const];
  });
}

async function start(
  { store, configFile, profile, parityPercent, bucketWords = [] }: LocalServerOptions,
  socket: string,
): Promise<Daemon> {
  const given: readonly (readonly [SettingName, string | undefined])[] = [
    ['database', store && byteText(store)],
    ['daemonConfig', configFile && byteText(configFile)],
    ['profile', profile],
    ['parityPercent', parityPercent?.toString()],
    ['single', 'true'],
    ['localSocket', socket],
    ...settingsIn(bucketWords),
  ];
  const commandLine = new Map<string, readonly string[]>(
    given.flatMap(([name, value]) => (value === undefined ? [] : [[name, [value]] as const])),
  );
  const environment = process.env;
  return serve(resolveSettings('tardisd', { commandLine, environment }));
}

async function serve({ settings: given, found }: Resolved<'tardisd'>): Promise<Daemon> {
  const system = nodeSystem(given.umask);
  const level = LEVELS[Math.min(given.verbose, LEVELS.length - 1)]!;
  const log = pino({ level, base: null }, { write: (line) => void process.stderr.write(line) });
  const { database } = isBucket(found.get('database'))
    ? await serveBucket(system, given, found, log)
    : given;
  const settings = { ...given, database };
  const options = {
    ...daemonOptions(settings, found),
    address: listenAddress(settings),
  };
  const storage = new InlineStorageHost(system, (client, { code, message }, what) =>
    log.warn({ client, code, reason: message }, `no ${what} was made`),
  );
  return Daemon.start(system, storage, options, log);
}

/** Prints an error as the process of the server would, and throws the one that its parent makes of that. */
function refuse(error: unknown): never {
  printError('tardisd', error, false);
  const { code, message } = asTardisError(error);
  throw fromWire({ code, message: `the local server: ${message}` });
}
