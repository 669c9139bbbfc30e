/** Settings of the commands that show and compare sets: listings, differences, reports, the mount and the page. */
import { amount, choice, commonRow, on, type PartialTable, row, rowsFor } from './row.js';

/** Settings of the listings of `lstardis`. */
export const LISTING_ROWS = rowsFor(['lstardis'], 'client', {
  long: commonRow('bool', '-l, --long', {
    help: 'show mode, owner, size and time; in the list of sets, their roots',
  }),
  hidden: on('-a, --[no-]hidden', { help: 'also list names that begin with a dot' }),
  directoryItself: row('bool', '--dirinfo', {
    help: 'list directories themselves, not their contents',
  }),
  recurseListing: commonRow('bool', '--recurse', { help: 'also list subdirectories' }),
  listingDepth: amount('int', '--maxdepth <n>', [0, 0, 1_000_000], {
    help: 'with --recurse: enter at most n levels of directories (1: only the given directories; 0: no limit)',
  }),
  globs: row('bool', '--glob', {
    help: 'paths are patterns (*, ?, [a-z]), matched against the paths in the set',
  }),
  // Patterns are bytes, like names.
  findPattern: commonRow('path', '--find <pattern>', {
    help: 'search all sets for names that match a pattern (*, ?, [a-z]) or contain a word, and list all versions. A pattern with a slash is matched against the end of the path; one that begins with a slash, against the whole path. If paths are given, only these and everything below them are searched',
  }),
  findFirst: row('bool', '--find-first', {
    isUnlisted: true,
    help: 'take the first path as the pattern of --find, as `tardis find` does',
  }),
  sortBy: choice('--sort <by>', ['name', 'time', 'size'], {
    help: 'sort entries by name, time (newest first) or size (largest first)',
  }),
  reverse: row('bool', '-r, --reverse', { help: 'reverse the order, also of versions and sets' }),
  annotate: row('bool', '-f, --annotate', {
    help: 'append a character for the type: / directory, @ link, * executable, | fifo, = socket',
  }),
  showsSize: row('bool', '-s, --size', { help: 'show sizes before the names' }),
  human: row('bool', '-H, --human', { help: 'show sizes with units' }),
  showsDigest: row('bool', '-c, --checksums', { help: 'show the full digests of contents' }),
  showsInode: row('bool', '-i, --inode', { help: 'show inode numbers before the names' }),
  headers: on('--[no-]headers', {
    help: 'show the names of directories and files above their listings, and table headings',
  }),
  color: row('bool', '--[no-]color', {
    default: undefined,
    tools: ['lstardis', 'tardiff'],
    help: 'show colors (default: on a terminal, unless NO_COLOR is set)',
  }),
  colors: row('text', 'TARDIS_LS_COLORS', {
    default: 'header=bold:directory=blue:link=cyan:other=yellow:executable=green:gone=red',
    help: 'colors of lstardis: part=style,style joined by colons (parts: header, directory, link, file, executable, other, gone); other names are colored by LS_COLORS',
  }),
  versions: commonRow('choice', '-V, --versions [which]', {
    choices: ['change', 'checksum', 'all', 'last', 'none', 'day', 'week', 'month', 'year'],
    preset: 'change',
    help: 'list versions: change (one for each change of what a restore writes), checksum (one for each content), all (one for each set), day, week, month, year (the newest of each), last, none (default: change for files, none for directories)',
  }),
  deletions: on('--[no-]deletions', { help: 'show deletions among the versions' }),
  oneline: row('bool', '-O, --oneline', {
    help: 'show all versions of a path on one line: its name, and for each version the sets that have it',
  }),
  setRange: row('text', '--range <first:last>', {
    help: 'list only sets from the first to the last (numbers or names; either may be left out)',
  }),
  dateRange: row('text', '--dates <from..to>', {
    help: 'list only sets begun between two dates ("a week ago..yesterday"; either may be left out)',
  }),
} as const satisfies PartialTable);

/** Settings of the comparison of versions. */
export const COMPARE_ROWS = rowsFor(['tardiff'], 'client', {
  comparedSets: commonRow('texts', '-b, --backup <set>', {
    help: 'compare the version in this set (number or name); given twice, compare the first set with the second',
  }),
  comparedDates: commonRow('texts', '-d, --date <when>', {
    help: 'compare the version in the newest complete set begun at or before this time; may be given twice, or together with -b',
  }),
  unifiedLines: commonRow('int', '-u, --unified [lines]', {
    range: [0, 1_000_000],
    preset: '3',
    isNumberOrNothing: true,
    help: 'show a unified diff (the default format) with this many lines of context (default: 3)',
  }),
  contextLines: row('int', '-c, --context [lines]', {
    range: [0, 1_000_000],
    preset: '3',
    isNumberOrNothing: true,
    help: 'show a context diff with this many lines of context (default: 3)',
  }),
  ndiff: row('bool', '-n, --ndiff', {
    help: 'show all lines, with - and + before those that differ, and ? below them to mark changes within a line',
  }),
  sideBySide: row('bool', '-y, --side-by-side', { help: 'show both versions side by side' }),
  width: row('int', '--width <columns>', {
    range: [20, 1000],
    help: 'columns of a side-by-side diff (default: the width of the terminal, or 130)',
  }),
  listOnly: commonRow('bool', '-l, --list', {
    help: 'only list what differs, without showing lines',
  }),
  recurseInto: on('-r, --[no-]recurse', {
    help: 'compare everything below directories, not only their entries',
  }),
  newFile: row('bool', '-N, --new-file', {
    help: 'also show the lines of files that exist on one side only',
  }),
  metadata: row('bool', '-M, --metadata', {
    help: 'also compare permissions, owners, times and attributes',
  }),
  showsBinary: row('bool', '-B, --[no-]binary', { help: 'also show the lines of binary files' }),
  mostShownBytes: amount('size', '--max-size <size>', [8 << 20, 0, 128 << 20], {
    help: 'do not show the lines of larger files, only report that they differ',
  }),
  reducePath: row('text', '--reduce-path [n]', {
    preset: 'smart',
    isNumberOrNothing: true,
    help: 'strip the first n directories of the path before looking it up in the set; smart: as few as needed to find it',
  }),
} as const satisfies PartialTable);

