/** Settings of `tardis`: what is backed up and how it is stored. */
import { amount, choice, commonRow, forTools, on, type PartialTable, row, rowsFor } from './row.js';
import { BACKUPS, READERS } from './tools.js';

const DAY_SECONDS = 86_400;

const SERVER =
  'server to connect to: HOST[:PORT], ssh://[USER@]HOST[:PORT]/PLACE to start one there by ssh, the path of a unix socket, or several HOST[:PORT] separated by commas (servers of one bucket)';

/** Settings of the commands on the client's side. */
export const CLIENT_ROWS = rowsFor(BACKUPS, 'client', {
  directories: row('paths', 'Directories', {
    tools: ['tardis'],
    default: ['.'],
    argument: '[source...]',
    help: 'directories and files to back up',
  }),
  server: commonRow('text', ['--server <host>', 'Server', 'TARDIS_SERVER'], {
    default: 'localhost',
    tools: ['tardis', ...READERS],
    perTool: forTools(READERS, `${SERVER}; or the URL of a tardisremote`),
    help: SERVER,
  }),
  local: commonRow('bool', ['--[no-]local', 'Local'], {
    tools: ['tardis'],
    help: 'write to a store on this machine, through a server of this run; takes precedence over a --server from the same source (such as the command line)',
  }),
  localConfig: row('path', ['--local-config <file>', 'TARDIS_LOCAL_CONFIG'], {
    help: 'configuration file of the --local server (default: /etc/tardis/tardisd.local.cfg, if it exists)',
  }),
  localServerCmd: row('command', ['--local-server-cmd <command>', 'LocalServerCmd'], {
    tools: ['tardis'],
    help: 'command that runs the --local server; it gets its options and --stdio, and its standard input and output are the connection',
  }),
  create: commonRow('bool', '--create', {
    tools: [...BACKUPS, 'tardisd', 'sonic copy'],
    perTool: {
      tardisd:
        'create the store first; without it, a directory that is missing or empty is an error, since its disk may not be mounted',
      'tardis-import':
        'create the client first, and the store if there is none; after an interruption, the same command continues',
      'sonic copy':
        'create the copy first (in the directory or bucket of --to, or with --to-server there); after an interruption, the same command continues',
    },
    help: 'create the client first (with --local also the store, and copies in other stores); after an interruption, the same command continues',
  }),
  setName: row('text', '--name <name>', {
    tools: ['tardis'],
    default: '',
    help: 'name of the backup set (default: date and time, or what Formats of the server says)',
  }),
  sendConfig: on(['--[no-]send-config', 'SendClientConfig', 'TARDIS_SEND_CONFIG'], {
    help: 'send the settings of this run, without secrets, to the server, which stores them with the set',
  }),
  stats: row('bool', ['--[no-]stats', 'Stats'], { help: 'print statistics of every stage' }),
  verbosity: amount('count', ['-v, --verbose', 'Verbosity'], [0, 0, 9], {
    isCommon: true,
    help: 'print each changed directory (+); twice: also unchanged ones (=) and what is left out (x)',
  }),
  report: row('bool', ['--[no-]report', 'Report'], {
    help: 'at the end, print the names of everything that was saved',
  }),
  logFiles: row('paths', ['--logfile <file>', 'LogFiles'], {
    help: 'also write messages to this file; may be repeated',
  }),
  paths: row('paths', '', {
    tools: ['regenerate', 'lstardis', 'tardiff'],
    argument: '[path...]',
    shownArguments: { tardiff: '[set [set]] [path...]' },
    perTool: {
      tardiff:
        'up to two sets (numbers, names, or dates such as "3 days ago"), then paths as they were backed up (default: everything)',
    },
    help: 'paths as they were backed up',
  }),
  numericIds: row('bool', '--numeric-ids', {
    tools: ['regenerate', 'lstardis'],
    help: 'use the numbers of owners and groups instead of their names',
  }),
} as const satisfies PartialTable);

/** Settings of files that are no files of the machine: what commands write, and standard input. */
export const SOURCE_ROWS = rowsFor(['tardis'], 'client', {
  stdin: row('name', '--stdin <name>', {
    help: 'store standard input as the file /NAME of the set, beside the given directories, or alone',
  }),
  commands: row('commands', '--source <command>', {
    help: 'store the output of a command as the file /NAME of the set; written "NAME=COMMAND", may be repeated, and replaces the section [Sources]; a command that fails leaves the earlier version',
  }),
  commandNames: row('texts', 'Sources', {
    default: undefined,
    help: 'names in the section [Sources] whose commands this job runs (default: all)',
  }),
  commandSeconds: amount(
    'seconds',
    '--source-timeout <seconds>',
    [DAY_SECONDS, 0.1, 7 * DAY_SECONDS],
    {
      key: 'SourceTimeout',
      help: 'seconds after which a command of --source or [Sources] is terminated and counts as failed',
    },
  ),
} as const satisfies PartialTable);

