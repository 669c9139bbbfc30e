/** Help of the sub-commands of sonic: summaries and examples. */
import { KEPT_KEYS, type Tool } from '../../config/index.js';
import { AT, D, KEEP_NOTE, type ToolHelp } from './help-rows.js';

export const KEYS_HELP = {
  'sonic create': {
    summary: 'create a client (and the store, if it does not exist), with or without a password',
    examples: {
      [`${AT} --password`]: 'creates a client that encrypts; prompts for the password',
      [`${AT} --password --no-crypt`]: 'creates a client that has a password but is not encrypted',
      [`${AT} --code-for backup.example.org`]:
        'prints a code by which a new machine creates the client: `tardis setup`, Place',
      '--server backup.example.org -C laptop':
        'creates a client through a server that allows new clients',
    },
  },
  'sonic setpass': {
    summary: 'set a password for a client that has none (stored data is not changed)',
    examples: {
      [AT]: 'prompts for the password twice',
      [`${AT} --password-file ~/.tardis-password`]:
        'reads the password from the first line of a file',
    },
  },
  'sonic chpass': {
    summary: 'change the password of a client (only the keys are rewritten)',
    examples: {
      [AT]: 'prompts for the old and the new password',
      '--server backup.example.org -C laptop': 'changes the password of a client on a server',
    },
  },
  'sonic rotate': {
    summary: 'encrypt everything stored from now on with a new key',
    examples: { [AT]: 'changes the key; older data stays readable' },
  },
  'sonic rekey': {
    summary:
      'rewrite all data of an encrypting client with new keys (continues after an interruption)',
    examples: {
      [`${AT} --newpassword`]: 'also sets a new password',
      [`${AT} --yes`]: 'removes the old data without confirmation, for scripts',
      [`${AT} --abort`]: 'discards an unfinished run',
    },
  },
  'sonic encrypt': {
    summary: 'encrypt all data of a client that does not encrypt (continues after an interruption)',
    examples: { [`${AT} --password`]: 'encrypts all sets; prompts for the password' },
  },
  'sonic copy': {
    summary:
      'copy a client to another store, or bring an earlier copy up to date (continues after an interruption)',
    about: [
      'Sets keep their numbers, names, times, tags, locks and priorities. Encrypted data is copied without decryption, so no password is needed for a store that is opened here; a server requires the login of the client. The copy has the keys of the source. Only what the copy lacks is read and written.',
    ],
    examples: {
      [`${AT} --to /media/disk/copy`]: 'copies all sets the first time, later the new ones',
      [`--all ${D} --to /media/disk/copy`]:
        'copies all clients of the store, for example from a timer',
      [`--delete ${AT} --to /media/disk/copy`]:
        'also deletes sets from the copy that were deleted at the source',
      '--server HOST -C NAME --password-file FILE --to /media/disk/copy':
        'copies a client from a tardisd; logs in with the password of the client',
      [`${AT} --to-server HOST --password-file FILE --create`]:
        'copies to a tardisd with AcceptCopies; leave out --create in later runs',
    },
  },
  'sonic export': {
    summary:
      'write backup sets as directories, as tar archives or into a repository of restic (continues after an interruption)',
    about: [
      'Each set becomes a directory of its name, with the whole paths of its files. A file that two sets have alike is one file with two names, as rsnapshot keeps it: change nothing in these directories. Owners are restored by their numbers. A set has its name only when it is complete and on the disk; sets that are there are passed over. For --restic, one set at a time is restored below TMPDIR.',
    ],
    examples: {
      [`${AT} --to /media/disk/laptop`]: 'writes all complete sets, oldest first',
      [`${AT} --to /media/disk/laptop 10-20`]: 'writes only these sets',
      [`--dry-run ${AT} --to /media/disk/laptop`]: 'shows which sets would be written',
      [`${AT} --to /media/disk/archives --tar`]: 'writes NAME.tar for each set',
      [`${AT} --restic /mnt/restic`]: 'makes a snapshot of each set, with its date',
    },
  },
  'sonic keys': {
    summary: 'export, import or print the wrapped (encrypted) keys of a client',
    examples: {
      [`--extract --keys ~/laptop.keys ${AT}`]:
        'copies the keys to a file, to keep in a safe place',
      [`--extract --remove --keys ~/laptop.keys ${AT}`]:
        'moves the keys out of the store: without the file nothing can be read',
      [`--insert --keys ~/laptop.keys ${AT}`]: 'puts the keys back into the store',
      [`--pdf laptop-keys.pdf ${AT}`]: 'writes a PDF to print, with text and QR code',
      [`--qr ${AT}`]: 'shows a QR code on the terminal',
    },
  },
  'sonic account': {
    summary:
      'list, create, change or remove the accounts of a client, each with its own rights, and change its quota',
    examples: {
      [AT]: 'lists the accounts',
      [`--add phone --rights add,list ${AT}`]:
        'creates an account that may back up and list, but not restore',
      [`--change phone --rights read,list ${AT}`]: 'changes its rights, so that it can only read',
      [`--add figures --token --rights list ${AT}`]:
        'creates an account for a program, and prints the token for tardisremote',
      [`--quota 200G ${AT}`]:
        'gives the account file that owns the client, and all of its clients together, 200 GiB',
      [`--remove phone ${AT}`]: 'removes the account, so that nobody can log in with it',
    },
  },
} as const satisfies Partial<Record<Tool, ToolHelp>>;

