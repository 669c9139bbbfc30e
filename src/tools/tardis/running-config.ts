/**
 * The settings of a run of `tardis`, sent to the server and stored with the set. They must not contain secrets: only
 * the text settings listed here are sent, so a new setting stays hidden until it is listed.
 */
import {
  explain,
  type Found,
  rowsOf,
  type SettingName,
  type Settings,
} from '../../config/index.js';
import { JSON_VERSION, VERSION } from '../shared/run-tool.js';

/** Settings that are texts, paths or names, and contain no secret. */
const TOLD_TEXTS: ReadonlySet<string> = new Set<SettingName>([
  'client',
  'job',
  'database',
  'configFiles',
  'directories',
  'server',
  'account',
  'setName',
  'exclude',
  'excludeFiles',
  'excludeDirs',
  'globalExcludeFile',
  'excludeFileName',
  'localExcludeFileName',
  'skipFileName',
  'filterFile',
  'cryptFilterFile',
  'noCompress',
  'noCompressFile',
  'tags',
]);
/** Types without secrets in their values: numbers, booleans, and words of a fixed list. */
const PLAIN_TYPES: ReadonlySet<string> = new Set([
  'bool',
  'int',
  'count',
  'size',
  'seconds',
  'mode',
  'choice',
  'rates',
]);
/** Replaces the value of a hidden setting. */
const HIDDEN = '(not shown)';
const MAX_VALUE_CHARS = 1024;
/** Bound on the whole configuration; a server accepts somewhat more. */
const MAX_CONFIG_BYTES = 24 << 10;

/** Returns the configuration as JSON, without settings that have their default. */
export function runningConfig(
  settings: Settings<'tardis'>,
  found: ReadonlyMap<string, Found>,
): string {
  const types = new Map(rowsOf('tardis').map(([name, row]) => [name, row]));
  const given = explain('tardis', { settings, found }).filter(
    ({ source, shown }) => source !== 'built-in' && shown !== undefined,
  );
  const told = given.map(({ name, shown = '' }): [string, string] => {
    const row = types.get(name);
    const isPlain = row !== undefined && PLAIN_TYPES.has(row.type);
    const isTold = row?.isSecret !== true && (isPlain || TOLD_TEXTS.has(name));
    if (!isTold || /:\/\/|@/.test(shown)) return [name, HIDDEN];
    return [name, shown.length > MAX_VALUE_CHARS ? `(${shown.length} characters)` : shown];
  });
  const whole = textOf(Object.fromEntries(told));
  return Buffer.byteLength(whole) <= MAX_CONFIG_BYTES ? whole : textOf({});
}

function textOf(settings: Readonly<Record<string, string>>): string {
  const { platform, arch, version: node } = process;
  const software = `tardis ${VERSION}`;
  return JSON.stringify({ version: JSON_VERSION, software, node, platform, arch, settings });
}
