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

type ToolTexts = Readonly<Partial<Record<Tool, Partial<RowTexts>>>>;

/** Returns the texts of a row for several tools. */
export function forTools(tools: readonly Tool[], texts: Partial<RowTexts>): ToolTexts {
  return Object.fromEntries(tools.map((tool) => [tool, texts]));
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
  /** Key in both files, in place of one in each. */
  readonly bothKeys?: string;
  /** Key in the configuration file of tardisremote, if it differs from `serverKey`. */
  readonly remoteKey?: string;
  /** True if the key is also allowed in `[Pipeline]`, which applies to every job. */
  readonly isTuning?: true;
}

export type SettingTable = Readonly<Record<string, SettingRow>>;
type Rest = Omit<SettingRow, 'type' | 'flags' | 'tools'> & Partial<Pick<SettingRow, 'tools'>>;

/** Returns a row from its type, its flags (empty if it has none), and all else. */
export function row<const T extends ValueType, const M extends Rest>(
  type: T,
  flags: string,
  more: M,
): Readonly<{ type: T; flags?: string }> & M {
  return { type, ...withFlags(flags), ...more };
}

/** Returns a row that --help lists, since most people need it. */
export function commonRow<const T extends ValueType, const M extends Rest>(
  type: T,
  flags: string,
  more: M,
): ReturnType<typeof row<T, M>> & { readonly isCommon: true } {
  return { ...row(type, flags, more), isCommon: true };
}

/** Returns the row of a number from its type, its flags, its default with its least and greatest value, and all else. */
export function amount<const T extends ValueType, const D extends number, const M extends Rest>(
  type: T,
  flags: string,
  [usual, ...range]: readonly [usual: D] | readonly [usual: D, least: number, greatest: number],
  more: M,
): Readonly<{ type: T; flags?: string; default: D }> & M {
  const limits = range.length === 0 ? {} : { range };
  return { type, ...withFlags(flags), default: usual, ...limits, ...more };
}

function withFlags(flags: string): Pick<SettingRow, 'flags'> {
  return flags === '' ? {} : { flags };
}

/** A table whose rows may lack the tools that all of them share. */
export type PartialTable = Readonly<
  Record<string, Omit<SettingRow, 'tools'> & Partial<Pick<SettingRow, 'tools'>>>
>;

type Shared = Pick<SettingRow, 'tools' | 'isTuning'>;
type Joined<S extends Shared, R extends PartialTable> = {
  readonly [K in keyof R]: Omit<S, keyof R[K]> & R[K];
};

/** Returns the rows, with the shared fields in each row that has none of its own. */
export function rowsFor<const S extends Shared, R extends PartialTable>(
  shared: S,
  rows: R,
): Joined<S, R> {
  const full = Object.entries(rows).map(([name, row]) => [name, { ...shared, ...row }]);
  return Object.fromEntries(full) as Joined<S, R>;
}

const LISTS: ReadonlySet<ValueType> = new Set(['texts', 'paths', 'places', 'commands']);
const NUMBERS: ReadonlySet<ValueType> = new Set(['int', 'count', 'size', 'seconds', 'mode']);

/** Returns a row with the default and the range of its type, unless it has its own, its keys, and its flags for commander. */
export function completed({ bothKeys, ...given }: SettingRow): SettingRow {
  const row =
    bothKeys === undefined ? given : { ...given, clientKey: bothKeys, serverKey: bothKeys };
  if (row.type === 'bool') return { default: false, ...row, ...withoutBrackets(row.flags) };
  if (LISTS.has(row.type)) return { default: [], ...row };
  return NUMBERS.has(row.type) ? { range: [0, Infinity], ...row } : row;
}

function withoutBrackets(flags = ''): Pick<SettingRow, 'flags' | 'negatable'> {
  return flags.includes('[no-]') ? { flags: flags.replace('[no-]', ''), negatable: true } : {};
}

type Given<R extends SettingRow> = R extends { type: 'bool' }
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
export type ValueOf<R extends SettingRow> = R extends { default: undefined }
  ? Given<R> | undefined
  : R extends { default: unknown } | { type: 'bool' | 'texts' | 'paths' | 'places' | 'commands' }
    ? Given<R>
    : Given<R> | undefined;