/** Settings of reports on sets, and of settings that are stored with a client. */
export const REPORT_ROWS = rowsFor(['sonic files'], 'client', {
  setsToShow: row('texts', '', {
    tools: ['sonic info', 'sonic files'],
    argument: '[set...]',
    help: 'numbers or names of backup sets, or ranges (10-20; default: the newest complete set)',
  }),
  since: row('text', '--since <set>', {
    help: 'compare with this set instead of the previous one',
  }),
  longReport: row('bool', '-l, --long', { help: 'also show mode, owner and time of each file' }),
  fullPath: row('bool', '-f, --fullpath', {
    help: 'show the whole path on every line, instead of listing files below the name of their directory',
  }),
  withDirectories: row('bool', '--dirs', { help: 'also show directories' }),
  exactSizes: row('bool', '--bytes', { help: 'show sizes in bytes' }),
  withChecksums: row('bool', '-c, --checksums', {
    help: 'show the digest of the contents of each file',
  }),
  withInodes: row('bool', '-i, --inode', { help: 'show the inode number of each file' }),
  keysToShow: row('texts', '', {
    tools: ['sonic getconfig'],
    argument: '[key...]',
    help: 'names of settings (default: all settings that are stored with the client)',
  }),
  settingToKeep: row('texts', '', {
    tools: ['sonic setconfig'],
    argument: '[word...]',
    shownArguments: { 'sonic setconfig': '<key> [value]' },
    help: 'key of the setting, and its value (none with --remove)',
  }),
  removeSetting: row('bool', '--remove', {
    tools: ['sonic setconfig'],
    help: 'remove the key, so that the setting of the server applies again',
  }),
} as const satisfies PartialTable);

/** Settings of `tardisfs`, which mounts a client's sets. */
export const MOUNT_ROWS = rowsFor(['tardisfs'], 'client', {
  mountPaths: row('paths', '', {
    argument: '[path...]',
    shownArguments: { tardisfs: '[source] <mountpoint>' },
    help: 'mount point; if there are two paths, the first is the source, as in /etc/fstab',
  }),
  mountOptions: row('texts', '-o, --options <name[=value],...>', {
    help: 'options, separated by commas: the names of the long options, and those of mount(8)',
  }),
  foreground: commonRow('bool', '-f, --foreground', {
    help: 'stay in the foreground, with the log on standard error',
  }),
  allowOther: commonRow('bool', '--allow-other', {
    help: 'allow access by all users; the permissions of each entry then apply to them',
  }),
  defaultPermissions: row('bool', '--default-permissions', {
    help: 'let the kernel check the permissions of each entry (always with --allow-other)',
  }),
  noExec: row('bool', '--noexec', { help: 'do not allow programs in the sets to run' }),
} as const satisfies PartialTable);

/** Settings of `tardis-web`, the user's own page. */
export const WEB_ROWS = rowsFor(['tardis-web'], 'client', {
  webPort: amount('int', ['--web-port <n>', 'TARDIS_WEB_PORT'], [0, 0, 65_535], {
    defaultText: 'the one of the last start',
    help: 'port of the page',
  }),
  webListen: row('text', ['--listen <ip>', 'TARDIS_WEB_LISTEN'], {
    defaultText: '127.0.0.1, for this machine only',
    help: 'let other machines reach the page at this address (0.0.0.0: at all), over TLS and after they have signed in',
  }),
  makesSignInCode: row('bool', '--sign-in', {
    help: 'print a code that signs one browser in to this page, within ten minutes, and end',
  }),
  openBrowser: commonRow('bool', '--[no-]browser', {
    default: true,
    help: 'open the page in the browser (xdg-open); its address is printed in any case',
  }),
  idleEnd: amount('seconds', '--idle-end <seconds>', [3600, 0, 31_536_000], {
    variable: 'TARDIS_WEB_IDLE_END',
    help: 'seconds without a request after which the program ends; 0: never',
  }),
} as const satisfies PartialTable);
