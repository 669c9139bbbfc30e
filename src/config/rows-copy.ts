/** Settings of `sonic copy`, and of backups to several stores. */
import type { SettingTable } from './row.js';

export const COPY_ROWS = {
  otherStores: {
    type: 'paths',
    default: [],
    tools: ['tardis'],
    flags: '--also-to <dir>',
    clientKey: 'AlsoTo',
    help: 'with --local: also back up to a copy of the client in this store (a directory or s3://BUCKET/PREFIX); may be repeated; a second and further -D do this too',
    test: 'a backup goes to several stores, and files are read once',
  },
  copyTo: {
    type: 'path',
    tools: ['sonic copy'],
    flags: '--to <dir>',
    help: 'target store: a directory (created if it does not exist), or s3://BUCKET/PREFIX',
    test: 'a copy shows every set as the source does, and restores the same files',
  },
  copyToServer: {
    type: 'text',
    tools: ['sonic copy'],
    flags: '--to-server <host[:port]>',
    help: 'copy to the store of this tardisd (or unix socket), which must accept copies; the login is that of the client, with its password',
    test: 'a client is copied to a server that accepts copies, from a store and from another server',
  },
  copyAs: {
    type: 'text',
    tools: ['sonic copy'],
    flags: '--as <name>',
    help: 'name of the client in that store, if different',
    test: 'a client is copied under another name, and all clients with --all',
  },
  allClients: {
    type: 'bool',
    default: false,
    tools: ['sonic copy'],
    flags: '--all',
    help: 'copy all clients of the store; one that fails does not stop the others; not with --server, where each client has its own login',
    test: 'a client is copied under another name, and all clients with --all',
  },
  copyDeletes: {
    type: 'bool',
    default: false,
    tools: ['sonic copy'],
    flags: '--delete',
    help: 'delete sets of the copy that were deleted at the source, except locked ones and the newest; without it they stay',
    test: 'sets that were deleted at the source stay in the copy, unless --delete is given',
  },
} as const satisfies SettingTable;
