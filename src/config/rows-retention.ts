/** Settings of set names by format, and of the retention rules. */
import type { SettingTable } from './row.js';

const RULES =
  'sonic purge keeps sets by its rules, gives the reasons, and prompts before it deletes';
const SERVER_RULES =
  'a server purges by its rules: every PurgeInterval, after a backup with --purge, and on request';
const MOST = 1_000_000;
/** Returns the help text of a rule that keeps the newest set of each period. */
const newestOf = (period: string): string =>
  `the newest set of each of the last n ${period}s that have sets`;

/** Maximum interval in seconds: Node.js timers are limited to 24.8 days. */
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
    default: ['Monthly-%Y-%m', 'Weekly-%G-W%V', 'Daily-%Y-%m-%d'],
    tools: ['tardisd'],
    serverKey: 'Formats',
    help: 'names of sets that the client does not name: strftime formats, separated by commas or blanks. A set gets the first name that no other set has',
    test: 'sets without a name are named by Formats, with the priorities that belong to them',
  },
  priorities: {
    type: 'texts',
    default: ['40', '20', '10'],
    tools: ['tardisd', 'sonic purge'],
    flags: '--priorities <list>',
    serverKey: 'Priorities',
    help: 'list of priorities, one for each of --keep-periods and of Formats (in the configuration of the server). A set that the server names by a format gets the priority of that format',
    test: 'sets without a name are named by Formats, with the priorities that belong to them',
  },
  keepPeriods: {
    type: 'texts',
    tools: ['tardisd', 'sonic purge'],
    flags: '--keep-periods <list>',
    serverKey: 'KeepPeriods',
    defaultText: '0 180 30 for a server without other rules',
    help: 'days to keep sets, one number for each of --priorities (0: for ever). A set gets the number of the highest listed priority that is not above its own priority; a set below all of them gets that of the lowest',
    test: RULES,
  },
  keepLast: count('--keep-last', 'KeepLast', 'the newest n sets'),
  keepHourly: count('--keep-hourly', 'KeepHourly', newestOf('hour')),
  keepDaily: count('--keep-daily', 'KeepDaily', newestOf('day')),
  keepWeekly: count('--keep-weekly', 'KeepWeekly', newestOf('week')),
  keepMonthly: count('--keep-monthly', 'KeepMonthly', newestOf('month')),
  keepYearly: count('--keep-yearly', 'KeepYearly', newestOf('year')),
  keepWithin: {
    type: 'text',
    default: '',
    tools: ['tardisd', 'sonic purge'],
    flags: '--keep-within <time>',
    serverKey: 'KeepWithin',
    help: 'keep sets younger than this, such as 12h, 30d, 8w, 6mo or 2y',
    test: RULES,
  },
  endedAfter: {
    type: 'text',
    default: '',
    tools: ['tardisd', 'sonic purge'],
    flags: '--ended-after <time>',
    serverKey: 'EndedAfter',
    help: 'judge sets of a machine and of roots that got no new set for this time, such as 90d, as if all of them were of one series, so that the newest set of each need not stay',
    test: 'series that have ended count as one, and a preview names the series of a newest set',
  },
  keepTags: {
    type: 'texts',
    default: [],
    tools: ['tardisd', 'sonic purge'],
    flags: '--keep-tag <word>',
    serverKey: 'KeepTags',
    help: 'beside what other rules keep, keep sets with this tag; may be repeated',
    test: RULES,
  },
  beforeDate: {
    type: 'text',
    tools: ['sonic purge'],
    flags: '--before <date>',
    help: 'delete only sets begun before this date; a day or minute means its start',
    test: 'sonic purge by date and priority deletes older sets up to that priority',
  },
  mostPriority: {
    type: 'int',
    min: -MOST,
    max: MOST,
    tools: ['sonic purge'],
    flags: '--priority <n>',
    help: 'delete only sets of this priority or a lower one',
    test: 'sonic purge by date and priority deletes older sets up to that priority',
  },
  previewPurge: {
    type: 'bool',
    default: false,
    tools: ['sonic purge'],
    flags: '--preview',
    help: 'only show which sets would be deleted, and why the others stay',
    test: RULES,
  },
  trustClock: {
    type: 'bool',
    default: false,
    tools: ['sonic purge'],
    flags: '--trust-clock',
    help: 'purge even if the clock has jumped or no backup was made for a long time. Without this option, nothing is deleted in these cases, since the ages of the sets may be wrong',
    test: 'while the clock is in doubt no set is deleted, unless the user trusts the clock',
  },
  purgeSeconds: {
    type: 'seconds',
    min: 0,
    max: MOST_INTERVAL_SECONDS,
    default: 0,
    tools: ['tardisd'],
    serverKey: 'PurgeInterval',
    help: 'seconds between two purges of each client by the rules; 0: purge only on request',
    test: SERVER_RULES,
  },
  purge: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--purge',
    negatable: true,
    clientKey: 'Purge',
    help: 'after the backup, let the server purge old sets by its rules',
    test: SERVER_RULES,
  },
} as const satisfies SettingTable;
