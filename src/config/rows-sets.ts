/** Settings of the commands that mark, keep and delete sets, and of garbage collection. */
import { MAX_PRIORITY } from '../model/index.js';
import { amount, commonRow, on, type PartialTable, row, rowsFor } from './row.js';
import { MARKING, ofSonic } from './tools.js';

const HOUR_SECONDS = 3600;
/** Maximum interval in seconds: Node.js timers are limited to 24.8 days. */
const MOST_INTERVAL_SECONDS = 24 * 24 * HOUR_SECONDS;

/** Settings of the marks of backup sets: tags, priorities, names, locks. */
export const MARK_ROWS = rowsFor(['tardis'], 'client', {
  tags: commonRow('texts', ['--tag <word>', 'Tags'], {
    help: 'tag of the backup set; may be repeated',
  }),
  priority: amount('int', ['--priority <n>', 'Priority'], [0, -MAX_PRIORITY, MAX_PRIORITY], {
    help: 'priority of the backup set; the keep periods of the server depend on it',
  }),
  expendable: row('bool', ['--[no-]expendable', 'Expendable'], {
    help: 'the backup set may be deleted early when the server runs out of space',
  }),
  setsToMark: row('texts', '', {
    tools: MARKING,
    argument: '[set...]',
    shownArguments: { 'sonic rename': '<set>' },
    perTool: { 'sonic rename': 'number or name of a backup set' },
    help: 'numbers or names of backup sets, or ranges (10-20)',
  }),
  addTags: row('texts', '--add <word>', {
    tools: ['sonic tag'],
    help: 'tag to add to the sets; may be repeated',
  }),
  removeTags: row('texts', '--remove <word>', {
    tools: ['sonic tag'],
    help: 'tag to remove from the sets; may be repeated',
  }),
  unlock: row('bool', '--unlock', {
    tools: ['sonic lock'],
    help: 'unlock the sets, so that they can be deleted again',
  }),
  toPriority: row('int', '--to <n>', {
    range: [-MAX_PRIORITY, MAX_PRIORITY],
    tools: ['sonic priority'],
    help: 'new priority of the sets',
  }),
  toName: row('text', '--to <name>', {
    tools: ['sonic rename'],
    help: 'new name of the set; empty: its original name',
  }),
  notExpendable: row('bool', '--not', {
    tools: ['sonic expendable'],
    help: 'remove the mark: do not delete these sets early',
  }),
} as const satisfies PartialTable);

const MOST = 1_000_000;
/** Returns the help text of a rule that keeps the newest set of each period. */
const newestOf = (period: string): string =>
  `the newest set of each of the last n ${period}s that have sets`;

const count = (flag: string, key: string, what: string) =>
  amount('int', [`${flag} <n>`, key], [0, 0, MOST], { isCommon: true, help: `keep ${what}` });

