/**
 * The table of all errors that a user or a peer can get: the kind, the exit status of the command, and the remedy.
 * docs/damage/errors.md is generated from it (a test keeps them equal).
 */

/**
 * Kind of an error: `user` (wrong input or missing thing), `busy` (try later), `environment` (disk, permissions,
 * network), `damage` (stored bytes are damaged), `protocol` (the peer violated the protocol), `partial` (done, but not
 * completely), `interrupted`, or `bug` (in this program; shows a stack).
 */
type ErrorKind =
  | 'user'
  | 'busy'
  | 'environment'
  | 'damage'
  | 'protocol'
  | 'partial'
  | 'interrupted'
  | 'bug';

/** A row of the table of errors. */
export interface ErrorRow {
  readonly kind: ErrorKind;
  readonly exitStatus: number;
  /** The next step for the user, in one sentence. */
  readonly guidance: string;
}

/** Returns the rows of errors that have one kind and one exit status, from their guidance by code. */
function rows<Code extends string>(
  kind: ErrorKind,
  exitStatus: number,
  guidance: Readonly<Record<Code, string>>,
): Readonly<Record<Code, ErrorRow>> {
  const all = Object.entries<string>(guidance).map(([code, text]): [string, ErrorRow] => [
    code,
    Object.freeze({ kind, exitStatus, guidance: text }),
  ]);
  return Object.fromEntries(all) as Record<Code, ErrorRow>;
}

/** Errors of stores in buckets (S3). */
export const BUCKET_ERRORS = {
  ...rows('user', 1, {
    CREDENTIALS_MISSING:
      'Give the access key as other S3 tools take it: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws/credentials (AWS_PROFILE); docs/server/buckets.md lists all ways.',
    BUCKET_REGION_WRONG: 'Set the region that is named (--region).',
    BUCKET_DENIED:
      'Give this access key the rights to list the bucket and to read, create and delete objects below the prefix (docs/server/buckets.md has a policy), or check that no lock protects the object.',
    BUCKET_CERTIFICATE_REFUSED:
      'Name the file with the certificate of the authority that signed the certificate of the endpoint (--bucket-ca), or check --endpoint: somebody may intercept the connection.',
    BUCKET_UNSAFE:
      'Use a service that honours If-None-Match (docs/server/buckets.md has a table). If no other machine will ever write to this bucket, --single-writer allows one writer.',
    BUCKET_CANNOT_LOCK:
      'Create a bucket with Object Lock at a service that has it, and use that one; or set LockDays to 0: with the access key, the backups can then be deleted (docs/server/buckets.md, "Locks").',
  }),
  ...rows('user', 10, {
    NO_SUCH_BUCKET:
      'Check the name of the bucket and the endpoint, or create the bucket with the tools of its provider; this program creates none.',
  }),
  ...rows('user', 12, {
    CREDENTIALS_REFUSED:
      'Check access key, secret key and session token, and that they belong to this endpoint; the source of the key is named above.',
  }),
  ...rows('environment', 1, {
    CLOCK_WRONG:
      'Set the clock of this machine (timedatectl set-ntp true), then run again: buckets refuse requests whose time is wrong by more than 15 minutes.',
    BUCKET_FULL:
      'Raise the quota of the bucket or of its user, or free space at the provider, then run again; what was acknowledged is kept.',
    BUCKET_UNREACHABLE:
      'Check the endpoint (--endpoint), the network and the name server, then run again.',
    BUCKET_SLOW:
      'Run again later: the endpoint did not answer in time, or it limits requests. If this happens often, ask its operator.',
    BUCKET_FAILED:
      'Run again later; if this happens again, ask the operator of the endpoint. The message contains its answer.',
    BUCKET_OUTCOME_UNKNOWN:
      'Run again: the endpoint did not report whether it stored the object. Nothing that was acknowledged is lost.',
  }),
  ...rows('damage', 1, {
    OBJECT_DAMAGED:
      'Restore the object that is named from its parity (sonic check --repair), a copy, or an older version of it (sonic bucket --recover): its bytes differ from those that were stored.',
  }),
  ...rows('protocol', 1, {
    BUCKET_ANSWER_INVALID:
      'Check that the endpoint is an S3 interface and not a proxy or a login page; otherwise it is broken or hostile.',
  }),
} as const;

