/**
 * Resolves the settings of a tool and their sources. In rising priority: built-in defaults, the profile,
 * system.defaults, the environment, the configuration file, the command line. An invalid value is an error
 * even if a source of higher priority overrides it.
 */
import { usageError } from '../errors/index.js';
import { displayText } from '../model/index.js';
import { configPath, isThere, type Machine, textBytes, thisMachine } from '../system/index.js';
import {
  builtInLayer,
  clientFilesLayer,
  commandLineLayer,
  environmentLayer,
  type Found,
  type Layer,
  type Rows,
  type Source,
  serverFileLayer,
  systemDefaultsLayer,
} from './layers.js';
import { configInvalid } from './invalid.js';
import { withMeanings } from './later-spellings.js';
import { isBucketText } from './store-place.js';
import { profileLayer } from './profiles.js';
import { BUCKET_TOOLS } from './rows-bucket.js';
import type { Tool } from './tools.js';
import { rowsOf, type SettingName, type Settings, type Sourced } from './settings.js';

/** Sources of the settings that somebody gives, the highest precedence first. */
export const SOURCES: readonly Source[] = [
  'command line',
  'configuration file',
  'environment',
  'system defaults',
];

interface Given {
  /** Texts (byte text) of options and arguments, by the names of the rows. */
  readonly commandLine: ReadonlyMap<string, readonly string[]>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Machine for which `auto` chooses a profile; by default this machine. */
  readonly machine?: Machine;
}

/** Directory of the files for the whole machine. */
export const SYSTEM_FOLDER = '/etc/tardis';
/** Paths of the default files. Each file is read if it exists and no other file is named. */
const USUAL_DEFAULTS = '/etc/tardis/system.defaults';
const USUAL_SERVER_FILE = '/etc/tardis/tardisd.cfg';
const USUAL_REMOTE_FILE = '/etc/tardis/tardisremote.cfg';

/** Resolves all settings of a tool. Throws CONFIG_INVALID and CAPABILITY_MISSING. */
export function resolveSettings<T extends Tool>(tool: T, input: Given): Settings<T> {
  const rows = rowsOf(tool);
  const builtIn = builtInLayer(rows);
  const environment = withMeanings(rows, environmentLayer(rows, input.environment));
  const commandLine = withMeanings(rows, commandLineLayer(rows, input.commandLine));
  const systemDefaults = withMeanings(rows, defaultsOf(rows, join([builtIn, environment])));
  const named = join([builtIn, systemDefaults, environment, commandLine]);
  const files = filesOf(tool, rows, named).map((layer) => withMeanings(rows, layer));
  const given = [systemDefaults, environment, ...files, commandLine];
  const chosen = join([builtIn, ...given]).get('profile');
  const profile =
    chosen === undefined
      ? new Map<string, Found>()
      : profileLayer(rows, builtIn, chosen, () => input.machine ?? thisMachine());
  const sources = join([builtIn, profile, ...given]);
  if (!isServerUsed(sources)) sources.delete('throughServer');
  requireDirectory(tool, sources);
  const values = Object.fromEntries(rows.map(([name]) => [name, sources.get(name)?.value]));
  return { ...values, sources } as unknown as Settings<T>;
}

/**
 * False if only a file names the server of a command of sonic, and that file or the command line names a store, which is
 * then used.
 */
function isServerUsed(sources: Layer): boolean {
  const isInFile = sources.get('throughServer')?.source === 'configuration file';
  return !isInFile || isSetAbove({ sources }, 'throughServer', 'database');
}

/** True if the source of the first setting has a higher precedence than the source of the second. */
export function isSetAbove({ sources }: Sourced, name: SettingName, other: SettingName): boolean {
  const rank = (setting: SettingName): number => {
    const source = sources.get(setting)?.source;
    const index = source === undefined ? -1 : SOURCES.indexOf(source);
    return index < 0 ? SOURCES.length : index;
  };
  return rank(name) < rank(other);
}

/** True if the setting of the store names a bucket. */
export function isBucket(database: Found | undefined): boolean {
  return database !== undefined && isBucketText(String(database.value));
}

/** Throws CONFIG_INVALID if the store is a bucket and the command cannot use it. */
function requireDirectory(tool: Tool, found: Layer): void {
  const database = found.get('database');
  if (!isBucket(database)) return;
  const isOn = (name: string): boolean => found.get(name)?.value === true;
  const why = whyNoBucket(tool, isOn);
  if (why === undefined) return;
  throw configInvalid(
    `${displayText(String(database!.value))} is a bucket, and ${why} (-D/--database)`,
  );
}

/** Returns the reason why a command cannot use a bucket; undefined if it can. */
function whyNoBucket(tool: Tool, isOn: (setting: string) => boolean): string | undefined {
  if (!(BUCKET_TOOLS as readonly Tool[]).includes(tool)) return 'this command needs a directory';
  if (tool === 'tardis' && !isOn('local'))
    return 'only tardis --local backs up to one; a tardisd on it is named with --server';
  if (tool === 'sonic keys' && isOn('removeKeys'))
    return 'it keeps every earlier key record, so keys cannot be taken out of it (--remove)';
  return undefined;
}

function join(layers: readonly Layer[]): Map<string, Found> {
  return new Map(layers.flatMap((layer) => [...layer]));
}

function defaultsOf(rows: Rows, named: Layer): Layer {
  const { value, source } = named.get('defaultsFile')!;
  const file = value as Buffer;
  if (file.length === 0 || (source === 'built-in' && !isThere(USUAL_DEFAULTS))) {
    return new Map();
  }
  return systemDefaultsLayer(rows, file);
}

function filesOf(tool: Tool, rows: Rows, named: Layer): Layer[] {
  if (tool === 'tardisd') return serverFiles(rows, named.get('daemonConfig'), USUAL_SERVER_FILE);
  return tool === 'tardisremote'
    ? serverFiles(rows, named.get('remoteConfig'), USUAL_REMOTE_FILE, true)
    : clientFiles(rows, named);
}

/** Reads the file that is named; none if its name is empty. */
function serverFiles(
  rows: Rows,
  named: Found | undefined,
  usual: string,
  isRemote = false,
): Layer[] {
  if (named === undefined && !isThere(usual)) return [];
  const file = named === undefined ? Buffer.from(usual) : (named.value as Buffer);
  return file.length === 0 ? [] : [serverFileLayer(rows, file, isRemote)];
}

function clientFiles(rows: Rows, named: Layer): Layer[] {
  const given = named.get('configFiles')!.value as readonly Buffer[];
  const files = given.length === 0 ? usualClientFiles(named) : given;
  const job = named.get('job')!;
  if (files.length === 0 && job.source === 'command line') {
    throw usageError('--job needs a configuration file (--config)');
  }
  return files.length === 0 ? [] : [clientFilesLayer(rows, files, job.value as string)];
}

/** Returns the file in which `tardis setup` keeps the store, the client and the sources of this user. */
export function usualClientFile(): string {
  return configPath('backup.cfg');
}

/**
 * Returns the file of `tardis setup`, if there is one. It counts only for a command that names no store and no server: it
 * has the client and the password of its own store.
 */
function usualClientFiles(named: Layer): Buffer[] {
  const isNamed = ['database', 'server', 'throughServer'].some(
    (name) => ![undefined, 'built-in'].includes(named.get(name)?.source),
  );
  const file = usualClientFile();
  return isNamed || !isThere(file) ? [] : [textBytes(file)];
}
