/** Help of the commands: summaries and examples. */
import type { Tool } from '../../config/index.js';
import { COMMANDS_NOTE } from './commands.js';
import { D, KEEP_NOTE, SERVER_NOTE, type ToolHelp } from './help-rows.js';

export const COMMANDS_HELP = {
  tardis: {
    summary: 'Back up directories and files to a store of Tardis.',
    about: [COMMANDS_NOTE],
    examples: {
      [`${D} --local --create ~`]: 'makes the first backup of your home directory',
      [`${D} --local ~`]: 'makes every later backup',
      [`${D} --local ~/docs ~/notes.txt`]: 'backs up a directory and a single file',
      '--server backup.example.org --password-file ~/.tardis-password /etc /home':
        'backs up to a server, over TLS and with a password',
      [`${D} --local -x '*.o' --skip-caches ~`]: 'leaves out object files and caches',
      '--config ~/.tardis.cfg --job laptop': 'uses the settings in section [laptop] of the file',
      [`${D} --local --filter-file ~/.tardis-filter ~`]:
        'backs up only what the filter file accepts',
      "--dry-run -vv -x '*.o' ~": 'only shows what would be saved and left out',
      "--explain ~/a/b.o -x '*.o' ~":
        'shows which rule includes or excludes a file, without a server',
    },
    notes: [
      'If both --server and --local are set, the source of higher precedence decides: the command line, then configuration files, then environment variables, then /etc/tardis/system.defaults. If both come from the same source, --local is used.',
      'Ctrl-C ends a backup at a checkpoint, and the next run continues from there; a second Ctrl-C ends it at once.',
    ],
  },
  'tardis-import': {
    summary: 'Bring over the history that another backup program has kept.',
    about: [
      'Each state of the source becomes a set of its date, the oldest first. A state that is not newer than the newest set of the client is refused, so import before the first ordinary backup, or into a client of its own. The same command goes on after an interruption.',
      'Nothing in the source is changed. What a program unpacks, one state at a time, is in a directory below TMPDIR that only this user can enter.',
    ],
    examples: {
      [`${D} --create /mnt/old/tardis/laptop`]:
        'imports a client of Tardis (Python), from its directory',
      [`${D} --create /mnt/restic`]:
        'imports the snapshots of restic, or the archives of Borg, of a repository',
      [`${D} --create restic:sftp:me@nas:/restic`]: 'imports those of a repository elsewhere',
      [`${D} --create --kept-as /home --sets '/snapshots/*.*/localhost/home'`]:
        'imports what rsnapshot has kept',
      [`${D} --create --sets '/backups/home-%Y-%m-%d.tar.gz'`]:
        'imports tar files, each as a set of the date in its name',
      [`${D} --verify /mnt/restic`]:
        'imports what is new, and compares every set with the repository',
      [`${D} --kept-as /home --sets '/backup/%Y-%m-%d/home' --dry-run`]:
        'only lists the dates of directories, and which of them the store has',
    },
  },
  tardisd: {
    summary: 'Serve a store of Tardis to clients.',
    examples: {
      [`${D} --create`]:
        'creates the store, and serves a network by TLS with a certificate of its own',
      [D]: 'serves it from then on',
      '--config /etc/tardis/tardisd.cfg --local /run/tardisd.sock':
        'uses a configuration file, and listens on a unix socket',
    },
    notes: [
      'SIGTERM and SIGINT end every session at a checkpoint; the clients can continue later. SIGHUP reads the certificate and the settings again.',
      KEEP_NOTE,
    ],
  },
  tardisremote: {
    summary: 'Serve the clients of a store over HTTP, for reading.',
    about: [
      'tardisremote serves the interface of docs/server/api.md to programs and browsers. lstardis, regenerate, tardiff, tardisfs, tardis-web and the reports of sonic read through it with --server https://HOST:7430/. To log in, give the password of a client or of one of its accounts, or a token (`sonic account --token`). With --server, only tokens are accepted, and passed on to that tardisd. tardisremote has no keys, so it sends the data of an encrypting client as it is, encrypted.',
    ],
    examples: {
      [D]: 'serves a network by TLS, with a certificate of its own',
      [`${D} --insecure-tcp`]: 'serves programs on this machine',
      '--server backup.example --server-certificate tardisd.pem --insecure-tcp':
        'serves the clients of a tardisd on another machine; log in with tokens',
    },
    notes: ['SIGTERM and SIGINT end tardisremote. SIGHUP reads the certificate again.'],
  },
} as const satisfies Partial<Record<Tool, ToolHelp>>;

