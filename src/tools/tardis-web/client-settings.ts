/** The settings for clients beside the one that the command line names: in the same store, in others, and of other jobs. */
import {
  clientJobs,
  isSshText,
  resolveSettings,
  rowsOf,
  type Settings,
  usualClientFile,
} from '../../config/index.js';
import { byteText, processEnvironment, textBytes } from '../../system/index.js';
import { usesServer } from '../opening/history.js';

export type WebSettings = Settings<'tardis-web'>;

/** Where a place is named in which the client of another one may be, too. */
export const ALSO_TO = '--also-to';
/** Settings that count only for the client for which they are given, and what they are for another one. */
const OF_ONE_CLIENT = {
  password: undefined,
  passwordFile: undefined,
  passwordProg: undefined,
  keysFile: undefined,
  account: undefined,
  trustStore: false,
} as const;
/** Settings whose values others contain. */
const READ_ALREADY: readonly string[] = ['configFiles', 'job', 'repository', 'repo', 'otherStores'];

/** Returns the settings for another client of the same place: without passwords, keys and accounts. */
export function forClient(settings: WebSettings, client: string): WebSettings {
  const { sources: all, ...same } = named(settings);
  const sources = new Map(all);
  for (const name of Object.keys(OF_ONE_CLIENT)) sources.delete(name);
  return { ...same, ...OF_ONE_CLIENT, client, sources };
}

/**
 * Returns the settings for the same client in another store, or on the server that ssh reaches there. A changed store is
 * trusted only where its own settings name that.
 */
export function atPlace(settings: WebSettings, place: Buffer): WebSettings {
  const moved = named(settings);
  const sources = new Map(moved.sources);
  const text = byteText(place);
  const [used, unused] = isSshText(text) ? ['server', 'database'] : ['database', 'server'];
  const value = used === 'server' ? text : place;
  sources.set(used, { value, source: 'command line', where: ALSO_TO });
  for (const name of [unused, 'trustStore']) sources.delete(name);
  return { ...moved, trustStore: false, [used]: value, sources };
}

/** Returns the settings of the other sections of the configuration; none if one section was chosen. Throws CONFIG_INVALID. */
export function otherJobs({ configFiles, job, sources }: WebSettings): WebSettings[] {
  const isChosen = sources.get('job')?.source !== 'built-in';
  const isRead = [...sources.values()].some(({ source }) => source === 'configuration file');
  if (isChosen || !isRead) return [];
  const files = configFiles.length > 0 ? configFiles : [textBytes(usualClientFile())];
  const names = new Set(
    clientJobs(files).filter((name) => name.toLowerCase() !== job.toLowerCase()),
  );
  return [...names].map((name) =>
    resolveSettings('tardis-web', {
      commandLine: new Map([
        ['configFiles', files.map(byteText)],
        ['job', [name]],
      ]),
      environment: processEnvironment(),
    }),
  );
}

/**
 * Returns settings that count without a configuration file: what it has of them counts as given on the command line,
 * except secrets. So commands for another client do not read the file, which may have a password.
 */
function named(settings: WebSettings): WebSettings {
  const isElsewhere = usesServer(settings);
  const sources = new Map(settings.sources);
  for (const [name, row] of rowsOf('tardis-web')) {
    const found = sources.get(name);
    if (READ_ALREADY.includes(name)) sources.delete(name);
    else if (found?.source === 'configuration file' && row.isSecret !== true) {
      sources.set(name, { ...found, source: 'command line' });
    }
  }
  if (isElsewhere) sources.delete('database');
  else {
    const found = sources.get('database')!; // it has a default
    sources.set('database', { ...found, source: 'command line' });
    sources.delete('server');
  }
  return { ...settings, configFiles: [], sources };
}
