/** Settings of the commands that show and compare sets: listings, differences, reports, the mount and the page. */
import { type PartialTable, rowsFor } from './row.js';

/** Settings of the listings of `lstardis`. */
export const LISTING_ROWS = rowsFor({ tools: ['lstardis'] }, {
  long: {
    type: 'bool',
    flags: '-l, --long',
    isCommon: true,
    help: 'show mode, owner, size and time',
  },
  hidden: {
    type: 'bool',
    default: true,
    flags: '-a, --[no-]hidden',
    help: 'also list names that begin with a dot',
  },
  directoryItself: {
    type: 'bool',
    flags: '--dirinfo',
    help: 'list directories themselves, not their contents',
  },
  recurseListing: {
    type: 'bool',
    flags: '--recurse',
    isCommon: true,
    help: 'also list subdirectories',
  },
  listingDepth: {
    type: 'int',
    range: [0, 1_000_000],
    default: 0,
    flags: '--maxdepth <n>',
    help: 'with --recurse: enter at most n levels of directories (1: only the given directories; 0: no limit)',
  },
  globs: {
    type: 'bool',
    flags: '--glob',
    help: 'paths are patterns (*, ?, [a-z]), matched against the paths in the set',
  },
  findPattern: {
    type: 'path', // patterns are bytes, like names
    flags: '--find <pattern>',
    isCommon: true,
    help: 'search all sets for names that match a pattern (*, ?, [a-z]) or contain a word, and list all versions. A pattern with a slash is matched against the end of the path; one that begins with a slash, against the whole path. If paths are given, only these and everything below them are searched',
  },
  findFirst: {
    type: 'bool',
    flags: '--find-first',
    isUnlisted: true,
    help: 'take the first path as the pattern of --find, as `tardis find` does',
  },
  sortBy: {
    type: 'choice',
    choices: ['name', 'time', 'size'],
    default: 'name',
    flags: '--sort <by>',
    help: 'sort entries by name, time (newest first) or size (largest first)',
  },
  reverse: {
    type: 'bool',
    flags: '-r, --reverse',
    help: 'reverse the order, also of versions and sets',
  },
  annotate: {
    type: 'bool',
    flags: '-f, --annotate',
    help: 'append a character for the type: / directory, @ link, * executable, | fifo, = socket',
  },
  showsSize: {
    type: 'bool',
    flags: '-s, --size',
    help: 'show sizes before the names',
  },
  human: {
    type: 'bool',
    flags: '-H, --human',
    help: 'show sizes with units',
  },
  showsDigest: {
    type: 'bool',
    flags: '-c, --checksums',
    help: 'show the full digests of contents',
  },
  showsInode: {
    type: 'bool',
    flags: '-i, --inode',
    help: 'show inode numbers before the names',
  },
  headers: {
    type: 'bool',
    default: true,
    flags: '--[no-]headers',
    help: 'show the names of directories and files above their listings, and table headings',
  },
  color: {
    type: 'bool',
    default: undefined,
    tools: ['lstardis', 'tardiff'],
    flags: '--[no-]color',
    help: 'show colors (default: on a terminal, unless NO_COLOR is set)',
  },
  colors: {
    type: 'text',
    default: 'header=bold:directory=blue:link=cyan:other=yellow:executable=green:gone=red',
    variable: 'TARDIS_LS_COLORS',
    help: 'colors of lstardis: part=style,style joined by colons (parts: header, directory, link, file, executable, other, gone); other names are colored by LS_COLORS',
  },
  versions: {
    type: 'choice',
    choices: ['change', 'checksum', 'all', 'last', 'none', 'day', 'week', 'month', 'year'],
    flags: '-V, --versions [which]',
    isCommon: true,
    preset: 'change',
    help: 'list versions: change (one for each change of what a restore writes), checksum (one for each content), all (one for each set), day, week, month, year (the newest of each), last, none (default: change for files, none for directories)',
  },
  deletions: {
    type: 'bool',
    default: true,
    flags: '--[no-]deletions',
    help: 'show deletions among the versions',
  },
  oneline: {
    type: 'bool',
    flags: '-O, --oneline',
    help: 'show all versions of a path on one line: its name, and for each version the sets that have it',
  },
  setRange: {
    type: 'text',
    flags: '--range <first:last>',
    help: 'list only sets from the first to the last (numbers or names; either may be left out)',
  },
  dateRange: {
    type: 'text',
    flags: '--dates <from..to>',
    help: 'list only sets begun between two dates ("a week ago..yesterday"; either may be left out)',
  },
} as const satisfies PartialTable);