export const READERS_HELP = {
  regenerate: {
    summary: 'Restore files and directories from a store of Tardis.',
    about: [
      'Each PATH is restored as OUTPUT/NAME, where NAME is the last part of the path (with --hierarchy, the whole path). Its contents are ' +
        'compared with their digests. Existing files with the same type, size and time are kept; a file is replaced only when the new one is ' +
        'complete. To continue an interrupted restore, run the same command again. Users other than root can restore only ' +
        'what the owners and permissions in the set let them read.',
      'A date means the end of the day, minute or second that it names, in local time. Ages: 30min, 12h, 3d, 2w, 6mo, 1y.',
    ],
    examples: {
      [`${D} -o /tmp/back /home/me/letters`]:
        'restores a directory from the newest set, as /tmp/back/letters',
      [`${D} -b 3 /etc/fstab`]: 'restores a file from set 3, into the current directory',
      [`${D} -d "3 days ago" --in-place /home/me/letters`]:
        'restores to where it was, and replaces what differs there',
      [`${D} --include '*.c' --dry-run /home/me/src`]: 'only shows what would be restored',
      [`${D} --stdout /etc/fstab | less`]: 'writes one file to a pipe',
      [`${D} --all --tar - | zstd > all.tar.zst`]: 'writes the whole set as a tar archive',
      [`${D} --zip letters.zip /home/me/letters`]: 'writes a directory as a zip archive',
    },
    notes: [SERVER_NOTE],
  },
  lstardis: {
    summary: 'List backup sets, a directory as of a set, or all versions of a file.',
    about: [
      'Without a path, the backup sets are listed, with -l also their roots. A directory above the backed-up roots shows only the roots.',
    ],
    examples: {
      [`${D} -l`]: 'lists the backup sets and their roots',
      [`${D} -l /home/me`]: 'lists a directory as of the newest set',
      [`${D} -b 3 /home/me`]: 'lists the same directory as of set 3',
      [`${D} -d yesterday /home/me`]: 'lists the same directory as it was yesterday evening',
      [`${D} /home/me/letter.txt`]: 'lists all versions of a file',
      [`${D} --dates "a week ago.."`]: 'lists the sets of the last week',
      [`${D} --glob '/home/me/*.c'`]: 'lists the paths that match a pattern',
      [`${D} --find 'letter*.txt'`]: 'finds a file by name, deleted or not',
      [`${D} -V week /home/me/a.txt`]: 'lists the newest version of each week',
      [`${D} -V checksum -O /home/me/a.txt`]:
        'lists each content of a file once, with the sets that have it',
    },
    notes: [
      SERVER_NOTE,
      'Users other than root see only what the owners and permissions in the set allow.',
      'Colors are shown on a terminal, unless NO_COLOR is set or TERM is dumb; --color and --no-color override both.',
    ],
  },
  tardisfs: {
    summary: 'Mount the backup sets of a client as a read-only file system.',
    about: [
      'The mount has a directory for each set; Current, a link to the newest complete set; by-date/YYYY/MM/DD, links to the sets of a day; and versions/PATH, all versions of a file. Each set shows its whole tree under the full paths of its roots. New sets appear by themselves.',
      'Each long option can also be given as -o NAME=VALUE, several separated by commas: -o database=/srv/tardis,client=laptop. pwfile, pwprog and log stand for password-file, password-prog and logfile. Options of mount(8) that have no effect here are accepted. If two paths are given, the first is the source, as in /etc/fstab. The source is used as the store if it begins with a slash or with s3://, and if the command line has no --database; otherwise it is ignored.',
      'Without -f, the command returns when the mount is ready or has failed. To unmount, use fusermount3 -u, umount or SIGTERM.',
    ],
    examples: {
      '-o database=/srv/tardis,client=laptop /mnt/laptop':
        'mounts the sets of a client in a store on this machine; `fusermount3 -u /mnt/laptop` unmounts them',
      '-o server=backup.example.org,pwfile=/root/.tardis-password /mnt/backups':
        "mounts this machine's sets on a server",
      [`${D} -f /mnt/backups`]: 'stays in the foreground, and prints its log',
    },
    notes: [
      SERVER_NOTE,
      'With --allow-other, the kernel checks the permissions in the sets for every user. Users other than root see only what the owners and permissions in the set allow.',
    ],
  },
  'tardis-web': {
    summary: "Show a client's backups in the browser.",
    about: [
      'The page has a calendar of the sets, their files, a search over all of them, versions with their differences, downloads, restores and mounts on this machine, and an overview. It is served on the loopback interface, to the user who starts the command, or with --listen over TLS to other machines. Encrypted backups are decrypted here; keys and password never leave the machine.',
      'The first printed address works once, in one browser. The second one lasts, and takes a password (--newpassword) or a code (--sign-in). With --server, the backups are read from a server.',
      'The other clients of the store, those of further stores (-D again), and those that other sections of the configuration name are opened when they are looked at; a client with a password needs its own.',
    ],
    examples: {
      [D]: 'shows the sets of this machine in a store',
      [`${D} -D /media/disk/copy`]: 'shows the clients of both stores',
      '--server backup.example.org': "shows this machine's sets on a server",
      [`${D} -C laptop --no-browser`]: 'shows another client first; the address is only printed',
    },
    notes: [
      SERVER_NOTE,
      'tardis-web ends with Ctrl-C, and after an hour without a request (--idle-end).',
    ],
  },
  tardiff: {
    summary: 'Show what differs between two backup sets, or between a set and the disk.',
    about: [
      'Sets are the first words, or the values of -b and -d. Two sets are compared with each other, one with the disk; without any, it is the newest complete one. Without a path, everything is compared, and only listed; with paths, the lines of files that differ are shown, unless -l is given. In a comparison with the disk, files that a backup leaves out are reported as new.',
      'Each line of a list begins with + for a new entry, - for a missing one, M for different contents, T for a different type, or U for different metadata (with --metadata); sizes follow, and totals at the end. If the two sets are of different jobs, their roots differ: then all entries of the first set are shown as missing, and all of the second as new.',
      'On a terminal, control characters are shown as \\xNN; to a pipe or file the contents are written unchanged, so that patch(1) can use them. Files over --max-size, binary files, and those that take more than 10 s are reported as different, without their lines.',
    ],
    examples: {
      [`${D} ~/letter.txt`]: 'shows changes since the last backup',
      [`${D} -d "3 days ago" ~/letter.txt`]: 'shows changes since three days ago',
      [`${D} 3 5`]: 'lists what differs between two sets',
      [`${D} 3 yesterday --list /etc`]: 'lists what differs below a directory',
      [`${D} -b 3 -b 5 /etc/fstab`]: 'shows changes of a file between two sets',
      '--server backup.example.org -M /etc': 'also compares owners, permissions and times',
      [`${D} --reduce-path /mnt/old/home/me`]: 'compares with a disk that is mounted elsewhere',
    },
    notes: [SERVER_NOTE],
  },
} as const satisfies Partial<Record<Tool, ToolHelp>>;
