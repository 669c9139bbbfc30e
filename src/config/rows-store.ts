/** Settings of the commands that check, copy and rewrite a client. */
import { amount, commonRow, on, type PartialTable, row, rowsFor } from './row.js';
import { type Tool } from './tools.js';

/** Settings of `sonic check` and of rebuilding catalogs. */
export const CHECK_ROWS = rowsFor(['sonic check'], 'client', {
  readData: row('text', '--read-data [what]', {
    preset: 'all',
    help: 'also read stored data: all; n/t: part n of t; 5% or 10G: this much, starting with the data that was read longest ago',
  }),
  readDataAgeDays: amount('int', '--read-data-age <days>', [0, 0, 36_500], {
    help: 'skip data that was read without an error less than this many days ago; 0: skip none',
  }),
  mark: on('--[no-]mark', {
    help: 'mark damaged data in the store, so that the next backup sends it again',
  }),
  againstSource: row('bool', '--against-source', {
    help: 'also read the source again, compare it with the newest complete set, and list files whose contents changed although their times did not',
  }),
  repair: row('bool', '--repair', {
    help: 'read all stored data first, repair damage with parity, and (in a directory) create missing parity',
  }),
  isQuick: row('bool', '--quick', {
    tools: ['sonic rebuild'],
    help: 'read all listings and events, but only the headers of contents: their bytes are read by `sonic check --read-data` and by restores',
  }),
  packsOnly: row('bool', '--packs-only', {
    tools: ['sonic rebuild'],
    help: 'use only the packs, even if the catalog still has entries that were lost with damaged packs; in a bucket, use only its commits',
  }),
} as const satisfies PartialTable);

/** Settings of `sonic copy`, and of backups to several stores. */
export const COPY_ROWS = rowsFor(['sonic copy'], 'client', {
  otherStores: commonRow('places', ['--also-to <place>', 'AlsoTo'], {
    tools: ['tardis', 'tardis-web'],
    perTool: {
      'tardis-web':
        'also show the clients of this store (a directory, s3://BUCKET/PREFIX or ssh://HOST/PLACE; of the latter two, the client of -C); may be repeated; each further -D does the same',
    },
    help: 'with --local: also back up to a copy of the client in this store (a directory, s3://BUCKET/PREFIX or ssh://HOST/PLACE), which must be there unless --create is given; may be repeated; each further -D does the same',
  }),
  copyTo: commonRow('place', '--to <dir>', {
    help: 'target store: a directory, or s3://BUCKET/PREFIX; a new copy needs --create',
  }),
  copyToServer: commonRow('text', '--to-server <host>', {
    help: "copy to this tardisd: HOST[:PORT], ssh://[USER@]HOST/PLACE, or the path of a unix socket. The server must have AcceptCopies (--accept-copies); the client's password is used to log in",
  }),
  copyAs: row('text', '--as <name>', {
    help: 'name of the client in the target store, if it differs',
  }),
  allClients: row('bool', '--all', {
    help: 'copy all clients of the store; if a client fails, the others are still copied; not with --server, where each client has its own login',
  }),
  copyDeletes: row('bool', '--delete', {
    help: 'also delete sets from the copy that were deleted at the source, except locked sets and the newest set (not with --to-server)',
  }),
} as const satisfies PartialTable);

/** Settings of `sonic setup`, and of codes by which a machine joins. */
export const SETUP_ROWS = rowsFor(['sonic setup'], 'client', {
  codeFor: row('text', '--code-for <host>', {
    tools: ['sonic create'],
    help: 'create no client now: print a code by which a new machine creates it at this server (HOST[:PORT], as that machine reaches it), once and within an hour; on the machine of the store',
  }),
  joinFile: row('path', '--join <file>', {
    tools: ['sonic create', 'sonic setup'],
    help: 'file with the code of a server for a new client, which names server and client; - is standard input. As an argument, other users of this machine could see the code',
  }),
  answersFile: row('path', '--answers <file>', {
    help: 'file with the answers, instead of questions: a section [Setup] with the keys Sources, Exclude, Place, Client, Encrypt, PasswordFile, When, Timer, Keep, Report and SameDisk (docs/using/setup.md); - is standard input',
  }),
  setupYes: row('bool', '--yes', {
    help: 'no questions: what is set up already, or the usual answers, with -D, -C and --answers',
  }),
  setupOnly: row('bool', '--settings-only', {
    help: 'write the configuration and the timer, and make no backup now',
  }),
  undoSetup: row('bool', '--undo', {
    help: 'remove the configuration and the timer that this command wrote; the backups stay',
  }),
} as const satisfies PartialTable);

const REKEY_TOOLS = ['sonic rekey', 'sonic encrypt'] as const satisfies readonly Tool[];
/** Commands that rewrite a client. */
const ANEW_TOOLS = [...REKEY_TOOLS, 'sonic forget-path'] as const satisfies readonly Tool[];

/** Settings of the commands that rewrite a client: `sonic rekey`, `sonic encrypt` and `sonic forget-path`. */
export const REKEY_ROWS = rowsFor(['sonic forget-path'], 'client', {
  allSteps: row('bool', '--all', {
    tools: ['sonic encrypt'],
    isUnlisted: true,
    help: 'no effect; accepted for scripts written for encryptDB',
  }),
  yes: row('bool', '--yes', {
    tools: REKEY_TOOLS,
    help: 'remove the old data at the end without a prompt; needed if there is no terminal',
  }),
  verify: on('--[no-]verify', {
    tools: ANEW_TOOLS,
    help: 'read all rewritten contents to check them, before they replace the old contents',
  }),
  acceptDamage: row('bool', '--accept-damage', {
    tools: ANEW_TOOLS,
    help: 'continue without contents that are already damaged or missing',
  }),
  pathsToForget: row('paths', '', { argument: '[path...]', help: 'paths to forget, in all sets' }),
  previewForget: row('bool', '--preview', {
    help: 'only show what would be deleted, and what stays because it is stored under other paths too',
  }),
  undoPeriod: row('text', '--undo-period <time>', {
    default: '7d',
    help: 'time during which the request can be undone, such as 12h, 30d or 8w; a server may extend it',
  }),
  listForgets: row('bool', '--list', {
    help: 'list the pending requests, with their paths and dates',
  }),
  undoForgets: row('texts', '--undo <number>', {
    help: 'undo a request, by its number; may be repeated',
  }),
  finishForgets: row('bool', '--finish', {
    help: 'carry out the requests that are due; a client that encrypts gets new keys. For other clients, a server does this itself',
  }),
  forgetNow: row('bool', '--now', {
    help: 'with --finish: carry out all requests, even those that can still be undone',
  }),
  abort: row('bool', '--abort', {
    tools: ANEW_TOOLS,
    help: 'remove what an unfinished run has written; the client stays as it is',
  }),
} as const satisfies PartialTable);