/** Settings of the commands that compare versions: `tardiff` and `sonic diff`. */
export const COMPARE_ROWS = rowsFor({ tools: ['tardiff'] }, {
  comparedSets: {
    type: 'texts',
    flags: '-b, --backup <set>',
    isCommon: true,
    help: 'compare the version in this set (number or name); given twice, compare the first set with the second',
  },
  comparedDates: {
    type: 'texts',
    flags: '-d, --date <when>',
    isCommon: true,
    help: 'compare the version in the newest complete set begun at or before this time; may be given twice, or together with -b',
  },
  compared: {
    type: 'paths',
    tools: ['sonic diff'],
    argument: '[word...]',
    shownArguments: { 'sonic diff': '<set> <set> [path...]' },
    help: 'two backup sets (numbers, names, or dates such as "3 days ago"), then paths to compare (default: all)',
  },
  unifiedLines: {
    type: 'int',
    range: [0, 1_000_000],
    flags: '-u, --unified [lines]',
    isCommon: true,
    preset: '3',
    isNumberOrNothing: true,
    help: 'show a unified diff (the default format) with this many lines of context (default: 3)',
  },
  contextLines: {
    type: 'int',
    range: [0, 1_000_000],
    flags: '-c, --context [lines]',
    preset: '3',
    isNumberOrNothing: true,
    help: 'show a context diff with this many lines of context (default: 3)',
  },
  ndiff: {
    type: 'bool',
    flags: '-n, --ndiff',
    help: 'show all lines, with - and + before those that differ, and ? below them to mark changes within a line',
  },
  sideBySide: {
    type: 'bool',
    flags: '-y, --side-by-side',
    help: 'show both versions side by side',
  },
  width: {
    type: 'int',
    range: [20, 1000],
    flags: '--width <columns>',
    help: 'columns of a side-by-side diff (default: the width of the terminal, or 130)',
  },
  listOnly: {
    type: 'bool',
    flags: '-l, --list',
    isCommon: true,
    help: 'only list what differs, without showing lines',
  },
  recurseInto: {
    type: 'bool',
    flags: '-r, --[no-]recurse',
    help: 'also compare subdirectories',
  },
  newFile: {
    type: 'bool',
    flags: '-N, --new-file',
    help: 'also show the lines of files that exist on one side only',
  },
  metadata: {
    type: 'bool',
    tools: ['tardiff', 'sonic diff'],
    flags: '-M, --metadata',
    help: 'also compare permissions, owners, times and attributes',
  },
  showsBinary: {
    type: 'bool',
    flags: '-B, --[no-]binary',
    help: 'also show the lines of binary files',
  },
  mostShownBytes: {
    type: 'size',
    range: [0, 128 << 20],
    default: 8 << 20,
    flags: '--max-size <size>',
    help: 'do not show the lines of larger files, only report that they differ',
  },
  reducePath: {
    type: 'text',
    flags: '--reduce-path [n]',
    preset: 'smart',
    isNumberOrNothing: true,
    help: 'strip the first n directories of the path before looking it up in the set; smart: as few as needed to find it',
  },
} as const satisfies PartialTable);

