/** What the commands are for, in words and examples. */
import type { Tool } from '../config/index.js';
import { D, example, type ToolHelp } from './help-rows.js';

export const COMMANDS_HELP = {
  tardis: {
    summary: 'Backs up directories to a tardis store.',
    examples: [
      example(`tardis ${D} --local --create ~`, 'first backup of your home directory'),
      example(`tardis ${D} --local ~`, 'every later one'),
      example(
        'tardis --server backup.example.org --password-file ~/.tardis-password /etc /home',
        'to a server, by TLS and with a password',
      ),
      example(
        'tardis --config ~/.tardis.cfg --job laptop',
        'what the section [laptop] of the file says',
      ),
      example(`tardis ${D} --local -x '*.o' --skip-caches ~`, 'without object files and caches'),
      example(
        `tardis ${D} --local --filter-file ~/.tardis-filter ~`,
        'only what the lines of that file accept',
      ),
      example(
        "tardis --explain ~/a/b.o -x '*.o' ~",
        'which rule takes it in or out; asks no server',
      ),
    ],
    notes: [
      'Ctrl-C ends a backup at a checkpoint, and the next run goes on from there; a second one ends it at once.',
      'Exit status: 0 done, 1 failed, 3 done but some files could not be read, 10 no such store or client, 11 busy, ' +
        '12 wrong or missing password, 130 interrupted.',
    ],
  },
  tardisd: {
    summary: 'Serves a tardis store to clients.',
    examples: [
      example(`tardisd ${D} --port 7420 --insecure-tcp`, 'for clients on this machine'),
      example(
        `tardisd ${D} --ssl --certfile cert.pem --keyfile key.pem --make-certificate`,
        'for a network, with a certificate that is made if it is not there',
      ),
      example(
        'tardisd --config /etc/tardis/tardisd.cfg --local /run/tardisd.sock',
        'by a configuration file, on a unix socket',
      ),
    ],
    notes: [
      'SIGTERM, SIGINT and SIGHUP end every session at a checkpoint; the clients may continue later.',
    ],
  },
} as const satisfies Partial<Record<Tool, ToolHelp>>;

export const READERS_HELP = {
  regenerate: {
    summary: 'Restores files and directories.',
    about: [
      'Each PATH becomes OUTPUT/its-last-component (with --hierarchy, OUTPUT/its-whole-path), checked against its digests. ' +
        'What is there already and has the same type, size and time stays; a file that is replaced makes way only when the ' +
        'new one is whole. A restore that was broken off goes on when the same command is run again. Who is not root ' +
        'restores what the owners and permissions in the set let him read.',
      'A date without a time means the end of that day, in local time. Ages: 30min, 12h, 3d, 2w, 6mo, 1y.',
    ],
    examples: [
      example(
        `regenerate ${D} -o /tmp/back /home/me/letters`,
        'a directory as of the newest set, as /tmp/back/letters',
      ),
      example(`regenerate ${D} -b 3 /etc/fstab`, 'a file as of set 3, into this directory'),
      example(
        `regenerate ${D} -d "3 days ago" --overwrite=newer -o /home/me /home/me/letters`,
        'in its place, where the set has something newer',
      ),
      example(
        `regenerate ${D} --include '*.c' --dry-run /home/me/src`,
        'what would be restored, and nothing else',
      ),
      example(`regenerate ${D} --stdout /etc/fstab | less`, 'one file into a pipe'),
      example(
        `regenerate ${D} --all --tar - | zstd > all.tar.zst`,
        'the whole set as a tar archive',
      ),
    ],
    notes: [
      'Exit status: 0 done, 1 failed, 3 done but some files could not be restored, 10 no such store or client, 11 the same ' +
        'restore is running, 12 wrong or missing password, 130 interrupted.',
    ],
  },
  lstardis: {
    summary: 'Lists backup sets; or a directory as of a set; or all versions of a file.',
    about: [
      'Without a path the backup sets are listed, with -l their roots too. Above its roots a set shows those.',
    ],
    examples: [
      example(`lstardis ${D} -l`, 'the backup sets and their roots'),
      example(`lstardis ${D} -l /home/me`, 'a directory as of the newest set'),
      example(`lstardis ${D} -b 3 /home/me`, 'the same as of set 3'),
      example(`lstardis ${D} -d yesterday /home/me`, 'the same as of yesterday evening'),
      example(`lstardis ${D} /home/me/letter.txt`, 'all versions of a file'),
      example(`lstardis ${D} --dates "a week ago.."`, 'the sets of the last week'),
      example(`lstardis ${D} --glob '/home/me/*.c'`, 'what matches a pattern'),
      example(`lstardis ${D} -V week /home/me/a.txt`, 'the newest version of each week'),
      example(`lstardis ${D} -V checksum -O /home/me/a.txt`, 'in which sets each content is'),
    ],
    notes: [
      'Who is not root sees what the owners and permissions in the set would have let him see.',
      'Colors are shown on a terminal, unless NO_COLOR is set or TERM is dumb; --color and --nocolor win over both.',
    ],
  },
  tardiff: {
    summary: 'Compares versions of files and directories, with each other or with the disk.',
    about: [
      'Without -b and -d the newest complete set is compared with the disk; with one of them that set; with two of them the first set with the second. What a backup leaves out is told as new where the disk is compared.',
      'On a terminal control characters are shown as \\xNN; into a pipe or file goes what the files hold, so that patch(1) can use it. Files over --max-size, binary ones, and those that take more than 10 s are told to differ, and not shown.',
    ],
    examples: [
      example(`tardiff ${D} ~/letter.txt`, 'since the last backup'),
      example(`tardiff ${D} -d "3 days ago" ~/letter.txt`, 'since three days ago'),
      example(`tardiff ${D} -b 3 -b 5 /etc/fstab`, 'between two sets'),
      example(`tardiff ${D} -r --list -b 3 -d yesterday /etc`, 'which files differ'),
      example(
        'tardiff --server backup.example.org -r -M /etc',
        'owners, permissions and times too',
      ),
      example(`tardiff ${D} --reduce-path /mnt/old/home/me`, 'of a disk that is mounted elsewhere'),
    ],
    notes: [
      'Exit status: 0 nothing differs, 1 something does, 2 failed, or something could not be compared, 10 no such store or client, 11 busy, 12 wrong password, 130 interrupted.',
    ],
  },
} as const satisfies Partial<Record<Tool, ToolHelp>>;