/** Settings of the walk, and of the paths under which directories are stored. */
export const ROOT_ROWS = rowsFor(['tardis'], 'client', {
  crossDevice: commonRow('bool', '--[no-]crossdevice', {
    tools: BACKUPS,
    help: 'enter other file systems below the directories',
  }),
  snapshot: choice(['--snapshot <when>', 'Snapshot'], ['no', 'auto'], {
    help: 'auto: save each subvolume of btrfs as of one moment, in a snapshot that is deleted afterwards (needs root); what has none is named, and read as it is',
  }),
  readDevices: row('bool', ['--[no-]read-devices', 'ReadDevices'], {
    help: 'save the contents of block devices that are named as sources (disks, partitions, LVM volumes), instead of their nodes',
  }),
  maxDepth: amount('int', '--maxdepth <n>', [0, 0, 1_000_000], {
    help: 'enter at most n levels of directories (1: only the given directories; 0: no limit); deeper entries are kept as in the last set',
  }),
  basePath: choice('--basepath <style>', ['full', 'common', 'none'], {
    help: 'store directories under their full paths (full), without the part that all paths begin with (common), or under their last names only (none)',
  }),
  keptAs: row('paths', ['--kept-as <path>', 'KeptAs'], {
    tools: BACKUPS,
    perTool: {
      'tardis-import': {
        isCommon: true,
        help: 'path that the directories of --sets, or the tops of tar files, had on their machine (default for tar files: /)',
      },
    },
    help: 'path under which a directory is stored; give it once for each directory, in the order of the directories',
  }),
  trustRoots: row('bool', '--trust-roots', {
    help: 'back up directories, and mount points below them, even if they are now empty or on another device than before',
  }),
} as const satisfies PartialTable);

/** Settings of the exclude rules. */
export const EXCLUDE_ROWS = rowsFor(BACKUPS, 'client', {
  // Patterns are bytes, like names.
  exclude: commonRow('paths', ['-x, --exclude <glob>', 'ExcludePatterns'], {
    help: 'exclude what matches this pattern; may be repeated',
  }),
  excludeFiles: commonRow('paths', ['-X, --exclude-file <file>', 'ExcludeFiles'], {
    help: 'exclude what matches a pattern in this file; may be repeated',
  }),
  excludeDirs: row('paths', ['--exclude-dir <dir>', 'ExcludeDirs'], {
    help: 'exclude this directory; may be repeated',
  }),
  globalExcludeFile: row('path', ['--global-exclude-file <file>', 'GlobalExcludeFileName'], {
    default: '/etc/tardis/excludes',
    variable: 'TARDIS_GLOBAL_EXCLUDES',
    help: 'file of exclude patterns for every backup; the default file is read if it exists',
  }),
  ignoreGlobalExcludes: row('bool', '--[no-]ignore-global-excludes', {
    help: 'ignore the global file of exclude patterns',
  }),
  excludeFileName: row('name', ['--exclude-file-name <name>', 'ExcludeFileName'], {
    defaultText: '.tardis-excludes and .tardis-exclude',
    variable: 'TARDIS_EXCLUDES',
    help: 'name of the files whose patterns apply to their directory and everything below it',
  }),
  localExcludeFileName: row('name', ['--local-exclude-file-name <name>', 'LocalExcludeFileName'], {
    defaultText: '.tardis-local-excludes and .tardis-local-exclude',
    variable: 'TARDIS_LOCAL_EXCLUDES',
    help: 'name of the files whose patterns apply only to their own directory',
  }),
  skipFileName: row('name', ['--skip-file, --skip-file-name <name>', 'SkipFileName'], {
    defaultText: '.tardis-skip',
    variable: 'TARDIS_SKIP',
    help: 'name of a file that excludes everything in and below its directory',
  }),
  olderSkipFileName: row('name', 'TARDIS_SKIPFILE', { help: 'the older name of TARDIS_SKIP' }),
  skipCaches: commonRow('bool', ['--[no-]skip-caches', 'SkipCaches'], {
    help: 'exclude the contents of directories with a valid CACHEDIR.TAG',
  }),
  ignoreCvs: row('bool', ['--[no-]cvs-ignore', 'IgnoreCVS'], {
    help: 'exclude what CVS ignores, and the files of CVS, RCS, SVN, git and others',
  }),
  excludeNoAccess: row('bool', ['--[no-]exclude-no-access', 'ExcludeNoAccess'], {
    help: 'exclude what this user may not read, instead of reporting it',
  }),
  excludeNoDump: row('bool', ['--[no-]exclude-nodump', 'ExcludeNoDump'], {
    help: 'exclude what has the attribute "no dump" (chattr +d)',
  }),
  maxFileSize: amount('size', ['--max-file-size <size>', 'MaxFileSize'], [0], {
    defaultText: 'no limit',
    help: 'exclude files larger than this; 0: no limit',
  }),
  explain: commonRow('paths', '--explain <path>', {
    tools: ['tardis'],
    help: 'print which rule includes or excludes a path, and do nothing else; may be repeated',
  }),
} as const satisfies PartialTable);

