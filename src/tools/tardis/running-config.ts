/**
 * The settings of a run of `tardis`, sent to the server and stored with the set. They must not contain secrets. Only
 * the text settings in this file's list are sent, so a new setting stays hidden until it is added to the list.
 */
import { explain, rowsOf, type SettingName, type Settings } from '../../config/index.js';
import { configBytes, type PlainConfig, type RunSetting } from '../../model/index.js';
import { VERSION } from '../shared/declare-tool.js';

/** Settings whose values are texts, paths or names and contain no secret. */
const SHOWN_TEXTS: ReadonlySet<string> = new Set<SettingName>([
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
/** Maximum size of the whole configuration; a server accepts somewhat more. */
const MAX_CONFIG_BYTES = 24 << 10;

/** Returns the configuration, without settings that have their default. */
export function runningConfig(settings: Settings<'tardis'>): PlainConfig {
  const types = new Map(rowsOf('tardis').map(([name, row]) => [name, row]));
  const given = explain('tardis', settings).filter(
    ({ source, shown }) => source !== 'built-in' && shown !== undefined,
  );
  const rows = given.map(({ name, shown = '' }): RunSetting => {
    const row = types.get(name);
    const isPlain = row !== undefined && PLAIN_TYPES.has(row.type);
    const isShown = row?.isSecret !== true && (isPlain || SHOWN_TEXTS.has(name));
    if (!isShown || /:\/\/|@/.test(shown)) return { name, value: HIDDEN };
    const isShort = shown.length <= MAX_VALUE_CHARS;
    return { name, value: isShort ? shown : `(${shown.length} characters)` };
  });
  const { platform, arch, version: node } = process;
  const software = `tardis ${VERSION}`;
  const whole: PlainConfig = { form: 'plain', software, node, platform, arch, settings: rows };
  return configBytes(whole) <= MAX_CONFIG_BYTES ? whole : { ...whole, settings: [] };
}
