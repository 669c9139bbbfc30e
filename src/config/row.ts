/** The shape of a setting: one row says everything about it, its TypeScript type too. */
import type { Tool } from './tools.js';

/**
 * `path` is bytes, `text` must be UTF-8, `name` is such a text without slashes; the plural ones are lists (in a file: words, quoted where they
 * hold spaces), `command` is such words everywhere. `seconds` may have three decimals, `size` a unit (K, M, G, T), `count` is a number that
 * a flag without a value raises by one, `mode` is octal, `rates` are bytes a second, by time of day if wanted.
 */
export type ValueType =
  | 'text'
  | 'name'
  | 'texts'
  | 'path'
  | 'paths'
  | 'command'
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
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  /** Choices of the seeds that are refused, with what to write instead. */
  readonly refused?: Readonly<Record<string, string>>;
}

type Default = string | number | boolean | readonly string[];

export interface SettingRow extends ValueSpec {
  /** Left out: the setting is undefined unless it is given. A function for what the machine says. */
  readonly default?: Default | (() => Default);
  /** How a default that is not a plain value is told. */
  readonly defaultText?: string;
  readonly tools: readonly Tool[];
  /** As commander has them: `-D, --database <dir>`. Those of lists and counts may be repeated. */
  readonly flags?: string;
  /** What the flag means where its value may be left out (`--overwrite [when]`). */
  readonly preset?: string;
  /** With `preset`: what follows the flag is its value only if it is a number. */
  readonly isNumberOrNothing?: true;
  /** Shown nowhere. */
  readonly isSecret?: true;
  /** The flag (a bool's) has a `--no-` form too. */
  readonly negatable?: true;
  /** Takes the arguments that are no options: `<path...>`, or `[path...]` when there may be none. */
  readonly argument?: string;
  /** Environment variable, which is also the key in system.defaults. */
  readonly variable?: `TARDIS_${string}`;
  /** Key of the client's configuration file. */
  readonly clientKey?: string;
  /** Key of the server's configuration file. */
  readonly serverKey?: string;
  /** The key may stand in `[Pipeline]` too, which holds for every job. */
  readonly isTuning?: true;
  readonly help: string;
  /** Title of the test that shows the effect (a test looks that it exists). */
  readonly test: string;
}

export type SettingTable = Readonly<Record<string, SettingRow>>;

type Given<R extends SettingRow> = R extends { type: 'bool' }
  ? boolean
  : R extends { type: 'int' | 'count' | 'size' | 'seconds' | 'mode' }
    ? number
    : R extends { type: 'choice'; choices: readonly (infer Choice)[] }
      ? Choice
      : R extends { type: 'path' }
        ? Buffer
        : R extends { type: 'paths' }
          ? readonly Buffer[]
          : R extends { type: 'texts' | 'command' }
            ? readonly string[]
            : string;

/** The TypeScript type of a row's value. */
export type ValueOf<R extends SettingRow> = R extends { default: unknown }
  ? Given<R>
  : Given<R> | undefined;
