/** Settings of deleting sets and of garbage collection. */
import type { SettingTable } from './row.js';
import { MARKING } from './tools.js';

const HOUR_SECONDS = 3600;
const YEAR_SECONDS = 366 * 24 * HOUR_SECONDS;
/** Maximum interval in seconds: Node.js timers are limited to 24.8 days. */
const MOST_INTERVAL_SECONDS = 24 * 24 * HOUR_SECONDS;

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
