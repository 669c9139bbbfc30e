/** Settings of the marks of backup sets: tags, priorities, names, locks. */
import { MAX_PRIORITY } from '../model/index.js';
import type { SettingTable } from './row.js';
import { MARKING } from './tools.js';

const GIVES_MARKS =
  'a backup gives its set tags, a priority, and the mark that it may be deleted early';
const CHANGED = 'sets get tags, locks, priorities and new names, in a store and through a server';

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
