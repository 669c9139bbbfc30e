/** Dates as users write them. */
import { parseDate } from '../../../src/config/index.js';
import { must, refusal, type Target } from '../engine/target.js';

const NOW_MS = 1_700_000_000_123;

export const target: Target = {
  about: 'dates: refused, or a moment, and the same each time',
  seeds: () =>
    [
      '3D',
      '12h',
      '@1700000000',
      '2024-02-29T12:30:15.5+02:00',
      '2024-02-29',
      '03/15/2014',
      '3 days ago',
      'yesterday',
      'last monday at noon',
      'now',
      'two weeks and 3 hours ago',
      '15 march 2014 5pm',
      'tomorrow morning',
      'jan 1st, 2020 at 00:00 GMT+2',
    ].map((text) => Buffer.from(text)),
  fuzz: async (data) => {
    const text = data.toString('utf8');
    try {
      const moment = await parseDate(text, NOW_MS);
      must(Number.isSafeInteger(moment), `${moment} is no moment`);
      must(!Number.isNaN(new Date(moment).getTime()), `${moment} is no date`);
      must((await parseDate(text, NOW_MS)) === moment, 'another moment for equal words');
      return `${moment < NOW_MS}`;
    } catch (error) {
      return refusal(error, ['BAD_DATE']);
    }
  },
  tokens: [
    'ago',
    'last ',
    'next ',
    'monday',
    ' at ',
    'noon',
    'pm',
    'Z',
    '+14:00',
    '-',
    '/',
    ':',
    'mo',
    'week',
    'in ',
    'half',
  ],
  maxBytes: 400,
};
