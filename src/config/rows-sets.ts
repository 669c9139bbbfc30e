/** Settings of the commands that mark, keep and delete sets, and of garbage collection. */
import { MAX_PRIORITY } from '../model/index.js';
import { type SettingTable } from './row.js';
import { MARKING } from './tools.js';

const HOUR_SECONDS = 3600;
/** Maximum interval in seconds: Node.js timers are limited to 24.8 days. */
const MOST_INTERVAL_SECONDS = 24 * 24 * HOUR_SECONDS;

const GIVES_MARKS =
  'a backup gives its set tags, a priority, and the mark that it may be deleted early';
const CHANGED = 'sets get tags, locks, priorities and new names, in a store and through a server';

/** Settings of the marks of backup sets: tags, priorities, names, locks. */
export const MARK_ROWS = {
  tags: {
    type: 'texts',
    default: [],
    tools: ['tardis'],
    flags: '--tag <word>',
    clientKey: 'Tags',
    help: 'tag of the backup set; may be repeated',
    test: GIVES_MARKS,
  },
  priority: {
    type: 'int',
    min: -MAX_PRIORITY,
    max: MAX_PRIORITY,
    default: 0,
    tools: ['tardis'],
    flags: '--priority <n>',
    clientKey: 'Priority',
    help: 'priority of the backup set; the keep periods of the server depend on it',
    test: GIVES_MARKS,
  },
  expendable: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--expendable',
    negatable: true,
    clientKey: 'Expendable',
    help: 'the backup set may be deleted early when the server runs out of space',
    test: GIVES_MARKS,
  },
  setsToMark: {
    type: 'texts',
    default: [],
    tools: MARKING,
    argument: '[set...]',
    shownArguments: { 'sonic rename': '<set>' },
    perTool: { 'sonic rename': { help: 'number or name of a backup set' } },
    help: 'numbers or names of backup sets, or ranges (10-20)',
    test: CHANGED,
  },
  addTags: {
    type: 'texts',
    default: [],
    tools: ['sonic tag'],
    flags: '--add <word>',
    help: 'tag to add to the sets; may be repeated',
    test: CHANGED,
  },
  removeTags: {
    type: 'texts',
    default: [],
    tools: ['sonic tag'],
    flags: '--remove <word>',
    help: 'tag to remove from the sets; may be repeated',
    test: CHANGED,
  },
  unlock: {
    type: 'bool',
    default: false,
    tools: ['sonic lock'],
    flags: '--unlock',
    help: 'unlock the sets, so that they can be deleted again',
    test: CHANGED,
  },
  toPriority: {
    type: 'int',
    min: -MAX_PRIORITY,
    max: MAX_PRIORITY,
    tools: ['sonic priority'],
    flags: '--to <n>',
    help: 'new priority of the sets',
    test: CHANGED,
  },
  toName: {
    type: 'text',
    tools: ['sonic rename'],
    flags: '--to <name>',
    help: 'new name of the set; empty: its original name',
    test: CHANGED,
  },
  notExpendable: {
    type: 'bool',
    default: false,
    tools: ['sonic expendable'],
    flags: '--not',
    help: 'remove the mark: do not delete these sets early',
    test: CHANGED,
  },
} as const satisfies SettingTable;

const RULES =
  'sonic purge keeps sets by its rules, gives the reasons, and prompts before it deletes';
const SERVER_RULES =
  'a server purges by its rules: every PurgeInterval, after a backup with --purge, and on request';
const MOST = 1_000_000;
/** Returns the help text of a rule that keeps the newest set of each period. */
const newestOf = (period: string): string =>
  `the newest set of each of the last n ${period}s that have sets`;

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

/** Settings of set names by format, and of the retention rules. */
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

const YEAR_SECONDS = 366 * 24 * HOUR_SECONDS;

/** Settings of deleting sets and of garbage collection. */
export const GC_ROWS = {
  setsToDelete: {
    type: 'texts',
    default: [],
    tools: ['sonic delete'],
    argument: '[set...]',
    help: 'numbers or names of backup sets, or ranges (10-20)',
    test: 'sets are deleted by number, name and range, after confirmation',
  },
  deleteYes: {
    type: 'bool',
    default: false,
    tools: ['sonic delete', 'sonic purge', 'sonic forget-path'],
    flags: '--yes',
    help: 'delete without a prompt; needed if there is no terminal',
    test: 'sets are deleted by number, name and range, after confirmation',
  },
  rehearse: {
    type: 'bool',
    default: false,
    tools: [
      'sonic delete',
      'sonic purge',
      'sonic orphans',
      'sonic forget-path',
      'sonic upgrade',
      'sonic setconfig',
      ...MARKING,
    ],
    flags: '-n, --dry-run',
    help: 'only show what would be done',
    test: '--dry-run shows what would be done, and changes nothing',
  },
  clearUp: {
    type: 'bool',
    default: true,
    tools: ['sonic delete', 'sonic purge'],
    flags: '--clear-up',
    negatable: true,
    help: 'free the space at once (not through a server); with --no-clear-up the next garbage collection frees it',
    test: 'the space of deleted sets is freed at once, or later by sonic orphans',
  },
  removeAfterSeconds: {
    type: 'seconds',
    min: 0,
    max: YEAR_SECONDS,
    default: HOUR_SECONDS,
    tools: ['tardisd'],
    serverKey: 'RemoveAfter',
    help: 'seconds for which a pack that was rewritten is kept, for readers that still use it',
    test: 'a server collects garbage after each session, and deletes replaced packs after RemoveAfter',
  },
  gcSeconds: {
    type: 'seconds',
    min: 0,
    max: MOST_INTERVAL_SECONDS,
    default: HOUR_SECONDS,
    tools: ['tardisd'],
    serverKey: 'GcInterval',
    help: 'seconds between two garbage collections of all clients; after each session, its client has one too; 0: no garbage collection',
    test: 'a server collects garbage after each session, and deletes replaced packs after RemoveAfter',
  },
  earlyPurgeBytes: {
    type: 'size',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    default: 0,
    tools: ['tardisd'],
    serverKey: 'EarlyPurgeBelow',
    help: 'if less space than this is free after a session, delete expendable sets of its client, oldest first; 0: never',
    test: 'only expendable sets of the client that has grown are deleted early',
  },
  leastAgeSeconds: {
    type: 'seconds',
    min: 0,
    max: 100 * YEAR_SECONDS,
    default: 24 * HOUR_SECONDS,
    tools: ['tardisd'],
    serverKey: 'LeastAge',
    help: 'seconds for which the server keeps every set; no deletion over the network can shorten this time',
    test: 'no set is deleted over the network before LeastAge',
  },
  forgetAfterSeconds: {
    type: 'seconds',
    min: 0,
    max: 100 * YEAR_SECONDS,
    default: 7 * 24 * HOUR_SECONDS,
    tools: ['tardisd'],
    serverKey: 'ForgetAfter',
    help: 'seconds during which a request to forget a path can be undone; no request over the network can shorten this time',
    test: 'no path is forgotten over the network before ForgetAfter',
  },
  wastePercent: {
    type: 'int',
    min: 1,
    max: 100,
    default: 25,
    tools: ['tardisd', 'sonic copy', 'sonic delete', 'sonic purge', 'sonic orphans'],
    flags: '--waste <percent>',
    serverKey: 'CompactPercent',
    help: 'rewrite a pack if at least this percentage of it is not needed',
    test: 'a pack is rewritten when CompactPercent of it is not needed',
  },
} as const satisfies SettingTable;
