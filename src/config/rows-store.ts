/** Settings of the commands that check, copy and rewrite a client. */
import { type SettingTable } from './row.js';
import { type Tool } from './tools.js';

/** Settings of `sonic check` and of rebuilding catalogs. */
export const CHECK_ROWS = {
  readData: {
    type: 'text',
    tools: ['sonic check'],
    flags: '--read-data [what]',
    preset: 'all',
    help: 'also read stored data: all; n/t: part n of t; 5% or 10G: this much, starting with the data that was read longest ago',
    test: 'a check reads parts, shares and amounts of the data, and in turn all of it',
  },
  readDataAgeDays: {
    type: 'int',
    min: 0,
    max: 36_500,
    default: 0,
    tools: ['sonic check'],
    flags: '--read-data-age <days>',
    help: 'skip data that was read without an error less than this many days ago; 0: skip none',
    test: 'a check skips data that was read within the given days',
  },
  mark: {
    type: 'bool',
    default: true,
    tools: ['sonic check'],
    flags: '--mark',
    negatable: true,
    help: 'mark damaged data in the store, so that the next backup sends it again',
    test: 'the next backup repairs damage that a check has marked',
  },
  againstSource: {
    type: 'bool',
    default: false,
    tools: ['sonic check'],
    flags: '--against-source',
    help: 'also read the source again, compare it with the newest complete set, and list files whose contents changed although their times did not',
    test: 'a check against the source names what differs from the newest set and has not changed since',
  },
  repair: {
    type: 'bool',
    default: false,
    tools: ['sonic check'],
    flags: '--repair',
    help: 'read all stored data first, repair damage with parity, and (in a directory) create missing parity',
    test: 'a check with --repair restores damaged bytes from parity, and reports what it cannot restore',
  },
  fromBackup: {
    type: 'bool',
    default: false,
    tools: ['sonic rebuild'],
    flags: '--from-backup',
    help: 'start from the newest copy of the catalog (see the server setting DBBackups), and read only what was written after it; without a usable copy, read everything',
    test: 'a catalog is rebuilt from its newest copy, and from older ones if that is damaged',
  },
  packsOnly: {
    type: 'bool',
    default: false,
    tools: ['sonic rebuild'],
    flags: '--packs-only',
    help: 'use only the packs, even if the catalog or a copy of it still has entries that were lost with damaged packs; in a bucket, use only its commits',
    test: 'a rebuild with --packs-only takes nothing from the old catalog',
  },
  dbBackups: {
    type: 'int',
    min: 0,
    max: 1000,
    default: 5,
    tools: ['tardisd'],
    serverKey: 'DBBackups',
    help: 'number of compressed copies of each catalog to keep beside it; a copy is made after each set that changed something; 0: none',
    test: 'DBBackups is the number of copies of a catalog that are kept',
  },
} as const satisfies SettingTable;

/** Settings of `sonic copy`, and of backups to several stores. */
export const COPY_ROWS = {
  otherStores: {
    type: 'places',
    default: [],
    tools: ['tardis'],
    flags: '--also-to <dir>',
    clientKey: 'AlsoTo',
    help: 'with --local: also back up to a copy of the client in this store (a directory or s3://BUCKET/PREFIX), which must be there unless --create is given; may be repeated; each further -D does the same',
    test: 'a backup goes to several stores, and files are read once',
  },
  copyTo: {
    type: 'place',
    tools: ['sonic copy'],
    flags: '--to <dir>',
    help: 'target store: a directory, or s3://BUCKET/PREFIX; a new copy needs --create',
    test: 'a copy shows every set as the source does, and restores the same files',
  },
  copyToServer: {
    type: 'text',
    tools: ['sonic copy'],
    flags: '--to-server <host[:port]>',
    help: "copy to this tardisd (HOST[:PORT] or a unix socket). The server must have AcceptCopies (--accept-copies); the client's password is used to log in",
    test: 'a client is copied to a server that accepts copies, from a store and from another server',
  },
  copyAs: {
    type: 'text',
    tools: ['sonic copy'],
    flags: '--as <name>',
    help: 'name of the client in the target store, if it differs',
    test: 'a client is copied under another name, and all clients with --all',
  },
  allClients: {
    type: 'bool',
    default: false,
    tools: ['sonic copy'],
    flags: '--all',
    help: 'copy all clients of the store; if a client fails, the others are still copied; not with --server, where each client has its own login',
    test: 'a client is copied under another name, and all clients with --all',
  },
  copyDeletes: {
    type: 'bool',
    default: false,
    tools: ['sonic copy'],
    flags: '--delete',
    help: 'also delete sets from the copy that were deleted at the source, except locked sets and the newest set (not with --to-server)',
    test: 'sets that were deleted at the source stay in the copy, unless --delete is given',
  },
} as const satisfies SettingTable;

const REKEY_TOOLS = ['sonic rekey', 'sonic encrypt'] as const satisfies readonly Tool[];
/** Commands that rewrite a client. */
const ANEW_TOOLS = [...REKEY_TOOLS, 'sonic forget-path'] as const satisfies readonly Tool[];
const FORGOTTEN =
  'a path is forgotten: the request is previewed, can be undone, and is carried out when due';

/** Settings of the commands that rewrite a client: `sonic rekey`, `sonic encrypt` and `sonic forget-path`. */
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
