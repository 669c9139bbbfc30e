/** Settings of what removes sets, and clears up what nothing needs. */
import type { SettingTable } from './row.js';
import { MARKING } from './tools.js';

const HOUR_SECONDS = 3600;
const YEAR_SECONDS = 366 * 24 * HOUR_SECONDS;
/** Timers of Node.js take no more than 24.8 days. */
const MOST_INTERVAL_SECONDS = 24 * 24 * HOUR_SECONDS;

export const UPKEEP_ROWS = {
  setsToDelete: {
    type: 'texts',
    default: [],
    tools: ['sonic delete'],
    argument: '[set...]',
    help: 'numbers or names of backup sets, or first-last',
    test: 'sets are deleted by number, name and range, after a question',
  },
  deleteYes: {
    type: 'bool',
    default: false,
    tools: ['sonic delete', 'sonic purge', 'sonic forget-path'],
    flags: '--yes',
    help: 'delete without a question; needed where there is no terminal',
    test: 'sets are deleted by number, name and range, after a question',
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
    help: 'only tell what would be done',
    test: 'with --dry-run it is told what would be done, and nothing is',
  },
  clearUp: {
    type: 'bool',
    default: true,
    tools: ['sonic delete', 'sonic purge'],
    flags: '--clear-up',
    negatable: true,
    help: 'free what the sets alone held, at once; without it, and through a server, that is done later',
    test: 'what deleted sets held is freed at once, or later by sonic orphans',
  },
  removeAfterSeconds: {
    type: 'seconds',
    min: 0,
    max: YEAR_SECONDS,
    default: HOUR_SECONDS,
    tools: ['tardisd'],
    serverKey: 'RemoveAfter',
    help: 'seconds that packs which were written anew stay, for who is reading them',
    test: 'a server clears clients up after their sessions, and deletes after RemoveAfter',
  },
  upkeepSeconds: {
    type: 'seconds',
    min: 0,
    max: MOST_INTERVAL_SECONDS,
    default: HOUR_SECONDS,
    tools: ['tardisd'],
    serverKey: 'UpkeepInterval',
    help: 'seconds between two rounds over all clients to free what nothing needs; also done after each session; 0: never',
    test: 'a server clears clients up after their sessions, and deletes after RemoveAfter',
  },
  earlyPurgeBytes: {
    type: 'size',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    default: 0,
    tools: ['tardisd'],
    serverKey: 'EarlyPurgeBelow',
    help: 'with less free space than this after a session, expendable sets of its client go, the oldest first; 0: none',
    test: 'expendable sets of the client that has grown go early, and no others',
  },
  leastAgeSeconds: {
    type: 'seconds',
    min: 0,
    max: 100 * YEAR_SECONDS,
    default: 24 * HOUR_SECONDS,
    tools: ['tardisd'],
    serverKey: 'LeastAge',
    help: 'seconds that the server keeps a set in any case; whoever deletes over the network cannot shorten it',
    test: 'over the network no set goes before LeastAge',
  },
  forgetAfterSeconds: {
    type: 'seconds',
    min: 0,
    max: 100 * YEAR_SECONDS,
    default: 7 * 24 * HOUR_SECONDS,
    tools: ['tardisd'],
    serverKey: 'ForgetAfter',
    help: 'seconds in which it can be taken back that a path is to be forgotten; who asks for it over the network cannot shorten them',
    test: 'over the network no path is forgotten before ForgetAfter',
  },
  wastePercent: {
    type: 'int',
    min: 1,
    max: 100,
    default: 25,
    tools: ['tardisd', 'sonic delete', 'sonic purge', 'sonic orphans'],
    flags: '--waste <percent>',
    serverKey: 'CompactPercent',
    help: 'a pack of which so much is not needed is written anew',
    test: 'a pack is written anew when CompactPercent of it is not needed',
  },
} as const satisfies SettingTable;