export const ERROR_TABLE = Object.freeze({
  ...rows('user', 1, {
    USAGE: 'The same command with --help shows its options and examples.',
    SAMPLE_EXISTS:
      'Remove or rename the existing file, or run the command in another directory; the file was not changed.',
    HOOK_FAILED:
      'Correct what made the command of HookBefore fail; its output is above, and in LogFiles. Nothing was backed up.',
    CONFIG_INVALID:
      'Correct the setting that is named; --explain-config shows where each setting comes from.',
    CONFIG_UNSAFE:
      "Nothing was run. Make the file and the directories above it root's alone (chown root:root, chmod go-w), or move it to such a place, as /etc/tardis.",
    CAPABILITY_MISSING:
      'Write what the message names in place of the option or key, or remove it; docs/using/configuration.md lists everything that this release refuses.',
    PLACE_TAKEN:
      'Give a new or empty directory for the store, such as a new one in the directory that is named; nothing in it was changed.',
    IMPORT_SOURCE_UNKNOWN:
      'Name a directory of a client that Tardis (Python) 0.33 to 1.9 wrote, or a repository of restic or Borg; for dated directories give --sets. Nothing in the directory that is named was changed.',
    JOIN_CODE_INVALID:
      'Ask the administrator of the server for a new code: each works once, for one client, within an hour (`sonic create --code-for`).',
    CLIENT_EXISTS: 'Choose another name; the existing client was not changed.',
    COPY_DIFFERS:
      'Copy to another directory, or under another name (--as); neither of the two stores was changed. docs/server/moving.md, "Copies that are kept up to date", lists the causes.',
    CLIENT_NAME_INVALID:
      'Use 1 to 128 letters, digits, dots, hyphens or underscores, not starting with a dot.',
    NO_SUCH_REQUEST: 'List the requests with `sonic forget-path --list`.',
    NO_SUCH_SET: 'List the backup sets with `lstardis`.',
    NO_SUCH_TAG:
      'Correct the tag, or leave it out. A tag for later sets can be stored with the client (sonic setconfig KeepTags).',
    SET_LOCKED: 'Unlock the set first (sonic lock --unlock), if it may be deleted.',
    SET_TOO_YOUNG:
      'Wait, or delete the set on the machine of the store: over the network, sets can only be deleted after LeastAge of the server.',
    MARKS_INVALID:
      'Give at most 64 tags for a set, each a single word, and a name that is valid for a set.',
    SET_IS_NEWEST: 'Make another backup first: the newest complete set always stays.',
    BAD_DATE:
      'Give a date such as 2014-03-15, 03/15/2014 (month first), 15.03.2014 (day first), "3 days ago", yesterday, 3D or 12h.',
    NO_ACCESS:
      'Ask the owner of the file, or root: its owner and permissions in the set do not let you read it.',
    NO_SUCH_PATH:
      'List the sets and their roots with `lstardis -l`, and choose one with -b SET; `lstardis --find` looks in all sets.',
    SOURCE_MISSING:
      'Name directories and files that exist and can be opened; `tardis --help` lists the commands.',
    SOURCE_UNSAFE:
      'Name the directory itself, by a path without links that other users of this machine can put there; what was saved of it before stays.',
    TARGET_EXISTS:
      'Restore to another place (-o DIR; another name of an archive), or give --overwrite=always, newer or older. Where a link is above it, restore into the directory that the link leads to.',
    TARGET_UNSAFE:
      'Write into a directory that no other user can move or replace, nor any directory above it, and give its path without links of others.',
    TARGET_GUARDED:
      'Restore it by a command on this machine (`tardis restore`), or into another directory: a page that other machines reach changes no settings, state or code of this program, since these name commands.',
    PACKS_STRANGE:
      'Move the files that are named out of packs/ (`sonic check` shows which client each pack belongs to), then run the same command again; nothing was changed.',
    INSECURE_TCP_REFUSED:
      'Use TLS: without --nossl and SSL = no, a server has it, with a certificate of its own. Plain TCP needs --insecure-tcp over loopback, and --insecure-network over a network.',
    CERTIFICATE_REFUSED:
      'Give the password of the client (-P): it authenticates the server, whatever its certificate, unless --validate-certs is given. If the client has no password, use a certificate that this machine trusts (NODE_EXTRA_CA_CERTS).',
    CERTIFICATE_UNUSABLE:
      'Check CertFile and KeyFile: text (PEM; `openssl x509 -inform DER -in FILE` prints it from DER), a key of 2048 bits (RSA) or P-256 and without a password, and a digest of SHA-256. --make-certificate creates both if neither exists.',
    NO_SUCH_ACCOUNT:
      'On the machine of the store, `sonic account -C NAME` lists the accounts of a client, and `sonic account -C NAME --add ACCOUNT --rights add,list` creates one.',
    ACCOUNT_INVALID:
      'Give an account a name that would be valid for a client; rights are add, read, list, purge, admin and quota.',
    PASSWORD_NOT_SET:
      'Set a first password with `sonic setpass`, or encrypt with `sonic encrypt`. If the client had a password, check that this is the store or server that you mean; if it is, the keys are lost: restore them with `sonic keys --insert --keys FILE` (docs/damage/recovery.md, "Keys").',
    PASSWORD_IS_SET: 'Change the password with `sonic chpass`.',
    CLIENT_ENCRYPTS: 'Run `sonic rekey` if the client needs new keys.',
    CONFIRMATION_NEEDED: 'Give --yes to run the command without a question.',
    KEYS_ELSEWHERE:
      'Give the key file of the client with --keys, or as KeyFile in the configuration; without it nobody can read this backup.',
    KEY_MISSING:
      'Remove the account and create it again: the client got a new key (sonic rotate) after this account was created.',
    KEY_FILE_INVALID:
      'Give the key file that was named when the client was created or its keys were extracted, or a copy of it. If the keys are in the store, omit --keys.',
    KEY_FILE_DIFFERS:
      'Give the copy of the key file with which the password or the keys were last changed; if there is none, the store was changed or rolled back.',
    CATALOG_NEWER: 'Upgrade this software; an older one must not write this catalog.',
    CATALOG_OLDER:
      'Run `sonic upgrade -D DIR -C NAME` on the machine of the store, or let the server upgrade it (AllowSchemaUpgrades).',
    STORE_NEWER: 'Upgrade this software; it does not know this store format.',
    REQUEST_INVALID:
      'Correct the request; docs/server/api.md describes each route, and /api/v1/openapi.json its fields.',
    SEALED:
      'Read it with tardis-web or another tool (lstardis, regenerate, …) and --server https://HOST:PORT/, which decrypt on your machine.',
  }),
  ...rows('user', 10, {
    NO_SUCH_STORE:
      'Mount the disk, or correct the path (-D/--database, --to). To make a new store, use `tardis --create`, `sonic create` or, for a server, `tardisd --create`; for a new copy, use `sonic copy --create`.',
    NO_SUCH_CLIENT:
      'Check -C/--client (`sonic clients` lists the clients of a store), or create the client with `tardis --create` or `sonic create`.',
  }),
  ...rows('user', 12, {
    LOGIN_FAILED: 'Check -C/--client and the password.',
    PASSWORD_NEEDED:
      'Give the password with --password-file (TARDIS_PASSWORD_FILE) or --password-prog, or use -P for a prompt on the terminal; every user of the machine can see --password=….',
    NOT_LOGGED_IN:
      'Log in again, or check the token: it may be wrong, expired or revoked (sonic account).',
  }),
  ...rows('busy', 11, {
    CLIENT_BUSY: 'Wait until the other session or tool has finished.',
    TOO_MANY_ATTEMPTS:
      'Wait, then try again with the right password; other clients and addresses are not delayed.',
    SERVER_RUNS: 'Stop the other tardisd, or give this one a separate PidFile and address.',
    TOO_MANY_REQUESTS: 'Wait for the seconds that the answer names, and try again.',
    STORE_TAKEN:
      'Run the command again: another process has written to the client in the meantime, so no later data of this run was stored.',
    CLIENT_MOVED:
      'Run the command again: another machine has rewritten the client (sonic rekey, encrypt or forget-path), and the next run uses its new generation.',
    CLIENT_ELSEWHERE:
      'Wait until the other server has finished with this client, or name that server (--server).',
  }),
  ...rows('environment', 1, {
    REPORT_FAILED:
      'Correct MailTo or MailCommand (its log, often /var/log/mail.log, has the reason), or for Notices run the command in the session of a desktop; then try again with `tardis --test-mail`.',
    TARGET_FULL: 'Free space where the files are restored to, then run the same command again.',
    SOURCE_UNREADABLE:
      'Run the command as a user who may read the file that is named, or exclude it.',
    DEVICE_IN_USE:
      'Unmount the file systems of the device and of its partitions, and take it out of swap, LVM, RAID and encryption (lsblk shows what uses it), then run the same command again; nothing was written.',
    TARGET_IMMUTABLE:
      'Remove the flag as root (chattr -i, chattr -a), or restore to another directory with -o.',
    TARGET_NOT_WRITABLE:
      'Check owner and mode of the file that is named and of its directory, and that neither is immutable (lsattr -d).',
    REKEY_UNFINISHED:
      'Run one of the commands that are named, on the machine of the store; until then nothing is deleted or freed.',
    QUOTA_EXCEEDED:
      'Exclude what need not be saved, or ask the operator of the server to raise SpaceQuota of the account, then run again, which continues the backup; all complete sets can be restored.',
    SERVER_UNREACHABLE: 'Check --server and --port, and that tardisd runs.',
    SSH_FAILED:
      'Make `ssh HOST tardisd --version` work first, as the same user: it must print the version, and nothing else. docs/server/ssh.md lists the usual causes.',
    CONNECTION_LOST: 'Run again; the new run continues from the last checkpoint.',
    SERVER_DIED:
      'Run again; the new run continues from the last checkpoint. If it happens again, run `npm run setup` in the checkout, or reinstall the package; then check the disk and the memory of this machine.',
    SESSION_GONE:
      'Run again; the new run continues from the last checkpoint. The server has ended the session.',
    TIMED_OUT: 'Check the network and the server, then run again.',
    KEY_FILE_NOT_WRITTEN:
      'Check owner, permissions and free space of the directory of the key file, then run again; no keys are lost.',
    LISTEN_FAILED: 'Check that the address is free and may be used.',
    NODE_NOT_SUPPORTED:
      'Install Node.js 22.20, 24.12, 26 or later, and make sure that `node` in PATH is that version; or set TARDIS_NODE to its path. The Debian packages, archives and images include their own.',
    TARGET_WITHOUT_LINKS:
      'Export to a file system with hard links, such as ext4, xfs or btrfs; or write archives (--tar), or into a repository of restic (--restic).',
    EXPORT_FAILED:
      'Do what the message of the program says, then run the same command again: what is there is passed over.',
    IMPORT_PROGRAM_MISSING: 'Install the program that is named, then run again.',
    PROC_MISSING:
      'Mount it (mount -t proc proc /proc; with chroot, mount it in the new root), then run again. Nothing is wrong with the store.',
    FUSE_MISSING:
      'Load the kernel module (modprobe fuse). For users other than root, install fusermount3 (on Debian and Ubuntu, apt-get install fuse3), and let them open /dev/fuse.',
    MOUNT_FAILED:
      'Name an existing directory that you own; for allow_other, users other than root need user_allow_other in /etc/fuse.conf.',
    NATIVE_MISSING: 'Run `npm run setup` in the checkout, or reinstall the package.',
    MEMORY_NOT_WRITTEN:
      'Check owner, permissions and free space of the directory of the file that is named, or set XDG_STATE_HOME to a directory that you may write to; then run any command on the client again. Nothing in the store is wrong.',
    SERVER_STOPPING:
      'Run again when the server is back; the new run continues from the last checkpoint.',
    STORE_NOT_WRITABLE:
      'Give a directory that you may write to, or create one that you own (`sudo install -d -o "$USER" DIR`). Check the owner and mode of the store, that it is not mounted read-only, and that the file that is named is not immutable (lsattr -d).',
    STORE_NOT_READABLE:
      'Check the owner and mode of the store, and that a directory that the file system encrypts is unlocked.',
    STORE_WITHOUT_LOCKS:
      'Mount the file system with locks (NFS: start its lock service, or the option local_lock=flock if no other machine uses the store), or put the store on another one: without locks, two programs could write to a client at once.',
    STORE_UNSAFE:
      'Find out who created the file that is named, and remove it: the directory of a client may contain only plain files and directories. To keep a part elsewhere, use a bind mount.',
    CACHE_NOT_WRITABLE:
      'Check owner and mode of the directory for caches, or set XDG_CACHE_HOME to a directory that you may write to. Nothing in the bucket is wrong.',
    ACCESS_REFUSED:
      'Check owner and mode of the path that is named and of the directories above it. Nothing but a directory may be in the place of one, the file system must not be mounted read-only, nor the file be immutable (lsattr -d).',
    DISK_FULL:
      'Free space on the disk that is named, then run again; what was acknowledged is kept, and the new run continues.',
    TEMPORARY_FULL:
      'Free space in the directory for temporary files that is named, or set TMPDIR to one with enough space.',
    FILE_TOO_LARGE:
      'Raise the limit of file sizes (ulimit -f, LimitFSIZE= of a unit), or use a file system that takes larger files.',
    TOO_MANY_OPEN_FILES:
      'Raise the limit of open files (ulimit -n, LimitNOFILE= of a unit) to 256 or more, then run again.',
    OUT_OF_MEMORY:
      'Free memory, or raise the limit of memory (ulimit -v, MemoryMax= of a unit), then run again.',
    IO_FAILED:
      'Check the disk, its cable, the network or the program behind the mount, and the system log (dmesg); then run again. The disk or the file system failed, whatever is stored on it. Only if single sectors of a file stay unreadable on a disk that works otherwise: `sonic check --repair` heals a pack, `sonic rebuild` makes tardis.db or format.json again.',
    STORE_AWAY:
      'Run again later: the server cannot use its store now. The log of the server has the reason.',
  }),
  ...rows('damage', 1, {
    KEYS_DAMAGED:
      'The newest key record (the file with the highest number in keys/) is damaged, and no copy of it in packs/keys/ is intact. Restore it on the machine of the store, from the printed sheet or a key file (`sonic keys --insert --keys FILE -D DIR -C NAME`), or from a copy of the store. Only if keys/ has a record with a lower number, you can instead remove the damaged record and its copy: then that record applies, with the password that was set at its time.',
    KEYS_LOST:
      'Restore the keys on the machine of the store, from the printed sheet or a key file: `sonic keys --insert --keys FILE -D DIR -C NAME`; or restore keys/ from a copy of the store. If the client does not encrypt, set its password again there with `sonic setpass`.',
    CATALOG_DAMAGED:
      'Run `sonic rebuild -D DIR -C NAME`, which rebuilds the catalog from the packs and loses nothing that they contain; see docs/damage/recovery.md.',
    FORMAT_DAMAGED:
      'Run `sonic rebuild -D DIR -C NAME`, which recreates format.json; see docs/damage/recovery.md. If the store is in a bucket that keeps versions, run `sonic bucket --recover` first, which brings back its objects (docs/server/buckets.md, "Repair").',
    PACKS_DAMAGED:
      'Move whatever is in place of packs/ elsewhere. Restore packs/ from a copy of the store, or run `sonic rebuild -D DIR -C NAME` and then a backup, which saves again what the source still has.',
    RECORD_DAMAGED:
      'Run `sonic check --read-data`: it lists what is lost, and the next backup sends it again. If a commit of a bucket is damaged, run `sonic rebuild`.',
    IMPORT_SOURCE_DAMAGED:
      'Check the source with the program that wrote it; nothing in it was changed, and what is sound can still be imported.',
    CONTENT_DAMAGED:
      'The bytes do not match their digest. Run a backup, which sends them again if the source still has them.',
    STORE_ROLLED_BACK:
      'Check whether you put the store back to an older state yourself; if not, somebody else did. If sets are missing, the store can still be listed and restored. Give --trust-store once to continue with backups, which gives up what is missing; it also accepts an older key record. Keys that were replaced by others are refused even with --trust-store: restore the newer store, or remove the file that the error names to read with the old keys.',
    KEYS_CHANGED:
      'Compare the key id with your printed sheet. If the keys are yours, as on another disk that you use here in turns, give --trust-store once: they are remembered beside the others. Otherwise the store was exchanged. A disk can also be named by its id (/dev/disk/by-uuid/…).',
    MEMORY_DAMAGED:
      'Run `lstardis --trust-store` once: it recreates the file, and only reads the store. If the file is in clients/, it prints the key id; compare it with your printed sheet before the next backup. Another id, or none although the client encrypts, means that the store was exchanged. If the file is in seals/, check that the newest set is in the list: there is no other sign that the store was rolled back before.',
    ENCRYPTION_GONE:
      'Check that this is the right store. If its keys are lost, restore them from a key file or the printed sheet with `sonic keys --insert --keys FILE`. docs/inside/threat-model.md, "The identity of a client", lists other causes.',
    NOT_AUTHENTIC:
      'Run `sonic rebuild -D DIR -C NAME`, which repairs a damaged catalog. If the error remains, somebody changed the store, or it belongs to another client: its data is not what this client wrote.',
    NOT_PROVEN:
      'Choose a complete set of a client that encrypts, or restore without --authenticate: contents are still checked.',
    STORE_FORKED:
      'If the bucket keeps versions, bring back what was deleted or replaced: sonic bucket --recover. Otherwise run `sonic rebuild`, which uses what this machine still knows; with --packs-only it goes on with the present contents of the bucket (docs/server/buckets.md).',
    ACCOUNTS_DAMAGED:
      'Bring back the object that the message names (sonic bucket --recover). If that is impossible, delete it: then the list before it counts, and accounts and rights that were removed since then come back. If lists were lost that this machine knows, delete the cache (docs/server/buckets.md, "Accounts").',
  }),
  ...rows('protocol', 1, {
    SERVER_NOT_PROVEN:
      'Check --server: this server does not know your client, or somebody intercepts the connection.',
    PROTOCOL_VERSION: 'Use the same release on client and server.',
    PROTOCOL_VIOLATION: 'The other end is broken or hostile. No data was lost.',
    MESSAGE_TOO_LARGE: 'The other end is broken or hostile. No data was lost.',
    NOT_PERMITTED:
      'Use an account that has the right to do this; rights are given on the machine of the store (sonic account).',
    ACCOUNT_FILE_MISSING:
      'Name the client of the login in the Targets of an account: a file .accounts/NAME in the store with the line `Targets: CLIENT` (docs/server/first-server.md).',
    SERVER_ANSWER_INVALID:
      'The operator of this server should compare its release with that of the tardisd behind it, and look into both logs.',
  }),
  ...rows('partial', 3, {
    SPECIAL_FILE:
      'Restore as root, outside of a container, to a file system that takes device nodes; everything else was restored.',
    ATTRIBUTE_NOT_SET:
      'Restore to a file system that supports the attribute, or as root; the file was restored without it.',
    SOME_FILES_UNREAD: 'Check the files named above, which could not be read; the rest was saved.',
    UNREAD_AT_BACKUP:
      'If another set has the entry as it should be, take that one: `lstardis PATH` lists the versions. Otherwise make it readable, and back up again.',
    SOME_FILES_NOT_RESTORED:
      'Check the files named above, which could not be restored; the rest was restored.',
  }),
  ...rows('interrupted', 130, {
    INTERRUPTED: 'Run the command again; what was finished before is kept.',
  }),
  ...rows('bug', 1, { INTERNAL: 'This is a bug: please report the text above.' }),
  ...BUCKET_ERRORS,
});

export type ErrorCode = keyof typeof ERROR_TABLE;

/** True if a value, for example from the wire, is a code of the table. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERROR_TABLE, value);
}
