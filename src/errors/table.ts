/**
 * The table of all errors that a user or a peer can get: the kind, the exit status of the command, and the remedy.
 * docs/errors.md is generated from it (a test keeps them equal).
 */
import { BUCKET_ERRORS } from './bucket-errors.js';
import { row } from './error-row.js';
import { FILE_ERRORS } from './file-errors.js';

const SHARED_ERRORS = {
  STORE_TAKEN: row(
    'busy',
    11,
    'Run the command again: another process has written to the client in the meantime, so no later data of this run was stored.',
  ),
  STORE_FORKED: row(
    'damage',
    1,
    'If the bucket keeps versions, bring back what was deleted or replaced: sonic bucket --recover. Otherwise run `sonic rebuild`, which uses what this machine still knows; with --packs-only it goes on with the present contents of the bucket (docs/buckets.md).',
  ),
  ACCOUNTS_DAMAGED: row(
    'damage',
    1,
    'Bring back the object that the message names (sonic bucket --recover). If that is impossible, delete it: then the list before it counts, and accounts and rights that were removed since then come back. If lists were lost that this machine knows, delete the cache (docs/buckets.md, "Accounts").',
  ),
  CLIENT_MOVED: row(
    'busy',
    11,
    'Run the command again: another machine has rewritten the client (sonic rekey, encrypt or forget-path), and the next run uses its new generation.',
  ),
  CLIENT_ELSEWHERE: row(
    'busy',
    11,
    'Wait until the other server has finished with this client, or name that server (--server).',
  ),
  STORE_AWAY: row(
    'environment',
    1,
    'Run again later: the server cannot use its store now. The log of the server has the reason.',
  ),
} as const;

const WEB_ERRORS = {
  REQUEST_INVALID: row(
    'user',
    1,
    'Correct the request; docs/api.md describes each route, and /api/v1/openapi.json its fields.',
  ),
  NOT_LOGGED_IN: row(
    'user',
    12,
    'Log in again, or check the token: it may be wrong, expired or revoked (sonic account).',
  ),
  TOO_MANY_REQUESTS: row('busy', 11, 'Wait for the seconds that the answer names, and try again.'),
  SERVER_ANSWER_INVALID: row(
    'protocol',
    1,
    'The operator of this server should compare its release with that of the tardisd behind it, and look into both logs.',
  ),
  SEALED: row(
    'user',
    1,
    'Read it with tardis-web or another tool (lstardis, regenerate, …) and --server https://HOST:PORT/, which decrypt on your machine.',
  ),
} as const;

