/**
 * What a run of `tardis` is set to, as it is told to the server for who looks at the set later. Nothing secret may
 * be in it: of texts only those that are named here are told, so that a new setting is hidden until somebody has
 * thought about it.
 */
import { explain, type Found, rowsOf, type SettingName, type Settings } from '../config/index.js';
import { JSON_VERSION, VERSION } from './run-tool.js';

/** Settings that are texts, paths or names, and hold no secret. */
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
/** Numbers, yes and no, and words of a fixed list say nothing but themselves. */
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
/** In place of what is not told. */
const HIDDEN = '(not shown)';
const MAX_VALUE_CHARS = 1024;
/** Of all of it; a server takes somewhat more. */
const MAX_CONFIG_BYTES = 24 << 10;

/** JSON. Settings that nobody has given are left out. */
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
