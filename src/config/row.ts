/** The definition of a setting: one row has everything about it, including its TypeScript type. */
import type { Tool } from './tools.js';

/**
 * Types of values. `path` is bytes, `place` the place of a store (store-place.ts), `text` must be UTF-8, `name` is a text without slashes. The plural types are lists.
 * In a file, the words of a list are separated by blanks or commas; a word that contains a blank or a comma is quoted.
 * `commands` are texts `NAME = COMMAND`, each a line of [Sources] in a file (source-commands.ts).
 * `command` is a list of words that are separated by blanks only, on a command line too. `seconds` may have up to three
 * decimals. `size` may have a unit (K, M, G, T). `count` is a number; each flag without a value raises it by one.
 * `mode` is octal. `rates` are bytes per second, optionally by time of day.
 */
type ValueType =
  | 'text'
  | 'name'
  | 'texts'
  | 'path'
  | 'paths'
  | 'place'
  | 'places'
  | 'command'
  | 'commands'
  | 'bool'
  | 'int'
  | 'count'
  | 'size'
  | 'seconds'
  | 'mode'
  | 'choice'
  | 'rates';

export interface ValueSpec {
  readonly type: ValueType;
  /** The least and the greatest value of a number; without it, any from 0 on. */
  readonly range?: readonly [min: number, max: number];
  readonly choices?: readonly string[];
  /** Choices of the predecessor programs that are rejected, with their replacements. */
  readonly refused?: Readonly<Record<string, string>>;
}

type Default = string | number | boolean | readonly string[];

/** Texts of a row that may differ between tools. */
interface RowTexts {
  readonly help: string;
  /** Description of a default that is not a plain value. */
  readonly defaultText?: string;
  /** If true, help, manuals and completions do not list the setting: it has no effect in this tool, or `tardis COMMAND` gives it. */
  readonly isUnlisted?: true;
  /** True if --help lists the setting (`commonRow`); --help-all lists the others, too. */
  readonly isCommon?: boolean;
}

type ToolTexts<Texts = Partial<RowTexts>> = Readonly<Partial<Record<Tool, Texts>>>;

/** Returns the texts of a row for several tools. */
export function forTools<const Texts>(tools: readonly Tool[], texts: Texts): ToolTexts<Texts> {
  return Object.fromEntries(tools.map((tool) => [tool, texts])) as ToolTexts<Texts>;
}

export interface SettingRow extends ValueSpec, RowTexts {
  /**
   * A function computes a default from the machine. Without a default, a `bool` is false, a list is empty, and any other
   * setting is undefined unless it is given. With `default: undefined`, all types are undefined unless given.
   */
  readonly default?: Default | (() => Default) | undefined;
  readonly tools: readonly Tool[];
  /** Texts of single tools, if those of the row do not fit them. */
  readonly perTool?: ToolTexts;
  /**
   * Flags in the format of commander: `-D, --database <dir>`. Flags of lists and counts may be repeated. A bool that
   * also has a `--no-` form is written `--[no-]crypt` in the table. A secret is written `-P, --password[=password]`: its
   * value is never the next word.
   */
  readonly flags?: string;
  /** Setting that takes the second and later values of a repeated flag. Without it, only the last value counts. */
  readonly repeatedTo?: string;
  /** Setting of which this one is another name, in later releases of Tardis (Python). */
  readonly standsFor?: string;
  /** Value of the flag if it is given without one (`--overwrite [when]`). */
  readonly preset?: string;
  /** With `preset`: true if the next word is the value of the flag only when it is a number. */
  readonly isNumberOrNothing?: true;
  /** True if the value is never shown. */
  readonly isSecret?: true;
  /** True if the flag of a bool also has a `--no-` form; `completed` takes it from the flags. */
  readonly negatable?: true;
  /**
   * Pattern of the arguments that are not options, which this setting takes: `<path...>`, or `[path...]` if they are
   * optional.
   */
  readonly argument?: string;
  /** Arguments as the help and the manual of a tool show them, by tool. `argument` is shown for the other tools. */
  readonly shownArguments?: Readonly<Partial<Record<Tool, string>>>;
  /** Environment variable, which is also the key in system.defaults. */
  readonly variable?: `TARDIS_${string}`;
  /** Key in the client's configuration file. */
  readonly clientKey?: string;
  /** Key in the server's configuration file. */
  readonly serverKey?: string;
  /** Key in the configuration file of tardisremote, if it differs from `serverKey`. */
  readonly remoteKey?: string;
  /** True if the key is also allowed in `[Pipeline]`, which applies to every job. */
  readonly isTuning?: true;
}

/** A row as its table has it, before `completed`. */
export interface GivenRow extends Omit<SettingRow, 'perTool'> {
  /** Texts of single tools; a mere string is the help. */
  readonly perTool?: ToolTexts<string | Partial<RowTexts>>;
  /** Key in both files, in place of one in each. */
  readonly bothKey?: string;
  /** Key in the file or the files that `rowsFor` names for the table. */
  readonly key?: string;
}

/** All of a row but its type and its flags. Its tools may be those that its table shares. */
type Rest = Omit<GivenRow, 'type' | 'flags' | 'tools'> & Partial<Pick<SettingRow, 'tools'>>;
/**
 * Names of a setting: its flags, its key in the file of its table, and its variable, or only some of
 * these. Flags begin with a hyphen, and a variable with `TARDIS_`.
 */
type Names = string | readonly string[];
type Row<T extends ValueType, M> = Readonly<{ type: T }> & M;

/** Returns a row from its type, its names (empty if it has none), and all else. */
export function row<const T extends ValueType, const M extends Rest>(
  type: T,
  names: Names,
  more: M,
): Row<T, M> {
  return { type, ...named(names), ...more };
}