/** Text that lists the settings that can be stored with a client. */
const KEPT = `Keys: ${Object.keys(KEPT_KEYS).join(', ')}. For a key that is not set, the setting of the server applies. Through a server, an account needs the right \`list\` to show settings, and \`admin\` to change them.`;

export const SETS_HELP = {
  'sonic status': {
    summary:
      'show the state of the backups: the last good one, the next one, the store, and what to do',
    about: [
      'It needs no password for a store on this machine. The client is late if its newest complete set is older than OverdueAfter of the configuration or --overdue-after, or than fits its Schedule, else than that of its server, else than two and a half times the usual distance of days with a backup. The page, `sonic clients` and the metrics show the same state. `tardis status`, and `tardis` alone, are this command. `tardis setup` writes the configuration and the timer.',
    ],
    examples: {
      '': 'shows the state of what `tardis setup` has set up',
      '--json':
        'prints it for programs; `state` is good, running, warned, late, failed, never or unknown',
      [`${AT} --overdue-after 93600`]:
        'ends with status 4 if the newest complete set is older than 26 hours',
    },
  },
  'sonic setup': {
    summary:
      'set up backups of this user or machine: the configuration, a timer, and the first backup',
    about: [
      'Questions on the terminal, or answers in a file, decide what is backed up, where, when, how long sets are kept and where a failed backup is reported. The configuration is ~/.config/tardis/backup.cfg, which all commands take that name no store and no server. The timer is one of systemd: of the user, or of the system for root. Run again, the command shows what is set and changes it. docs/using/setup.md has all answers.',
    ],
    examples: {
      '-D /media/disk/tardis': 'asks all but the place of the store',
      '--answers setup.ini': 'takes the answers of a file, for a machine without a terminal',
      '--undo': 'removes the configuration and the timer; the backups stay',
    },
  },
  'sonic clients': {
    summary:
      'list the clients of a store with their newest set, whether they have a password or encryption, and their state',
    about: [
      'The state is that of `sonic status`. Through a server, an account with the right `admin` sees all clients of the same owner (an account file of the server lists them; see docs/server/running.md).',
    ],
    examples: {
      [D]: 'lists all clients',
      [`${D} --overdue-after 172800`]:
        'shows a client as late if its newest set is more than two days old',
      '--server backup.example.org -C laptop --account ops':
        'lists the clients of the same owner, on a server',
    },
  },
  'sonic files': {
    summary: 'list the files that changed in a backup set: added (+), changed (~), gone (-)',
    examples: {
      [AT]: 'lists the changes in the newest set',
      [`--long --fullpath ${AT} 12`]: 'lists the changes in set 12, with details and whole paths',
    },
  },
  'sonic info': {
    summary: 'show all details of backup sets',
    examples: {
      [`${AT} 10-12`]: 'shows three sets',
      [`--json ${AT} Current`]: 'prints the newest complete set for a script',
    },
  },
  'sonic stats': {
    summary: 'show how much space the store of a client uses, and how much of it is needed',
    examples: {
      [AT]: 'shows the space used, and the directories whose older versions use most of it',
    },
  },
  'sonic getconfig': {
    summary: 'show settings of the server that are stored with a client',
    examples: { [AT]: 'shows all settings', [`${AT} KeepDaily`]: 'shows one setting' },
    about: [KEPT],
  },
  'sonic setconfig': {
    summary: 'store a server setting with a client; it then applies to this client only',
    examples: {
      [`${AT} KeepDaily 14`]: 'keeps the newest set of each of the last 14 days that have sets',
      [`--remove ${AT} KeepDaily`]: 'makes the setting of the server apply again',
    },
    about: [KEPT],
  },
  'sonic upgrade': {
    summary: 'upgrade the catalog of a client to the newest version',
    examples: { [`--dry-run ${AT}`]: 'only shows what would be done' },
  },
  'sonic check': {
    summary: 'check the store of a client, and list what can no longer be restored',
    examples: {
      [AT]: 'checks the catalog and the header of every record',
      [`--read-data ${AT}`]: 'also reads all stored data',
      [`--read-data=3/7 ${AT}`]: 'reads part 3 of 7; seven runs, from 1/7 to 7/7, read all data',
      [`--read-data=20G --read-data-age 30 ${AT}`]:
        'reads up to 20 GiB of the data that was not read for 30 days',
      [`--repair ${AT}`]: 'also repairs damage with parity, and creates missing parity',
      [`--against-source ${AT}`]:
        'also reads each file of the backed-up directories again, and compares it',
      '--server backup.example.org -C laptop':
        'checks through a server, which has no keys: encrypted data is only compared with its checksums',
    },
  },
  'sonic delete': {
    summary: 'delete backup sets, and free the space that only they use',
    examples: {
      [`${AT} 3 10-20`]: 'deletes these sets after confirmation',
      [`${AT} --dry-run 10-20`]: 'only shows which sets would be deleted',
      [`${AT} --yes 3`]: 'deletes set 3 without a prompt, for scripts',
    },
  },
  'sonic purge': {
    summary: 'delete old backup sets by rules, and free the space that only they use',
    examples: {
      [`--keep-daily 14 --keep-monthly 12 --preview ${AT}`]:
        'only shows which sets would be deleted, and why the others are kept',
      [`--keep-daily 14 --keep-monthly 12 ${AT}`]: 'deletes these sets after confirmation',
      [`--before "1 year ago" --yes ${AT}`]:
        'deletes sets begun more than a year ago; no prompt, for scripts',
    },
    notes: [KEEP_NOTE],
  },
  'sonic forget-path': {
    summary: 'delete paths from all sets permanently, after a period in which this can be undone',
    examples: {
      [`--preview ${AT} /home/me/secret`]: 'only shows what would be deleted',
      [`--undo-period 2d ${AT} /home/me/secret`]: 'forgets a path in two days, after confirmation',
      [`--list ${AT}`]: 'lists the pending requests, with their numbers',
      [`--undo 1 ${AT}`]: 'undoes request 1',
      [`--finish ${AT}`]:
        'carries out requests that are due. Needed for a client that encrypts; the client gets new keys',
    },
  },
  'sonic tag': {
    summary: 'add tags to backup sets, or remove them',
    examples: { [`--add before-upgrade ${AT} Current`]: 'adds a tag to the newest complete set' },
  },
  'sonic lock': {
    summary: 'lock backup sets, so that they cannot be deleted; or unlock them',
    examples: {
      [`${AT} 3`]: 'locks set 3: nobody can delete it until it is unlocked',
      [`--unlock ${AT} 3`]: 'unlocks set 3: it can be deleted again',
    },
  },
  'sonic priority': {
    summary: 'change the priority of backup sets',
    examples: { [`--to 10 ${AT} 3 10-20`]: 'gives sets 3 and 10 to 20 priority 10' },
  },
  'sonic rename': {
    summary: 'rename a backup set',
    examples: { [`--to before-upgrade ${AT} 3`]: 'renames set 3' },
  },
  'sonic expendable': {
    summary: 'choose backup sets that may be deleted early when space runs low',
    examples: {
      [`${AT} 3 10-20`]: 'allows sets 3 and 10 to 20 to be deleted early',
      [`--not ${AT} 3`]: 'protects set 3 from early deletion again',
    },
  },
  'sonic orphans': {
    summary: 'free all space that no backup set needs (garbage collection)',
    examples: {
      [AT]: 'frees all space that no set needs',
      '--server backup.example.org -C laptop': 'lets the server free the space',
    },
  },
  'sonic bucket': {
    summary:
      'examine a bucket (S3), restore overwritten or deleted objects, renew locks, set quotas',
    examples: {
      '-D s3://backups/all': 'tests a bucket at AWS, with the access key of the environment',
      '-D s3://backups/all --endpoint https://s3.example.org': 'tests a bucket at another service',
      '--recover --dry-run -D s3://backups/all':
        'shows objects that were overwritten or deleted, in a bucket that keeps old versions',
      '--extend --lock-days 60 -D s3://backups/all':
        'gives new locks of 60 days to objects whose locks end in less than 30 days',
      '--accounts /etc/tardis/accounts -D s3://backups/all':
        'replaces the accounts of the store, with their quotas, by those in the files of a directory',
    },
    notes: [
      'Without --recover, --extend and --accounts, `sonic bucket` tests the bucket: it writes and removes some small objects below PREFIX/probe/.',
    ],
  },
  'sonic rebuild': {
    summary: 'rebuild the catalog of a client from its packs, and list what is lost',
    examples: {
      [AT]: 'rebuilds the catalog from all packs',
      [`--quick ${AT}`]:
        'the same without reading the bytes of contents: faster; `sonic check --read-data` reads them later',
    },
  },
} as const satisfies Partial<Record<Tool, ToolHelp>>;
