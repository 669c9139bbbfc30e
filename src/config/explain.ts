/** Lists settings with their values: each with its source, for `--explain-config`, and those of a command line. */
import { displayName, jsonName } from '../model/index.js';
import { textBytes } from '../system/index.js';
import { longFlag } from './layers.js';
import type { Tool } from './tools.js';
import { rowsOf, type Sourced } from './settings.js';
import { formatValue, type Value } from './values.js';

interface Explained {
  readonly name: string;
  /** Value as it would be written in a file, or `HIDDEN` for a secret; undefined if the setting has no value. */
  readonly shown: string | undefined;
  /**
   * Value for JSON: null without a value, a number, a boolean, a text, or a list. A path is an object with `name`, and
   * with `nameBytes` (base64) if it is not UTF-8.
   */
  readonly value: unknown;
  readonly source: string;
  readonly where: string;
}

/** Text shown instead of a secret. */
const HIDDEN = '(not shown)';

/** Returns one row for each setting of the tool except --explain-config, in the order of the table. */
export function explain(tool: Tool, { sources }: Sourced): Explained[] {
  return rowsOf(tool)
    .filter(([name]) => name !== 'explainConfig')
    .map(([name, row]) => {
      const found = sources.get(name);
      if (found === undefined) {
        return { name, shown: undefined, value: null, source: 'built-in', where: '' };
      }
      const { value, source, where } = found;
      if (row.isSecret === true) return { name, shown: HIDDEN, value: HIDDEN, source, where };
      const shown = displayName(textBytes(formatValue(value, row)));
      return { name, shown, value: plain(value), source, where };
    });
}

function plain(value: Value): unknown {
  if (Buffer.isBuffer(value)) return jsonName(value);
  if (typeof value !== 'object') return value;
  return value.map((item) => (typeof item === 'string' ? item : jsonName(item)));
}

/** Returns the settings that a command line gives, as it gives them, but for secrets; undefined if there are none. */
export function givenWords(tool: Tool, { sources }: Sourced): string | undefined {
  const words = rowsOf(tool).flatMap(([name, { flags, isSecret, ...row }]) => {
    const found = sources.get(name);
    const isShown = found?.source === 'command line' && flags !== undefined && isSecret !== true;
    return isShown ? [`${longFlag(flags)} ${formatValue(found.value, row)}`] : [];
  });
  return words.length === 0 ? undefined : words.join(' ');
}
