/** Settings of `sonic copy`, and of backups to several stores. */
import type { SettingTable } from './row.js';

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
