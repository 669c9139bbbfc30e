/** Converts the settings of `tardis` to exclude options. Reads the pattern files that the settings name. */
import path from 'node:path';
import type { Settings } from '../../config/index.js';
import { failedTo } from '../../errors/index.js';
import {
  CVS_PATTERNS,
  type ExcludeOptions,
  LOCAL_RULE_FILE_NAMES,
  type PatternSource,
  RULE_FILE_NAMES,
  SKIP_FILE_NAME,
} from '../../excludes/index.js';
import { displayName } from '../../model/index.js';
import {
  absolutePath,
  byteText,
  isThere,
  readSmallFile,
  realPathOf,
  statePath,
  textBytes,
} from '../../system/index.js';
import { filterFileOf } from './filter-settings.js';

/** Maximum size of a pattern file that an option names. */
const MAX_FILE_BYTES = 1 << 20;

/** Returns the exclude options. Throws CONFIG_INVALID if a pattern file cannot be read. */
export function excludeOptions(settings: Settings<'tardis'>): ExcludeOptions {
  const { skipFileName, olderSkipFileName } = settings;
  return {
    sources: [...sourcesOf(settings), ...globalSource(settings)],
    directories: [...settings.excludeDirs, ...ownMemory()].map((given) =>
      placeOf(given).toString('latin1'),
    ),
    ruleFileNames: namesOr(settings.excludeFileName, RULE_FILE_NAMES),
    localRuleFileNames: namesOr(settings.localExcludeFileName, LOCAL_RULE_FILE_NAMES),
    skipFileNames: namesOr(skipFileName ?? olderSkipFileName, [SKIP_FILE_NAME]),
    skipCaches: settings.skipCaches,
    skipNoDump: settings.excludeNoDump,
    skipNoAccess: settings.excludeNoAccess,
    maxFileBytes: settings.maxFileSize,
    filter: filterFileOf(settings),
    reportsPaths: settings.verbosity > 1 && !settings.json,
  };
}

/**
 * Returns the directories to which each backup writes what this machine remembers. They are excluded from backups, since
 * otherwise no home directory would ever be unchanged.
 */
function ownMemory(): Buffer[] {
  return ['seals', 'backups', 'runs'].map((name) => textBytes(statePath(name)));
}

/**
 * Returns an absolute path in which the links of its directories are resolved, so that a walk reaches the same path.
 * The last name may be a link.
 */
export function placeOf(given: Buffer): Buffer {
  const absolute = absolutePath(given).toString('latin1');
  const above = realPathOf(Buffer.from(path.posix.dirname(absolute), 'latin1'));
  if (above === undefined || absolute === '/') return Buffer.from(absolute, 'latin1');
  const name = path.posix.basename(absolute);
  return Buffer.from(path.posix.join(above.toString('latin1'), name), 'latin1');
}

function sourcesOf({ ignoreCvs, exclude, excludeFiles }: Settings<'tardis'>): PatternSource[] {
  const sources: PatternSource[] = ignoreCvs ? [CVS_PATTERNS] : [];
  if (exclude.length > 0) {
    const patterns = exclude.map((pattern) => pattern.toString('latin1'));
    sources.push({ origin: { kind: 'option', name: '--exclude' }, patterns });
  }
  for (const file of excludeFiles) sources.push(fileSource(file));
  return sources;
}

function globalSource(settings: Settings<'tardis'>): PatternSource[] {
  const { ignoreGlobalExcludes, globalExcludeFile } = settings;
  if (ignoreGlobalExcludes || globalExcludeFile.length === 0) return [];
  const isUsual = settings.sources.get('globalExcludeFile')?.source === 'built-in';
  if (isUsual && !isThere(byteText(globalExcludeFile))) return [];
  return [fileSource(globalExcludeFile)];
}

function fileSource(file: Buffer): PatternSource {
  const place = absolutePath(file);
  try {
    const origin = { kind: 'file', name: place.toString('latin1') } as const;
    return { origin, bytes: readSmallFile(place, MAX_FILE_BYTES) };
  } catch (error) {
    throw failedTo(`read the patterns in ${displayName(place)}`, error, 'useNamedFile');
  }
}

function namesOr(name: string | undefined, usual: readonly string[]): readonly string[] {
  return name === undefined ? usual : [Buffer.from(name).toString('latin1')];
}
