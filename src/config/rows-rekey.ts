/** Settings of what writes a client anew: `sonic rekey`, `sonic encrypt` and `sonic forget-path`. */
import type { SettingTable } from './row.js';
import type { Tool } from './tools.js';

const REKEY_TOOLS = ['sonic rekey', 'sonic encrypt'] as const satisfies readonly Tool[];
/** All that write a client anew. */
const ANEW_TOOLS = [...REKEY_TOOLS, 'sonic forget-path'] as const satisfies readonly Tool[];
const FORGOTTEN = 'a path is forgotten: shown before, taken back, and gone when its time is over';

export const REKEY_ROWS = {
  allSteps: {
    type: 'bool',
    default: false,
    tools: ['sonic encrypt'],
    flags: '--all',
    help: 'all steps, as encryptDB had it: there is no other way, so it may be left out',
    test: 'an unencrypted client is encrypted, and shows and gives back what it did',
  },
  yes: {
    type: 'bool',
    default: false,
    tools: REKEY_TOOLS,
    flags: '--yes',
    help: 'remove the old generation at the end without a question; needed where there is no terminal',
    test: 'the old generation is removed by nobody who was not asked',
  },
  verify: {
    type: 'bool',
    default: true,
    tools: ANEW_TOOLS,
    flags: '--verify',
    negatable: true,
    help: 'read all contents of the new generation before it takes the place of the old one',
    test: 'a new generation is read before the switch, unless that is left out',
  },
  acceptDamage: {
    type: 'bool',
    default: false,
    tools: ANEW_TOOLS,
    flags: '--accept-damage',
    help: 'go on without contents that are damaged or missing already',
    test: 'damaged contents hold a re-key up until they are given up by name',
  },
  pathsToForget: {
    type: 'paths',
    default: [],
    tools: ['sonic forget-path'],
    argument: '[path...]',
    help: 'what to forget, in all sets there are',
    test: FORGOTTEN,
  },
  previewForget: {
    type: 'bool',
    default: false,
    tools: ['sonic forget-path'],
    flags: '--preview',
    help: 'only tell what would go, and what stays since it is elsewhere too',
    test: FORGOTTEN,
  },
  undoPeriod: {
    type: 'text',
    default: '7d',
    tools: ['sonic forget-path'],
    flags: '--undo-period <time>',
    help: 'time in which it can be taken back, such as 12h, 30d or 8w; a server may make it longer',
    test: FORGOTTEN,
  },
  listForgets: {
    type: 'bool',
    default: false,
    tools: ['sonic forget-path'],
    flags: '--list',
    help: 'tell what is to be forgotten, and when',
    test: FORGOTTEN,
  },
  undoForgets: {
    type: 'texts',
    default: [],
    tools: ['sonic forget-path'],
    flags: '--undo <number>',
    help: 'take a request back, by its number; may be given several times',
    test: FORGOTTEN,
  },
  finishForgets: {
    type: 'bool',
    default: false,
    tools: ['sonic forget-path'],
    flags: '--finish',
    help: 'carry out what is due; a server does that itself for clients that do not encrypt',
    test: FORGOTTEN,
  },
  forgetNow: {
    type: 'bool',
    default: false,
    tools: ['sonic forget-path'],
    flags: '--now',
    help: 'with --finish: all requests, also those that could still be taken back',
    test: FORGOTTEN,
  },
  abort: {
    type: 'bool',
    default: false,
    tools: ANEW_TOOLS,
    flags: '--abort',
    help: 'remove what an unfinished run has made; the client stays as it is',
    test: 'an unfinished run is given up, and the client is as it was',
  },
} as const satisfies SettingTable;