/** Settings of reports on sets, and of settings that are stored with a client. */
export const REPORT_ROWS = rowsFor({ tools: ['sonic files'] }, {
  setsToShow: {
    type: 'texts',
    tools: ['sonic info', 'sonic files'],
    argument: '[set...]',
    help: 'numbers or names of backup sets, or ranges (10-20; default: the newest complete set)',
  },
  since: {
    type: 'text',
    flags: '--since <set>',
    help: 'compare with this set instead of the previous one',
  },
  longReport: {
    type: 'bool',
    tools: ['sonic files', 'sonic list'],
    flags: '-l, --long',
    perTool: { 'sonic list': { help: 'also show the roots of each set' } },
    help: 'also show mode, owner and time of each file',
  },
  fullPath: {
    type: 'bool',
    flags: '-f, --fullpath',
    help: 'show the whole path on every line, instead of listing files below the name of their directory',
  },
  withDirectories: {
    type: 'bool',
    flags: '--dirs',
    help: 'also show directories',
  },
  exactSizes: {
    type: 'bool',
    flags: '--bytes',
    help: 'show sizes in bytes',
  },
  withChecksums: {
    type: 'bool',
    flags: '-c, --checksums',
    help: 'show the digest of the contents of each file',
  },
  withInodes: {
    type: 'bool',
    flags: '-i, --inode',
    help: 'show the inode number of each file',
  },
  keysToShow: {
    type: 'texts',
    tools: ['sonic getconfig'],
    argument: '[key...]',
    help: 'names of settings (default: all settings that are stored with the client)',
  },
  settingToKeep: {
    type: 'texts',
    tools: ['sonic setconfig'],
    argument: '[word...]',
    shownArguments: { 'sonic setconfig': '<key> [value]' },
    help: 'key of the setting, and its value (none with --remove)',
  },
  removeSetting: {
    type: 'bool',
    tools: ['sonic setconfig'],
    flags: '--remove',
    help: 'remove the key, so that the setting of the server applies again',
  },
} as const satisfies PartialTable);

/** Settings of `tardisfs`, which mounts a client's sets. */
export const MOUNT_ROWS = rowsFor({ tools: ['tardisfs'] }, {
  mountPaths: {
    type: 'paths',
    argument: '[path...]',
    shownArguments: { tardisfs: '[source] <mountpoint>' },
    help: 'mount point; if there are two paths, the first is the source, as in /etc/fstab',
  },
  mountOptions: {
    type: 'texts',
    flags: '-o, --options <name[=value],...>',
    help: 'options, separated by commas: the names of the long options, and those of mount(8)',
  },
  foreground: {
    type: 'bool',
    flags: '-f, --foreground',
    isCommon: true,
    help: 'stay in the foreground, with the log on standard error',
  },
  allowOther: {
    type: 'bool',
    flags: '--allow-other',
    isCommon: true,
    help: 'allow access by all users; the permissions of each entry then apply to them',
  },
  defaultPermissions: {
    type: 'bool',
    flags: '--default-permissions',
    help: 'let the kernel check the permissions of each entry (always with --allow-other)',
  },
  noExec: {
    type: 'bool',
    flags: '--noexec',
    help: 'do not allow programs in the sets to run',
  },
} as const satisfies PartialTable);

/** Settings of `tardis-web`, the user's own page. */
export const WEB_ROWS = rowsFor({ tools: ['tardis-web'] }, {
  webPort: {
    type: 'int',
    range: [0, 65_535],
    default: 0,
    flags: '--web-port <n>',
    variable: 'TARDIS_WEB_PORT',
    defaultText: 'the one of the last start',
    help: 'port of the page',
  },
  webListen: {
    type: 'text',
    defaultText: '127.0.0.1, for this machine only',
    flags: '--listen <ip>',
    variable: 'TARDIS_WEB_LISTEN',
    help: 'let other machines reach the page at this address (0.0.0.0: at all), over TLS and after they have signed in',
  },
  makesSignInCode: {
    type: 'bool',
    flags: '--sign-in',
    help: 'print a code that signs one browser in to this page, within ten minutes, and end',
  },
  openBrowser: {
    type: 'bool',
    default: true,
    flags: '--[no-]browser',
    isCommon: true,
    help: 'open the page in the browser (xdg-open); its address is printed in any case',
  },
  idleEnd: {
    type: 'seconds',
    range: [0, 31_536_000],
    default: 3600,
    flags: '--idle-end <seconds>',
    variable: 'TARDIS_WEB_IDLE_END',
    help: 'seconds without a request after which the program ends; 0: never',
  },
} as const satisfies PartialTable);