/** Settings of filters, which decide what is backed up and how contents are stored. */
export const FILTER_ROWS = rowsFor(BACKUPS, 'client', {
  filterFile: row('path', ['--filter-file <file>', 'FilterFile'], {
    help: 'back up only what this file accepts. Each line is: file|dir|any|path accept|reject REGEX; the first line that matches decides (see docs/using/filters.md)',
  }),
  makeSampleFilterFile: row('bool', '--make-sample-filter-file', {
    tools: ['tardis'],
    help: 'write filter.example and do nothing else',
  }),
  cryptFilterFile: row('path', ['--efilter-file, --crypt-filter-file <file>', 'CryptFilterFile'], {
    help: 'file that chooses how the contents of each file are encrypted. It has groups: a line "#NAME,ALGORITHM" (such as #pictures,none), then lines as in --filter-file, which select the files of the group (see docs/using/filters.md)',
  }),
  defaultCrypt: choice('--def-crypt <algorithm>', ['auto', 'aes', 'chacha', 'none'], {
    clientKey: 'DefaultCrypt',
    help: 'encryption of contents that --efilter-file does not select: aes, chacha, none, or auto (aes if the processor has AES instructions, otherwise chacha)',
  }),
} as const satisfies PartialTable);

/** Settings of deltas, which send and store only the changed parts of large files. */
export const DELTA_ROWS = rowsFor(['tardisd'], 'server', {
  full: row('bool', '--[no-]full', {
    tools: BACKUPS,
    clientKey: 'Full',
    help: 'send changed files whole, never as deltas; also replace contents that are stored as deltas',
  }),
  maxDeltaChain: amount('int', 'MaxDeltaChain', [5, 0, 32], {
    help: 'maximum number of deltas that build on each other; the next one builds on the whole file below them; 0: no deltas',
  }),
  maxChangePercent: amount('int', 'MaxChangePercent', [50, 0, 100], {
    help: 'request the whole file if it grew or shrank by more than this percentage, or if more than this percentage of it is new',
  }),
  saveFull: row('bool', 'SaveFull', { help: 'always request whole files' }),
  sendSignatures: row('bool', '--send-sig', {
    tools: ['tardis'],
    clientKey: 'SendSig',
    help: 'compute signatures of large files here and store them, so that later deltas start sooner',
  }),
} as const satisfies PartialTable);

/** Settings of `tardis-import`: the history that another program has kept, and the password that opens it. */
export const IMPORT_ROWS = rowsFor(['tardis-import'], 'client', {
  importedSource: row('path', '', {
    argument: '[source]',
    help: "a client's directory of Tardis (Python) 0.33 to 1.9, or a repository of restic (0.17 or later) or Borg, which is recognised; or restic:REPOSITORY or borg:REPOSITORY, also elsewhere. Their own programs read these",
  }),
  importedSets: commonRow('path', '--sets <pattern>', {
    help: 'import what rsync --link-dest, rsnapshot or another tool has kept: each directory or tar file that matches becomes a set of its date (%Y %m %d %H %M %S in the name, otherwise of its modification time); directories need --kept-as',
  }),
  verifySets: commonRow('bool', '--verify', {
    help: 'compare every entry and content of every set with the source, also of those that are there already; exit status 3 if something differs',
  }),
  strict: row('bool', '--strict', {
    help: 'end at the first state that is damaged or lacks something; otherwise it is left out, or what it lacks is named, and the exit status is 3',
  }),
  sourcePasswordFile: commonRow('path', '--source-password-file <path>', {
    help: 'file whose first line is the password of the source (default: that of RESTIC_PASSWORD_FILE, BORG_PASSCOMMAND and the like, otherwise a prompt)',
  }),
  sourceHost: row('text', '--source-host <name>', {
    help: 'import what this machine has saved in a repository of restic or Borg; needed if several have',
  }),
} as const satisfies PartialTable);
