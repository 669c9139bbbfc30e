/**
 * Every error a user or a peer can meet, in one table: what kind it is, the exit status it gives a
 * command, and what to do about it. docs/errors.md is generated from it (a test keeps them equal).
 *
 * Kinds: `user` (wrong input or missing thing), `busy` (try later), `environment` (disk, rights,
 * network), `damage` (stored bytes are not what they should be), `protocol` (the peer broke the
 * rules), `partial` (done, but not all of it), `interrupted`, and `bug` (ours; shows a stack).
 */
export type ErrorKind =
  | 'user'
  | 'busy'
  | 'environment'
  | 'damage'
  | 'protocol'
  | 'partial'
  | 'interrupted'
  | 'bug';

export interface ErrorRow {
  readonly kind: ErrorKind;
  readonly exitStatus: number;
  /** What the reader should do next; one sentence. */
  readonly guidance: string;
}

const row = (kind: ErrorKind, exitStatus: number, guidance: string): ErrorRow =>
  Object.freeze({ kind, exitStatus, guidance });

export const ERROR_TABLE = Object.freeze({
  USAGE: row('user', 1, 'See the command with --help.'),
  SAMPLE_EXISTS: row(
    'user',
    1,
    'Remove or rename it, or go to another directory; it was not touched.',
  ),
  HOOK_FAILED: row(
    'user',
    1,
    'Nothing was backed up, since the command of HookBefore failed; what it said is above, and in LogFiles.',
  ),
  CONFIG_INVALID: row(
    'user',
    1,
    'Correct what is named; --explain-config tells where each setting comes from.',
  ),
  CAPABILITY_MISSING: row(
    'user',
    1,
    'Leave it out; docs/configuration.md lists all that this release refuses.',
  ),
  NO_SUCH_STORE: row(
    'user',
    10,
    'Check -D/--database, or make the store with `tardis --create` or `sonic create`.',
  ),
  NO_SUCH_CLIENT: row(
    'user',
    10,
    'Check -C/--client, or make the client with `tardis --create` or `sonic create`.',
  ),
  CLIENT_EXISTS: row('user', 1, 'Choose another name; the existing client was not touched.'),
  CLIENT_NAME_INVALID: row(
    'user',
    1,
    'Use 1 to 128 letters, digits, dots, hyphens or underscores, not starting with a dot.',
  ),
  NO_SUCH_REQUEST: row('user', 1, 'List them with `sonic forget-path --list`.'),
  NO_SUCH_SET: row('user', 1, 'List the backup sets with `lstardis`.'),
  SET_LOCKED: row('user', 1, 'Unlock it first (sonic lock --unlock), if it may go.'),
  SET_TOO_YOUNG: row(
    'user',
    1,
    'Wait, or delete it where the store is: over the network sets go only after LeastAge of the server.',
  ),
  MARKS_INVALID: row(
    'user',
    1,
    'A set has 64 tags at most, each one word, and a name like any other.',
  ),
  SET_IS_NEWEST: row('user', 1, 'Make another backup first: the newest complete set always stays.'),
  BAD_DATE: row(
    'user',
    1,
    'Give a date such as 2014-03-15, 03/15/2014, "3 days ago", yesterday, 3D or 12h.',
  ),
  NO_ACCESS: row(
    'user',
    1,
    'Its owner and permissions in the set do not let you read it; ask its owner, or root.',
  ),
  NO_SUCH_PATH: row(
    'user',
    1,
    'List the sets and their roots with `lstardis -l`, and choose one with -b SET.',
  ),
  SOURCE_MISSING: row('user', 1, 'Name directories that exist and can be opened.'),
  TARGET_EXISTS: row(
    'user',
    1,
    'Restore to another place with -o, or give --overwrite=always, newer or older.',
  ),
  TARGET_FULL: row(
    'environment',
    1,
    'Free space where the files are restored to, then run the same command again.',
  ),
  SOURCE_UNREADABLE: row(
    'environment',
    1,
    'Run it as a user who may read what is named, or leave that out.',
  ),
  SPECIAL_FILE: row(
    'partial',
    3,
    'Only root may make device nodes; everything else is there. Restore as root to have them too.',
  ),
  ATTRIBUTE_NOT_SET: row(
    'partial',
    3,
    'The file is there without it: its new place has no such attributes, or only root may set it.',
  ),
  TARGET_NOT_WRITABLE: row('environment', 1, 'Check the owner and mode of the target directory.'),
  CLIENT_BUSY: row('busy', 11, 'Wait until the other session or tool has finished.'),
  STORE_NOT_WRITABLE: row(
    'environment',
    1,
    'Check the owner and mode of the store, and that it is not mounted read-only.',
  ),
  STORE_NOT_READABLE: row('environment', 1, 'Check the owner and mode of the store.'),
  DISK_FULL: row(
    'environment',
    1,
    'Free space on the disk that is named; what was acknowledged is kept, and a new run continues.',
  ),
  QUOTA_EXCEEDED: row(
    'environment',
    1,
    'Leave out what need not be saved, or ask the operator of the server to raise SpaceQuota of the account; all finished sets can be restored, and a new run continues.',
  ),
  IO_FAILED: row('environment', 1, 'Check the disk and the system log; then run again.'),
  SERVER_UNREACHABLE: row('environment', 1, 'Check --server and --port, and that tardisd runs.'),
  CONNECTION_LOST: row('environment', 1, 'Run again; it continues from the last checkpoint.'),
  SESSION_GONE: row(
    'environment',
    1,
    'The server has ended the session that was to go on; run again, it continues from the last checkpoint.',
  ),
  TIMED_OUT: row('environment', 1, 'Check the network and the server, then run again.'),
  INSECURE_TCP_REFUSED: row(
    'user',
    1,
    'Use TLS (SSL, CertFile and KeyFile of the server); plain TCP needs --insecure-tcp, and beyond loopback --insecure-network.',
  ),
  CERTIFICATE_REFUSED: row(
    'user',
    1,
    'Where a password proves the server, as in each login, --no-validate-certs takes any certificate; else use one this machine trusts (NODE_EXTRA_CA_CERTS).',
  ),
  CERTIFICATE_UNUSABLE: row(
    'user',
    1,
    'Check CertFile and KeyFile; --make-certificate makes a pair where there is none.',
  ),
  LOGIN_FAILED: row(
    'user',
    12,
    'Check -C/--client and the password; where both are right and a server was asked, somebody may be between you and it.',
  ),
  NO_SUCH_ACCOUNT: row(
    'user',
    1,
    'List the accounts of a client, or make one, by `sonic account` on the machine of the store.',
  ),
  ACCOUNT_INVALID: row(
    'user',
    1,
    'Names of accounts are like those of clients; rights are add, read, list, purge and admin.',
  ),
  PASSWORD_NEEDED: row(
    'user',
    12,
    'Give it by --password (alone, it asks on the terminal), --password-file or --password-prog.',
  ),
  PASSWORD_NOT_SET: row(
    'user',
    1,
    'Set one with `sonic setpass` on the server, or leave the password out.',
  ),
  PASSWORD_IS_SET: row('user', 1, 'Change it with `sonic chpass`.'),
  CLIENT_ENCRYPTS: row('user', 1, 'It needs no more; `sonic rekey` gives it new keys.'),
  CONFIRMATION_NEEDED: row('user', 1, 'Give --yes to have it done without a question.'),
  TOO_MANY_ATTEMPTS: row(
    'busy',
    11,
    'Wait, then try again with the right password; other clients and places are not held up.',
  ),
  SERVER_NOT_PROVEN: row(
    'protocol',
    1,
    'This is not the server that knows your client, or somebody is between you and it.',
  ),
  KEYS_DAMAGED: row(
    'damage',
    1,
    'The files in keys/ of the client hold the same keys, each under the password of its time: restore the newest, or remove it.',
  ),
  KEYS_ELSEWHERE: row(
    'user',
    1,
    'Give the key file of the client by --keys, or by KeyFile in the configuration; without it nobody can read this backup.',
  ),
  KEY_MISSING: row(
    'user',
    1,
    'The client got a new key (sonic rotate) since this account was made: remove the account and make it anew.',
  ),
  KEY_FILE_INVALID: row(
    'user',
    1,
    'Give the file that was named when the client was made or its keys were extracted, or a copy of it.',
  ),
  KEY_FILE_DIFFERS: row(
    'user',
    1,
    'Give the copy with which password or keys were last changed; if there is none, the store was changed or put back.',
  ),
  KEY_FILE_NOT_WRITTEN: row(
    'environment',
    1,
    'Check owner, permissions and space of its directory, then run again; no keys are lost.',
  ),
  LISTEN_FAILED: row('environment', 1, 'Check that the address is free and may be used.'),
  SERVER_RUNS: row(
    'busy',
    11,
    'Stop that tardisd, or give this one a PidFile and an address of its own.',
  ),
  NATIVE_MISSING: row('environment', 1, 'Run `npm run setup` in the checkout.'),
  CATALOG_NEWER: row('user', 1, 'Upgrade this software; an older one must not write this catalog.'),
  CATALOG_OLDER: row(
    'user',
    1,
    'Run `sonic upgrade -D DIR -C NAME` where the store is, or let the server do it (AllowSchemaUpgrades).',
  ),
  CATALOG_DAMAGED: row(
    'damage',
    1,
    'Run `sonic rebuild --from-backup -D DIR -C NAME`; docs/recovery.md tells more.',
  ),
  STORE_NEWER: row('user', 1, 'Upgrade this software; it does not know this store format.'),
  RECORD_DAMAGED: row(
    'damage',
    1,
    'Run `sonic check --read-data`: it names what is lost, and the next backup sends it again.',
  ),
  CONTENT_DAMAGED: row(
    'damage',
    1,
    'The bytes differ from their digest; the next backup sends them again if the source has them.',
  ),
  STORE_ROLLED_BACK: row(
    'damage',
    1,
    'If you have put an older copy of the store in its place, remove the file that is named; else somebody else has.',
  ),
  NOT_AUTHENTIC: row(
    'damage',
    1,
    'What the store says was not written with the keys of this client: somebody changed it, or it is of another one.',
  ),
  NOT_PROVEN: row(
    'damage',
    1,
    'Choose a complete set of a client that encrypts, or restore without --authenticate: contents are checked all the same.',
  ),
  PROTOCOL_VERSION: row('protocol', 1, 'Use the same release on client and server.'),
  PROTOCOL_VIOLATION: row('protocol', 1, 'The peer is broken or hostile; nothing was lost.'),
  MESSAGE_TOO_LARGE: row('protocol', 1, 'The peer is broken or hostile; nothing was lost.'),
  NOT_PERMITTED: row(
    'protocol',
    1,
    'The session has no right to do this: rights are given on the machine of the store (sonic account).',
  ),
  SERVER_STOPPING: row('environment', 1, 'Run again when the server is back; it continues.'),
  SOME_FILES_UNREAD: row(
    'partial',
    3,
    'The files named above could not be read; the rest is saved.',
  ),
  SOME_FILES_NOT_RESTORED: row(
    'partial',
    3,
    'The files named above could not be restored; the rest is there.',
  ),
  INTERRUPTED: row('interrupted', 130, 'Run it again; what was finished before stays.'),
  INTERNAL: row('bug', 1, 'This is a bug: please report the text above.'),
});

export type ErrorCode = keyof typeof ERROR_TABLE;

/** Tells whether a string (say, from the wire) is a code of the table. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_TABLE, value);
}
