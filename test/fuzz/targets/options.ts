/** Values of options, and words of argument files. */
import {
  allRows,
  formatValue,
  keptKey,
  keptValue,
  parseGiven,
  parseRates,
  parseSize,
  parseValue,
  rateAt,
  type SettingRow,
  splitWords,
} from '../../../src/config/index.js';
import { isDeepStrictEqual } from 'node:util';
import { parseRights } from '../../../src/store/index.js';
import { attempt, magnitude, must, type Target } from '../engine/target.js';

const CODES = ['CONFIG_INVALID', 'CAPABILITY_MISSING', 'USAGE', 'ACCOUNT_INVALID'] as const;
const ROWS: readonly SettingRow[] = allRows().map(([, row]) => row);

/** Returns a setting, chosen by a number. */
function rowFor(number: number): SettingRow {
  return ROWS[number % ROWS.length]!;
}

/** Parses a value. The text that `formatValue` makes of it must parse to the same value. */
function value(text: string, row: SettingRow): string {
  const parsed = parseValue(text, row, 'here');
  const written = formatValue(parsed, row);
  must(
    isDeepStrictEqual(parseValue(written, row, 'here'), parsed),
    `${row.type}: a value that was written reads otherwise`,
  );
  parseGiven([text, text], row, 'here');
  return row.type;
}

export const target: Target = {
  about: 'values of options: refused, or the same when written and read again',
  seeds: () => [
    ...ROWS.map((_, index) => Buffer.concat([Buffer.from([index]), Buffer.from('1')])),
    ...[
      '1.5G',
      'yes',
      '\'a b\' "c\\"d" e\\ f',
      '08:00-18:00=500K,*=none',
      '0755',
      '1.250',
      '-5',
    ].flatMap((text) =>
      [7, 40, 80, 120].map((at) => Buffer.concat([Buffer.from([at]), Buffer.from(text)])),
    ),
  ],
  fuzz: (data) => {
    const row = rowFor(data[0] ?? 0);
    const text = data.subarray(1).toString('latin1');
    return [
      attempt(CODES, () => value(text, row)),
      attempt(CODES, () => magnitude(splitWords(text, 'here', data.length % 2 === 0).length)),
      attempt(CODES, () => magnitude(parseSize(text, 'here'))),
      attempt(CODES, () => magnitude(rateAt(parseRates(text, 'here'), 600) ?? 0)),
      attempt(CODES, () => keptValue(keptKey(text.split('=')[0]!), text).constructor.name),
      attempt(CODES, () => magnitude(parseRights(text.split(',')).length)),
    ].join(' / ');
  },
  tokens: [
    'K',
    'G',
    'T',
    'none',
    '*=',
    '=',
    ',',
    '-',
    '"',
    "'",
    '\\',
    '#',
    '\n',
    ' ',
    '1e9',
    '0x1',
  ],
  maxBytes: 16 << 10,
};
