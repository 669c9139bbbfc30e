/** Settings of names by format, and of which sets are kept. */
import type { SettingTable } from './row.js';

const RULES = 'sonic purge keeps what the rules say, tells why, and asks before it deletes';
const SERVER_RULES =
  'the server purges by its rules: by PurgeInterval, after a backup with --purge, when it is asked';
const MOST = 1_000_000;
/** Timers of Node.js take no more than 24.8 days. */
const MOST_INTERVAL_SECONDS = 24 * 86_400;

const count = (flag: string, serverKey: string, what: string) =>
  ({
    type: 'int',
    min: 0,
    max: MOST,
    default: 0,
    tools: ['tardisd', 'sonic purge'],
    flags: `${flag} <n>`,
    serverKey,
    help: `keep ${what}`,
    test: RULES,
  }) as const;

export const RETENTION_ROWS = {
  formats: {
    type: 'texts',
    default: ['Monthly-%Y-%m', 'Weekly-%Y-%U', 'Daily-%Y-%m-%d'],
    tools: ['tardisd'],
    serverKey: 'Formats',
    help: 'names of sets that the client gives none, as strftime has them, by commas or blanks: the first that is free',
    test: 'sets without a name are named by Formats, with the priorities that belong to them',
  },
  priorities: {
    type: 'texts',
    default: ['40', '20', '10'],
    tools: ['tardisd', 'sonic purge'],
    flags: '--priorities <list>',
    serverKey: 'Priorities',
    help: 'priorities that belong to the formats and periods, in their order',
    test: 'sets without a name are named by Formats, with the priorities that belong to them',
  },
  keepPeriods: {
    type: 'texts',
    tools: ['tardisd', 'sonic purge'],
    flags: '--keep-periods <list>',
    serverKey: 'KeepPeriods',
    defaultText: 'of the server: 0, 180, 30, unless there is another rule',
    help: 'days that sets of these priorities, and up to the next, are kept; 0: for ever',
    test: RULES,
  },
  keepLast: count(
    '--keep-last',
    'KeepLast',
    'this many of the newest sets (a server counts one a day)',
  ),
  keepHourly: count('--keep-hourly', 'KeepHourly', 'the oldest set of each of so many hours'),
  keepDaily: count('--keep-daily', 'KeepDaily', 'the oldest set of each of so many days'),
  keepWeekly: count('--keep-weekly', 'KeepWeekly', 'the oldest set of each of so many weeks'),
  keepMonthly: count('--keep-monthly', 'KeepMonthly', 'the oldest set of each of so many months'),
  keepYearly: count('--keep-yearly', 'KeepYearly', 'the oldest set of each of so many years'),
  keepWithin: {
    type: 'text',
    default: '',
    tools: ['tardisd', 'sonic purge'],
    flags: '--keep-within <time>',
    serverKey: 'KeepWithin',
    help: 'keep sets that are younger, such as 12h, 30d, 8w, 6m or 2y',
    test: RULES,
  },
  keepTags: {
    type: 'texts',
    default: [],
    tools: ['tardisd', 'sonic purge'],
    flags: '--keep-tag <word>',
    serverKey: 'KeepTags',
    help: 'keep sets with this tag; may be given several times',
    test: RULES,
  },
  beforeDate: {
    type: 'text',
    tools: ['sonic purge'],
    flags: '--before <date>',
    help: 'only sets begun before may go',
    test: 'sonic purge by date and priority takes what is older, and no more important',
  },
  mostPriority: {
    type: 'int',
    min: -MOST,
    max: MOST,
    tools: ['sonic purge'],
    flags: '--priority <n>',
    help: 'only sets of this priority or a lower one may go',
    test: 'sonic purge by date and priority takes what is older, and no more important',
  },
  previewPurge: {
    type: 'bool',
    default: false,
    tools: ['sonic purge'],
    flags: '--preview',
    help: 'only tell for each set why it is kept, or that it would go',
    test: RULES,
  },
  trustClock: {
    type: 'bool',
    default: false,
    tools: ['sonic purge'],
    flags: '--trust-clock',
    help: 'purge though the clock has jumped, or nobody backed up for long',
    test: 'while the clock is in doubt nothing goes, unless that is wanted',
  },
  purgeSeconds: {
    type: 'seconds',
    min: 0,
    max: MOST_INTERVAL_SECONDS,
    default: 0,
    tools: ['tardisd'],
    serverKey: 'PurgeInterval',
    help: 'seconds between two purges of each client by the rules; 0: only when it is asked',
    test: SERVER_RULES,
  },
  purge: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--purge',
    negatable: true,
    clientKey: 'Purge',
    help: 'when the backup is done, ask the server to purge old sets by its rules',
    test: SERVER_RULES,
  },
} as const satisfies SettingTable;
