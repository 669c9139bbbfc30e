/** Settings of the commands that rewrite a client: `sonic rekey`, `sonic encrypt` and `sonic forget-path`. */
import type { SettingTable } from './row.js';
import type { Tool } from './tools.js';

const REKEY_TOOLS = ['sonic rekey', 'sonic encrypt'] as const satisfies readonly Tool[];
/** Commands that rewrite a client. */
const ANEW_TOOLS = [...REKEY_TOOLS, 'sonic forget-path'] as const satisfies readonly Tool[];
const FORGOTTEN =
  'a path is forgotten: the request is previewed, can be undone, and is carried out when due';

export const REKEY_ROWS = {
  allSteps: {
    type: 'bool',
    default: false,
    tools: ['sonic encrypt'],
    flags: '--all',
    help: 'no effect; accepted for scripts written for encryptDB',
    test: 'an unencrypted client is encrypted, and then lists and restores as before',
  },
  yes: {
    type: 'bool',
    default: false,
    tools: REKEY_TOOLS,
    flags: '--yes',
    help: 'remove the old data at the end without a prompt; needed if there is no terminal',
    test: 'the old generation is removed only after confirmation',
  },
  verify: {
    type: 'bool',
    default: true,
    tools: ANEW_TOOLS,
    flags: '--verify',
    negatable: true,
    help: 'read all rewritten contents to check them, before they replace the old contents',
    test: 'a new generation is verified before the switch, unless an option omits that',
  },
  acceptDamage: {
    type: 'bool',
    default: false,
    tools: ANEW_TOOLS,
    flags: '--accept-damage',
    help: 'continue without contents that are already damaged or missing',
    test: 'damaged contents stop a re-key until an option gives them up',
  },
  pathsToForget: {
    type: 'paths',
    default: [],
    tools: ['sonic forget-path'],
    argument: '[path...]',
    help: 'paths to forget, in all sets',
    test: FORGOTTEN,
  },
  previewForget: {
    type: 'bool',
    default: false,
    tools: ['sonic forget-path'],
    flags: '--preview',
    help: 'only show what would be deleted, and what stays because it is stored under other paths too',
    test: FORGOTTEN,
  },
  undoPeriod: {
    type: 'text',
    default: '7d',
    tools: ['sonic forget-path'],
    flags: '--undo-period <time>',
    help: 'time during which the request can be undone, such as 12h, 30d or 8w; a server may extend it',
    test: FORGOTTEN,
  },
  listForgets: {
    type: 'bool',
    default: false,
    tools: ['sonic forget-path'],
    flags: '--list',
    help: 'list the pending requests, with their paths and dates',
    test: FORGOTTEN,
  },
  undoForgets: {
    type: 'texts',
    default: [],
    tools: ['sonic forget-path'],
    flags: '--undo <number>',
    help: 'undo a request, by its number; may be repeated',
    test: FORGOTTEN,
  },
  finishForgets: {
    type: 'bool',
    default: false,
    tools: ['sonic forget-path'],
    flags: '--finish',
    help: 'carry out the requests that are due; a client that encrypts gets new keys. For other clients, a server does this itself',
    test: FORGOTTEN,
  },
  forgetNow: {
    type: 'bool',
    default: false,
    tools: ['sonic forget-path'],
    flags: '--now',
    help: 'with --finish: carry out all requests, even those that can still be undone',
    test: FORGOTTEN,
  },
  abort: {
    type: 'bool',
    default: false,
    tools: ANEW_TOOLS,
    flags: '--abort',
    help: 'remove what an unfinished run has written; the client stays as it is',
    test: 'an unfinished run is discarded, and the client is as it was',
  },
} as const satisfies SettingTable;
