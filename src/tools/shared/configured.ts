/** Finds what the configuration of a machine has for its backups, whatever a command line names. */
import { type BackupSources, sourcePaths } from '../../client/index.js';
import {
  resolveSettings,
  type SettingName,
  type Settings,
  type SourceCommand,
  sourceCommand,
} from '../../config/index.js';
import { TardisError, unlessBug } from '../../errors/index.js';
import { byteText, processEnvironment } from '../../system/index.js';

type Given = Pick<Settings<'tardis'>, 'configFiles' | 'job' | 'sources'>;

/** The settings that name what is saved. */
const OF_SOURCES = ['directories', 'commands'] as const satisfies readonly SettingName[];

/**
 * Returns the settings with which a run without words on its command line would make a backup; undefined if no
 * configuration names what is saved. Throws CONFIG_INVALID.
 */
export function configuredSettings(given: Given): Settings<'tardis'> | undefined {
  const { configFiles, sources } = given; // of a named file, the command line may have replaced all that the tool uses
  const isFromFile = configFiles.length > 0 || [...sources.values()].some(isConfigured);
  if (!isFromFile) return undefined;
  const commandLine = new Map<string, string[]>([['configFiles', configFiles.map(byteText)]]);
  if (sources.get('job')?.source !== 'built-in') commandLine.set('job', [given.job]);
  const settings = resolveSettings('tardis', { commandLine, environment: processEnvironment() });
  const hasSources = OF_SOURCES.some((name) => isConfigured(settings.sources.get(name)));
  return hasSources ? withoutUsualDirectory(settings) : undefined;
}

/**
 * Returns the paths of the sources that a configuration has, as a user sees them in a set. Throws CONFIG_INVALID, and USAGE for
 * paths that do not fit.
 */
export function configuredPaths(
  settings: Settings<'tardis'> | undefined,
): readonly Buffer[] | undefined {
  return settings && sourcePaths(sourcesOf(settings));
}

/** Returns a function that returns the paths of the sources that the configuration has for a client; undefined for others. */
export function configuredHere(given: Given): (client: string) => readonly Buffer[] | undefined {
  return rootsFor(unlessBug(() => configuredSettings(given))); // a fault of the file is for a backup to report
}

/** Returns what `configuredHere` does, for settings of `configuredSettings`. */
export function rootsFor(
  settings: Settings<'tardis'> | undefined,
): (client: string) => readonly Buffer[] | undefined {
  const paths = unlessBug(() => configuredPaths(settings));
  return (client) => (client === settings?.client ? paths : undefined);
}

/** Returns the sources of settings. Throws CONFIG_INVALID. */
export function sourcesOf(settings: Settings<'tardis'>): BackupSources {
  const { directories, basePath, keptAs, readDevices } = settings;
  const streams = commandsOf(settings).map(({ name }) => ({ name: Buffer.from(name) }));
  return { directories, basePath, keptAs, readDevices, streams };
}

function isConfigured(found: { readonly source: string } | undefined): boolean {
  return found?.source === 'configuration file';
}

/** Returns the commands to run: those of the command line, or of [Sources]. Throws CONFIG_INVALID. */
export function commandsOf({
  commands,
  commandNames,
  sources,
}: Settings<'tardis'>): SourceCommand[] {
  const { source, where = '' } = sources.get('commands') ?? {};
  const all = commands.map((text) => sourceCommand(text, where));
  if (commandNames === undefined || source !== 'configuration file') return all;
  return commandNames.map((name) => {
    const found = all.find((one) => one.name === name);
    if (found !== undefined) return found;
    throw new TardisError('CONFIG_INVALID', `Sources: [Sources] has no command for "${name}"`);
  });
}

/**
 * Returns the settings of a backup without the usual directory (the current one), if only streams were requested.
 */
export function withoutUsualDirectory(settings: Settings<'tardis'>): Settings<'tardis'> {
  const isUsual = settings.sources.get('directories')?.source === 'built-in';
  const hasStreams = settings.stdin !== undefined || commandsOf(settings).length > 0;
  return isUsual && hasStreams ? { ...settings, directories: [] } : settings;
}
