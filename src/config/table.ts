/**
 * Options as data: each has a config key, maybe an environment variable and a command-line flag, a
 * type and a default. Values come from, in rising order: the default, the environment, the config
 * file, the command line.
 */
import fs from 'node:fs';
import ini from 'ini';
import { systemCode, TardisError } from '../errors/index.js';
import { parseValue, type ValueSpec } from './values.js';

export interface OptionSpec extends ValueSpec {
  readonly key: string;
  readonly section: 'Tardis' | 'Pipeline';
  readonly env?: string;
  readonly default: string | number | boolean;
  readonly help: string;
}

export type OptionTable = Readonly<Record<string, OptionSpec>>;

export type OptionValues<T extends OptionTable> = {
  -readonly [K in keyof T]: T[K]['type'] extends 'bool'
    ? boolean
    : T[K]['type'] extends 'text' | 'choice'
      ? string
      : number;
};

export interface ValueSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Path of an INI file, or undefined for none. */
  readonly configFile?: string | undefined;
  /** Values of command-line flags by the table's names; undefined where not given. */
  readonly commandLine: Readonly<Record<string, string | boolean | undefined>>;
}

/** Resolves every option of the table. Throws CONFIG_INVALID for bad values and unknown keys. */
export function resolveOptions<T extends OptionTable>(
  table: T,
  sources: ValueSources,
): OptionValues<T> {
  const fromFile =
    sources.configFile === undefined ? {} : readConfigFile(table, sources.configFile);
  const values: Record<string, string | number | boolean> = {};
  for (const [name, spec] of Object.entries(table)) {
    values[name] = spec.default;
    const environment = spec.env === undefined ? undefined : sources.environment[spec.env];
    if (environment !== undefined) values[name] = parseValue(environment, spec, spec.env!);
    const configured = fromFile[name];
    if (configured !== undefined) {
      values[name] = parseValue(configured, spec, `${spec.key} in ${sources.configFile!}`);
    }
    const given = sources.commandLine[name];
    if (typeof given === 'string')
      values[name] = parseValue(given, spec, `the option for ${spec.key}`);
    else if (given !== undefined) values[name] = given;
  }
  return values as OptionValues<T>;
}

/** Reads an INI file into texts by the table's names; unknown keys are errors. */
function readConfigFile(table: OptionTable, file: string): Record<string, string> {
  const names = new Map<string, string>();
  for (const [name, spec] of Object.entries(table)) {
    names.set(`${spec.section}.${spec.key}`.toLowerCase(), name);
  }
  const found: Record<string, string> = {};
  for (const [section, entries] of Object.entries(parseIni(file))) {
    if (typeof entries !== 'object' || entries === null) {
      throw new TardisError('CONFIG_INVALID', `${file}: "${section}" stands outside a section`);
    }
    for (const [key, value] of Object.entries(entries)) {
      const name = names.get(`${section}.${key}`.toLowerCase());
      if (name === undefined) {
        throw new TardisError('CONFIG_INVALID', `${file}: [${section}] has no key "${key}"`);
      }
      if (typeof value === 'object' && value !== null) {
        throw new TardisError('CONFIG_INVALID', `${file}: [${section}] has "${key}" twice`);
      }
      found[name] = String(value);
    }
  }
  return found;
}

function parseIni(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new TardisError(
      'CONFIG_INVALID',
      `cannot read the config file ${file}: ${systemCode(error) ?? 'unknown'}`,
      {},
      error,
    );
  }
  return ini.parse(text, { bracketedArray: false });
}