/** Returns a row that --help lists, since most people need it. */
export function commonRow<const T extends ValueType, const M extends Rest>(
  type: T,
  names: Names,
  more: M,
): Row<T, M> {
  return Object.assign(row(type, names, more), { isCommon: true });
}

/** Returns the row of a number from its type, its names, its default with its least and greatest value, and all else. */
export function amount<const T extends ValueType, const D extends number, const M extends Rest>(
  type: T,
  names: Names,
  [usual, ...range]: readonly [usual: D] | readonly [usual: D, least: number, greatest: number],
  more: M,
): Row<T, { default: D } & M> {
  const limits = range.length === 0 ? {} : { range };
  return { type, ...named(names), default: usual, ...limits, ...more };
}

/** Returns the row of a bool that is true by default. */
export function on<const M extends Rest>(
  names: Names,
  more: M,
): Row<'bool', { default: true } & M> {
  return { type: 'bool', ...named(names), default: true, ...more };
}

/** Returns the row of a choice, of which the first word is the default. */
export function choice<const C extends readonly [string, ...string[]], const M extends Rest>(
  names: Names,
  choices: C,
  more: M,
): Row<'choice', { choices: C; default: C[0] } & M> {
  return { type: 'choice', ...named(names), choices, default: choices[0], ...more };
}

/** The fields of a row that its names fill. */
type NameFields = { -readonly [K in 'flags' | 'key' | 'variable']?: GivenRow[K] };

function named(names: Names): NameFields {
  const fields: Record<string, string> = {};
  for (const name of typeof names === 'string' ? [names] : names) {
    if (name.startsWith('-')) fields['flags'] = name;
    else if (name.startsWith('TARDIS_')) fields['variable'] = name;
    else if (name !== '') fields['key'] = name;
  }
  return fields;
}

/** A table whose rows may lack the tools that all of them share. */
export type PartialTable = Readonly<Record<string, Rest & Pick<SettingRow, 'type' | 'flags'>>>;

/** The files of a table's keys. */
type KeyFile = 'client' | 'server' | 'both' | 'remote';
type Joined<T extends readonly Tool[], R extends PartialTable> = {
  readonly [K in keyof R]: R[K] extends { tools: unknown } ? R[K] : R[K] & { readonly tools: T };
};

/** Returns the rows, with the tools in each row that has none of its own, and their keys in the files named. */
export function rowsFor<const T extends readonly Tool[], R extends PartialTable>(
  tools: T,
  files: KeyFile,
  rows: R,
): Joined<T, R> {
  // At the start of each command there are 370 rows, so they are not copied.
  for (const row of Object.values(rows) as Record<string, unknown>[]) {
    const { key } = row;
    row['tools'] ??= tools;
    if (key === undefined) continue;
    row[`${files}Key`] ??= key;
    delete row['key'];
  }
  return rows as unknown as Joined<T, R>;
}

/** Returns the rows as `rowsFor` does, as settings that `[Pipeline]` may have, too. */
export function tuningRows<const T extends readonly Tool[], R extends PartialTable>(
  tools: T,
  files: KeyFile,
  rows: R,
): Joined<T, R> {
  const tuning = Object.entries(rows).map(([name, row]) => [name, { ...row, isTuning: true }]);
  return rowsFor(tools, files, Object.fromEntries(tuning) as R);
}

const LISTS: ReadonlySet<ValueType> = new Set(['texts', 'paths', 'places', 'commands']);
const NUMBERS: ReadonlySet<ValueType> = new Set(['int', 'count', 'size', 'seconds', 'mode']);

/** Returns a row with the default and the range of its type, unless it has its own, its keys, and its flags for commander. */
export function completed({ bothKey, perTool, ...given }: GivenRow): SettingRow {
  const keys = bothKey === undefined ? {} : { clientKey: bothKey, serverKey: bothKey };
  const texts = perTool === undefined ? {} : { perTool: withHelp(perTool) };
  const row: SettingRow = { ...given, ...keys, ...texts };
  if (row.type === 'bool') return { default: false, ...row, ...withoutBrackets(row.flags) };
  if (LISTS.has(row.type)) return { default: [], ...row };
  return NUMBERS.has(row.type) ? { range: [0, Infinity], ...row } : row;
}

function withHelp(perTool: NonNullable<GivenRow['perTool']>): ToolTexts {
  const texts = Object.entries(perTool);
  return Object.fromEntries(
    texts.map(([tool, own]) => [tool, typeof own === 'string' ? { help: own } : own]),
  );
}

function withoutBrackets(flags = ''): Pick<SettingRow, 'flags' | 'negatable'> {
  return flags.includes('[no-]') ? { flags: flags.replace('[no-]', ''), negatable: true } : {};
}

type Given<R extends GivenRow> = R extends { type: 'bool' }
  ? boolean
  : R extends { type: 'int' | 'count' | 'size' | 'seconds' | 'mode' }
    ? number
    : R extends { type: 'choice'; choices: readonly (infer Choice)[] }
      ? Choice
      : R extends { type: 'path' | 'place' }
        ? Buffer
        : R extends { type: 'paths' | 'places' }
          ? readonly Buffer[]
          : R extends { type: 'texts' | 'command' | 'commands' }
            ? readonly string[]
            : string;

/** The TypeScript type of a row's value. */
export type ValueOf<R extends GivenRow> = R extends { default: undefined }
  ? Given<R> | undefined
  : R extends { default: unknown } | { type: 'bool' | 'texts' | 'paths' | 'places' | 'commands' }
    ? Given<R>
    : Given<R> | undefined;