export const ERROR_TABLE = Object.freeze({
  USAGE: row('user', 1, 'See the command with --help.'),
  SAMPLE_EXISTS: row(
    'user',
    1,
    'Remove or rename the existing file, or run the command in another directory; the file was not changed.',
  ),
  HOOK_FAILED: row(
    'user',
    1,
    'Correct what made the command of HookBefore fail; its output is above, and in LogFiles. Nothing was backed up.',
  ),
  CONFIG_INVALID: row(
    'user',
    1,
    'Correct the setting that is named; --explain-config shows where each setting comes from.',
  ),
  CONFIG_UNSAFE: row(
    'user',
    1,
    "Nothing was run. Make the file and the directories above it root's alone (chown root:root, chmod go-w), or move it to such a place, as /etc/tardis.",
  ),
  CAPABILITY_MISSING: row(
    'user',
    1,
    'Remove the option or key that is named; docs/configuration.md lists everything that this release refuses.',
  ),
  NO_SUCH_STORE: row(
    'user',
    10,
    'Mount the disk, or correct the path (-D/--database, --to). To make a new store, use `tardis --create`, `sonic create` or, for a server, `tardisd --create`; for a new copy, use `sonic copy --create`.',
  ),
  NO_SUCH_CLIENT: row(
    'user',
    10,
    'Check -C/--client (`sonic clients` lists the clients of a store), or create the client with `tardis --create` or `sonic create`. If it was in a bucket before, somebody has deleted its objects: docs/buckets.md, "After a theft".',
  ),
  PLACE_TAKEN: row(
    'user',
    1,
    'Give a new or empty directory for the store, such as a new one in the directory that is named; nothing in it was changed.',
  ),
  CLIENT_EXISTS: row('user', 1, 'Choose another name; the existing client was not changed.'),
  COPY_DIFFERS: row(
    'user',
    1,
    'Copy to another directory, or under another name (--as); neither of the two stores was changed. docs/moving.md, "Copies that are kept up to date", lists the causes.',
  ),
  CLIENT_NAME_INVALID: row(
    'user',
    1,
    'Use 1 to 128 letters, digits, dots, hyphens or underscores, not starting with a dot.',
  ),
  NO_SUCH_REQUEST: row('user', 1, 'List the requests with `sonic forget-path --list`.'),
  NO_SUCH_SET: row('user', 1, 'List the backup sets with `lstardis`.'),
  NO_SUCH_TAG: row(
    'user',
    1,
    'Correct the tag, or leave it out. A tag for later sets can be stored with the client (sonic setconfig KeepTags).',
  ),
  SET_LOCKED: row('user', 1, 'Unlock the set first (sonic lock --unlock), if it may be deleted.'),
  SET_TOO_YOUNG: row(
    'user',
    1,
    'Wait, or delete the set on the machine of the store: over the network, sets can only be deleted after LeastAge of the server.',
  ),
  MARKS_INVALID: row(
    'user',
    1,
    'Give at most 64 tags for a set, each a single word, and a name that is valid for a set.',
  ),
  SET_IS_NEWEST: row('user', 1, 'Make another backup first: the newest complete set always stays.'),
  BAD_DATE: row(
    'user',
    1,
    'Give a date such as 2014-03-15, 03/15/2014 (month first), 15.03.2014 (day first), "3 days ago", yesterday, 3D or 12h.',
  ),
  NO_ACCESS: row(
    'user',
    1,
    'Ask the owner of the file, or root: its owner and permissions in the set do not let you read it.',
  ),
  NO_SUCH_PATH: row(
    'user',
    1,
    'List the sets and their roots with `lstardis -l`, and choose one with -b SET; `lstardis --find` looks in all sets.',
  ),
  SOURCE_MISSING: row('user', 1, 'Name directories and files that exist and can be opened.'),
  TARGET_EXISTS: row(
    'user',
    1,
    'Restore to another directory with -o, or give --overwrite=always, newer or older.',
  ),
  TARGET_FULL: row(
    'environment',
    1,
    'Free space where the files are restored to, then run the same command again.',
  ),
  SOURCE_UNREADABLE: row(
    'environment',
    1,
    'Run the command as a user who may read the file that is named, or exclude it.',
  ),
  SPECIAL_FILE: row(
    'partial',
    3,
    'Restore as root, outside of a container, to a file system that takes device nodes; everything else was restored.',
  ),
  ATTRIBUTE_NOT_SET: row(
    'partial',
    3,
    'Restore to a file system that supports the attribute, or as root; the file was restored without it.',
  ),
  TARGET_IMMUTABLE: row(
    'environment',
    1,
    'Remove the flag as root (chattr -i, chattr -a), or restore to another directory with -o.',
  ),
  TARGET_NOT_WRITABLE: row(
    'environment',
    1,
    'Check owner and mode of the file that is named and of its directory, and that neither is immutable (lsattr -d).',
  ),
  TARGET_UNSAFE: row(
    'user',
    1,
    'Restore into a directory that no other user can move or replace, nor any directory above it, and give its path without links of others.',
  ),
  CLIENT_BUSY: row('busy', 11, 'Wait until the other session or tool has finished.'),
  REKEY_UNFINISHED: row(
    'environment',
    1,
    'Run one of the commands that are named, on the machine of the store; until then nothing is deleted or freed.',
  ),
  PACKS_STRANGE: row(
    'user',
    1,
    'Move the files that are named out of packs/ (`sonic check` shows which client each pack belongs to), then run the same command again; nothing was changed.',
  ),
  ...FILE_ERRORS,
  QUOTA_EXCEEDED: row(
    'environment',
    1,
    'Exclude what need not be saved, or ask the operator of the server to raise SpaceQuota of the account, then run again, which continues the backup; all complete sets can be restored.',
  ),
  SERVER_UNREACHABLE: row('environment', 1, 'Check --server and --port, and that tardisd runs.'),
  CONNECTION_LOST: row(
    'environment',
    1,
    'Run again; the new run continues from the last checkpoint.',
  ),
  SERVER_DIED: row(
    'environment',
    1,
    'Run again; the new run continues from the last checkpoint. If it happens again, run `npm run setup` in the checkout, or reinstall the package; then check the disk and the memory of this machine.',
  ),
  SESSION_GONE: row(
    'environment',
    1,
    'Run again; the new run continues from the last checkpoint. The server has ended the session.',
  ),
  TIMED_OUT: row('environment', 1, 'Check the network and the server, then run again.'),
  INSECURE_TCP_REFUSED: row(
    'user',
    1,
    'Use TLS (SSL, CertFile and KeyFile of the server); plain TCP needs --insecure-tcp over loopback, and --insecure-network over a network.',
  ),
  CERTIFICATE_REFUSED: row(
    'user',
    1,
    'Give the password of the client (-P): it authenticates the server, whatever its certificate, unless --validate-certs is given. If the client has no password, use a certificate that this machine trusts (NODE_EXTRA_CA_CERTS).',
  ),
  CERTIFICATE_UNUSABLE: row(
    'user',
    1,
    'Check CertFile and KeyFile; --make-certificate creates them if neither exists.',
  ),
  LOGIN_FAILED: row('user', 12, 'Check -C/--client and the password.'),
  NO_SUCH_ACCOUNT: row(
    'user',
    1,
    'List the accounts of a client, or create one, with `sonic account` on the machine of the store.',
  ),
  ACCOUNT_INVALID: row(
    'user',
    1,
    'Give an account a name that would be valid for a client; rights are add, read, list, purge and admin.',
  ),
  PASSWORD_NEEDED: row(
    'user',
    12,
    'Give the password with --password-file (TARDIS_PASSWORD_FILE) or --password-prog, or use -P for a prompt on the terminal; every user of the machine can see --password=….',
  ),
  PASSWORD_NOT_SET: row(
    'user',
    1,
    'Check that this is the store or server that you mean. If the client was created with a password, its keys are lost: restore them with `sonic keys --insert --keys FILE` (docs/recovery.md, "Keys"). `sonic setpass` sets a first password.',
  ),
  PASSWORD_IS_SET: row('user', 1, 'Change the password with `sonic chpass`.'),
  CLIENT_ENCRYPTS: row('user', 1, 'Run `sonic rekey` if the client needs new keys.'),
  CONFIRMATION_NEEDED: row('user', 1, 'Give --yes to run the command without a question.'),
  TOO_MANY_ATTEMPTS: row(
    'busy',
    11,
    'Wait, then try again with the right password; other clients and addresses are not delayed.',
  ),
  SERVER_NOT_PROVEN: row(
    'protocol',
    1,
    'Check --server: this server does not know your client, or somebody intercepts the connection.',
  ),
  KEYS_DAMAGED: row(
    'damage',
    1,
    'The newest key record (the file with the highest number in keys/) is damaged, and no copy of it in packs/keys/ is intact. Restore it on the machine of the store, from the printed sheet or a key file (`sonic keys --insert --keys FILE -D DIR -C NAME`), or from a copy of the store. Only if keys/ has a record with a lower number, you can instead remove the damaged record and its copy: then that record applies, with the password that was set at its time.',
  ),
  KEYS_LOST: row(
    'damage',
    1,
    'Restore the keys on the machine of the store, from the printed sheet or a key file: `sonic keys --insert --keys FILE -D DIR -C NAME`; or restore keys/ from a copy of the store. If the client does not encrypt, set its password again there with `sonic setpass`.',
  ),
  KEYS_ELSEWHERE: row(
    'user',
    1,
    'Give the key file of the client with --keys, or as KeyFile in the configuration; without it nobody can read this backup.',
  ),
  KEY_MISSING: row(
    'user',
    1,
    'Remove the account and create it again: the client got a new key (sonic rotate) after this account was created.',
  ),
  KEY_FILE_INVALID: row(
    'user',
    1,
    'Give the key file that was named when the client was created or its keys were extracted, or a copy of it. If the keys are in the store, omit --keys.',
  ),
  KEY_FILE_DIFFERS: row(
    'user',
    1,
    'Give the copy of the key file with which the password or the keys were last changed; if there is none, the store was changed or rolled back.',
  ),
  KEY_FILE_NOT_WRITTEN: row(
    'environment',
    1,
    'Check owner, permissions and free space of the directory of the key file, then run again; no keys are lost.',
  ),
  LISTEN_FAILED: row('environment', 1, 'Check that the address is free and may be used.'),
  SERVER_RUNS: row(
    'busy',
    11,
    'Stop the other tardisd, or give this one a separate PidFile and address.',
  ),
  NODE_NOT_SUPPORTED: row(
    'environment',
    1,
    'Install Node.js 22.20, 24.12, 26 or later, and make sure that `node` in PATH is that version; or set TARDIS_NODE to its path. The Debian packages, archives and images include their own.',
  ),
  PROC_MISSING: row(
    'environment',
    1,
    'Mount it (mount -t proc proc /proc; with chroot, mount it in the new root), then run again. Nothing is wrong with the store.',
  ),
  FUSE_MISSING: row(
    'environment',
    1,
    'Load the kernel module (modprobe fuse). For users other than root, install fusermount3 (on Debian and Ubuntu, apt-get install fuse3), and let them open /dev/fuse.',
  ),
  MOUNT_FAILED: row(
    'environment',
    1,
    'Name an existing directory that you own; for allow_other, users other than root need user_allow_other in /etc/fuse.conf.',
  ),
  NATIVE_MISSING: row(
    'environment',
    1,
    'Run `npm run setup` in the checkout, or reinstall the package.',
  ),
  CATALOG_NEWER: row('user', 1, 'Upgrade this software; an older one must not write this catalog.'),
  CATALOG_OLDER: row(
    'user',
    1,
    'Run `sonic upgrade -D DIR -C NAME` on the machine of the store, or let the server upgrade it (AllowSchemaUpgrades).',
  ),
  CATALOG_DAMAGED: row(
    'damage',
    1,
    'Run `sonic rebuild -D DIR -C NAME`, which rebuilds the catalog from the packs and loses nothing that they contain; see docs/recovery.md.',
  ),
  CATALOG_UNPROVEN: row(
    'damage',
    1,
    'Run `sonic check -D DIR -C NAME`: if it finds nothing wrong with the catalog, copies of it are made again.',
  ),
  FORMAT_DAMAGED: row(
    'damage',
    1,
    'Run `sonic rebuild -D DIR -C NAME`, which recreates format.json; see docs/recovery.md. If the store is in a bucket that keeps versions, run `sonic bucket --recover` first, which brings back its objects (docs/buckets.md, "Repair").',
  ),
  PACKS_DAMAGED: row(
    'damage',
    1,
    'Move whatever is in place of packs/ elsewhere. Restore packs/ from a copy of the store, or run `sonic rebuild -D DIR -C NAME` and then a backup, which saves again what the source still has.',
  ),
  STORE_NEWER: row('user', 1, 'Upgrade this software; it does not know this store format.'),
  RECORD_DAMAGED: row(
    'damage',
    1,
    'Run `sonic check --read-data`: it lists what is lost, and the next backup sends it again. If a commit of a bucket is damaged, run `sonic rebuild`.',
  ),
  CONTENT_DAMAGED: row(
    'damage',
    1,
    'The bytes do not match their digest. Run a backup, which sends them again if the source still has them.',
  ),
  STORE_ROLLED_BACK: row(
    'damage',
    1,
    'Check whether you put the store back to an older state yourself; if not, somebody else did. If sets are missing, the store can still be listed and restored. Give --trust-store once to continue with backups, which gives up what is missing; it also accepts an older key record. Keys that were replaced by others are refused even with --trust-store: restore the newer store, or remove the file that the error names to read with the old keys.',
  ),
  KEYS_CHANGED: row(
    'damage',
    1,
    'Compare the key id with your printed sheet. If the keys are yours, give --trust-store once; otherwise the store was exchanged.',
  ),
  MEMORY_DAMAGED: row(
    'damage',
    1,
    'Run `lstardis --trust-store` once: it recreates the file, and only reads the store. If the file is in clients/, it prints the key id; compare it with your printed sheet before the next backup. Another id, or none although the client encrypts, means that the store was exchanged. If the file is in seals/, check that the newest set is in the list: there is no other sign that the store was rolled back before.',
  ),
  MEMORY_NOT_WRITTEN: row(
    'environment',
    1,
    'Check owner, permissions and free space of the directory of the file that is named, or set XDG_STATE_HOME to a directory that you may write to; then run any command on the client again. Nothing in the store is wrong.',
  ),
  ENCRYPTION_GONE: row(
    'damage',
    1,
    'Check that this is the right store. If its keys are lost, restore them from a key file or the printed sheet with `sonic keys --insert --keys FILE`. docs/threat-model.md, "The identity of a client", lists other causes.',
  ),
  NOT_AUTHENTIC: row(
    'damage',
    1,
    'Run `sonic rebuild -D DIR -C NAME`, which repairs a damaged catalog. If the error remains, somebody changed the store, or it belongs to another client: its data is not what this client wrote.',
  ),
  NOT_PROVEN: row(
    'damage',
    1,
    'Choose a complete set of a client that encrypts, or restore without --authenticate: contents are still checked.',
  ),
  PROTOCOL_VERSION: row('protocol', 1, 'Use the same release on client and server.'),
  PROTOCOL_VIOLATION: row('protocol', 1, 'The other end is broken or hostile. No data was lost.'),
  MESSAGE_TOO_LARGE: row('protocol', 1, 'The other end is broken or hostile. No data was lost.'),
  NOT_PERMITTED: row(
    'protocol',
    1,
    'Use an account that has the right to do this; rights are given on the machine of the store (sonic account).',
  ),
  SERVER_STOPPING: row(
    'environment',
    1,
    'Run again when the server is back; the new run continues from the last checkpoint.',
  ),
  ...WEB_ERRORS,
  ...SHARED_ERRORS,
  ...BUCKET_ERRORS,
  SOME_FILES_UNREAD: row(
    'partial',
    3,
    'Check the files named above, which could not be read; the rest was saved.',
  ),
  UNREAD_AT_BACKUP: row(
    'partial',
    3,
    'If another set has the entry as it should be, take that one: `lstardis PATH` lists the versions. Otherwise make it readable, and back up again.',
  ),
  SOME_FILES_NOT_RESTORED: row(
    'partial',
    3,
    'Check the files named above, which could not be restored; the rest was restored.',
  ),
  INTERRUPTED: row('interrupted', 130, 'Run the command again; what was finished before is kept.'),
  INTERNAL: row('bug', 1, 'This is a bug: please report the text above.'),
});

export type ErrorCode = keyof typeof ERROR_TABLE;

/** True if a value, for example from the wire, is a code of the table. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_TABLE, value);
}