/** Settings of set names by format, and of the retention rules. */
export const RETENTION_ROWS = rowsFor(['tardisd', 'sonic purge'], 'server', {
  formats: row('texts', 'Formats', {
    default: undefined,
    tools: ['tardisd'],
    defaultText: 'date and time, such as 2026-11-27_180512',
    help: 'names of sets that the client does not name: strftime formats, separated by commas or blanks. A set gets the first name that no other set has',
  }),
  priorities: row('texts', ['--priorities <list>', 'Priorities'], {
    default: ['40', '20', '10'],
    perTool: { 'sonic purge': 'list of priorities, one for each of --keep-periods' },
    help: 'list of priorities, one for each of --keep-periods and of Formats (in the configuration of the server). A set that the client does not name gets the first of them if it is the first of its month, the second if it is a further one and the first of its week, the third for its day; with Formats, that of the format',
  }),
  keepPeriods: row('texts', ['--keep-periods <list>', 'KeepPeriods'], {
    default: undefined,
    defaultText: '0 180 30 for a server without other rules',
    help: 'days to keep sets, one number for each of --priorities (0: for ever). A set gets the number of the highest listed priority that is not above its own priority; a set below all of them gets that of the lowest',
  }),
  keepLast: count('--keep-last', 'KeepLast', 'the newest n sets'),
  keepHourly: count('--keep-hourly', 'KeepHourly', newestOf('hour')),
  keepDaily: count('--keep-daily', 'KeepDaily', newestOf('day')),
  keepWeekly: count('--keep-weekly', 'KeepWeekly', newestOf('week')),
  keepMonthly: count('--keep-monthly', 'KeepMonthly', newestOf('month')),
  keepYearly: count('--keep-yearly', 'KeepYearly', newestOf('year')),
  keepWithin: row('text', ['--keep-within <time>', 'KeepWithin'], {
    default: '',
    help: 'keep sets younger than this, such as 12h, 30d, 8w, 6mo or 2y',
  }),
  endedAfter: row('text', ['--ended-after <time>', 'EndedAfter'], {
    default: '',
    help: 'judge sets of a machine and of roots that got no new set for this time, such as 90d, as if all of them were of one series, so that the newest set of each need not stay',
  }),
  keepTags: row('texts', ['--keep-tag <word>', 'KeepTags'], {
    help: 'beside what other rules keep, keep sets with this tag; may be repeated',
  }),
  ...rowsFor(['sonic purge'], 'client', {
    beforeDate: row('text', '--before <date>', {
      help: 'delete only sets begun before this date; a day or minute means its start',
    }),
    mostPriority: row('int', '--priority <n>', {
      range: [-MOST, MOST],
      help: 'delete only sets of this priority or a lower one',
    }),
    previewPurge: row('bool', '--preview', {
      help: 'only show which sets would be deleted, and why the others stay',
    }),
    trustClock: row('bool', '--trust-clock', {
      help: 'purge even if the clock has jumped or no backup was made for a long time. Without this option, nothing is deleted in these cases, since the ages of the sets may be wrong',
    }),
  }),
  purgeSeconds: amount('seconds', 'PurgeInterval', [0, 0, MOST_INTERVAL_SECONDS], {
    tools: ['tardisd'],
    help: 'seconds between two purges of each client by the rules; 0: purge only on request',
  }),
  purge: commonRow('bool', '--[no-]purge', {
    tools: ['tardis'],
    clientKey: 'Purge',
    help: 'after the backup, let the server purge old sets by its rules',
  }),
} as const satisfies PartialTable);

const YEAR_SECONDS = 366 * 24 * HOUR_SECONDS;

/** Settings of deleting sets and of garbage collection. */
export const GC_ROWS = rowsFor(['tardisd'], 'server', {
  setsToDelete: row('texts', '', {
    tools: ['sonic delete'],
    argument: '[set...]',
    help: 'numbers or names of backup sets, or ranges (10-20)',
  }),
  deleteYes: commonRow('bool', '--yes', {
    tools: ['sonic delete', 'sonic purge', 'sonic forget-path'],
    help: 'delete without a prompt; needed if there is no terminal',
  }),
  rehearse: row('bool', '-n, --dry-run', {
    tools: [
      ...ofSonic('export', 'delete', 'purge', 'orphans', 'forget-path', 'upgrade', 'setconfig'),
      ...MARKING,
    ],
    help: 'only show what would be done',
  }),
  clearUp: on('--[no-]clear-up', {
    tools: ['sonic delete', 'sonic purge'],
    help: 'free the space at once (not through a server); with --no-clear-up the next garbage collection frees it',
  }),
  removeAfterSeconds: amount('seconds', 'RemoveAfter', [HOUR_SECONDS, 0, YEAR_SECONDS], {
    help: 'seconds for which a pack that was rewritten is kept, for readers that still use it',
  }),
  gcSeconds: amount('seconds', 'GcInterval', [HOUR_SECONDS, 0, MOST_INTERVAL_SECONDS], {
    help: 'seconds between two garbage collections of all clients; after each session, its client has one too; 0: no garbage collection',
  }),
  earlyPurgeBytes: amount('size', 'EarlyPurgeBelow', [0, 0, Number.MAX_SAFE_INTEGER], {
    help: 'if less space than this is free after a session, delete expendable sets of its client, oldest first; 0: never',
  }),
  leastAgeSeconds: amount('seconds', 'LeastAge', [24 * HOUR_SECONDS, 0, 100 * YEAR_SECONDS], {
    help: 'seconds for which the server keeps every set; no deletion over the network can shorten this time',
  }),
  forgetAfterSeconds: amount('seconds', '', [7 * 24 * HOUR_SECONDS, 0, 100 * YEAR_SECONDS], {
    serverKey: 'ForgetAfter',
    help: 'seconds during which a request to forget a path can be undone; no request over the network can shorten this time',
  }),
  wastePercent: amount('int', ['--waste <percent>', 'CompactPercent'], [25, 1, 100], {
    tools: ['tardisd', 'sonic copy', 'sonic delete', 'sonic purge', 'sonic orphans'],
    help: 'rewrite a pack if at least this percentage of it is not needed',
  }),
} as const satisfies PartialTable);
