/** Settings of `regenerate`: the paths to restore, the target, and the way to restore them. */
import { forTools, type PartialTable, rowsFor } from './row.js';
import { BACKUPS } from './tools.js';

const ALLOW_UNPROVEN =
  'also read sets that fail the check of their seals, for example after a loss of packs; each entry is then checked on its own';

export const RESTORE_ROWS = rowsFor({ tools: ['regenerate'] }, {
  date: {
    type: 'text',
    tools: ['regenerate', 'lstardis'],
    flags: '-d, --date <when>',
    isCommon: true,
    help: 'read the newest complete set begun at or before this time ("3 days ago", 03/15/2014, yesterday, 3d)',
  },
  last: {
    type: 'bool',
    flags: '-l, --last',
    help: 'restore each path from the newest complete set that has it',
  },
  all: {
    type: 'bool',
    flags: '--all',
    isCommon: true,
    help: 'restore all entries of the set, under their whole paths',
  },
  byChecksum: {
    type: 'bool',
    flags: '-c, --checksum',
    help: 'the arguments are digests of contents, as lstardis -c shows them',
  },
  authenticate: {
    type: 'bool',
    flags: '--authenticate',
    help: 'restore only entries that pass the check of their seals (encrypting clients), and stop at the first that fails',
  },
  allowUnproven: {
    type: 'bool',
    tools: ['regenerate', 'lstardis', 'tardisfs', 'tardis-web'],
    flags: '--allow-unproven',
    perTool: forTools(['regenerate', 'lstardis', 'tardis-web'], {
      help: `${ALLOW_UNPROVEN}; if one fails, the exit status is 3`,
    }),
    help: ALLOW_UNPROVEN,
  },
  include: {
    type: 'paths', // patterns are bytes, like names
    flags: '--include <glob>',
    isCommon: true,
    help: 'restore only what matches, and everything below it; may be repeated',
  },
  leaveOut: {
    type: 'paths',
    flags: '--exclude <glob>',
    help: 'do not restore what matches; may be repeated',
  },
  recurse: {
    type: 'bool',
    default: true,
    flags: '--[no-]recurse',
    help: 'restore directories with their contents',
  },
  output: {
    type: 'path',
    default: '.',
    flags: '-o, --output <dir>',
    isCommon: true,
    help: 'directory to restore into',
  },
  hierarchy: {
    type: 'bool',
    flags: '-H, --hierarchy',
    isCommon: true,
    help: 'restore each path below the output directory under its whole path',
  },
  inPlace: {
    type: 'bool',
    flags: '--in-place',
    isCommon: true,
    help: 'restore each path to where it was, and replace what differs there (as -H -o / -O); with --overwrite newer, older or never, replace less',
  },
  toStdout: {
    type: 'bool',
    flags: '--stdout',
    isCommon: true,
    help: 'write the content of one file to standard output',
  },
  toDevice: {
    type: 'path',
    flags: '--to-device <device>',
    help: 'write the content of one file onto this block device, which must be at least as large and not in use. Needs --overwrite',
  },
  tar: {
    type: 'path',
    flags: '--tar <file>',
    isCommon: true,
    help: 'write a tar archive (pax) instead of restoring files; -: standard output',
  },
  zip: {
    type: 'path',
    flags: '--zip <file>',
    isCommon: true,
    help: 'write a zip archive instead of restoring files; -: standard output',
  },
  overwrite: {
    type: 'choice',
    choices: ['always', 'newer', 'older', 'never'],
    flags: '-O, --overwrite [when]',
    isCommon: true,
    preset: 'always',
    help: 'when to replace existing files that differ: always, never, newer (only if the version in the set is newer than the file) or older. Without this option such files stay, and are reported as errors',
  },
  compareContents: {
    type: 'bool',
    tools: ['regenerate', 'tardiff'],
    flags: '--compare-contents',
    help: 'compare contents of files even if size and times are equal',
  },
  setTimes: {
    type: 'bool',
    default: true,
    flags: '--[no-]set-times',
    help: 'restore times',
  },
  setPermissions: {
    type: 'bool',
    default: true,
    flags: '--[no-]set-perms',
    help: 'restore permissions; otherwise new files get the default permissions',
  },
  setOwner: {
    type: 'bool',
    default: true,
    flags: '--[no-]set-owner',
    help: 'restore owner and group, as far as that is permitted',
  },
  setAttributes: {
    type: 'bool',
    default: true,
    flags: '--[no-]set-attrs',
    help: 'restore extended attributes and ACLs',
  },
  setFlags: {
    type: 'bool',
    default: true,
    flags: '--[no-]set-flags',
    help: 'restore inode flags (chattr) if run as root: immutable, append-only, no dump, …; also switched off by --no-set-attrs',
  },
  hardLinks: {
    type: 'bool',
    default: true,
    flags: '--[no-]hardlinks',
    help: 'restore hard links; otherwise each name becomes a file of its own',
  },
  dryRun: {
    type: 'bool',
    tools: [...BACKUPS, 'regenerate'],
    flags: '-n, --dry-run',
    isCommon: true,
    help: 'only show what would be done',
  },
} as const satisfies PartialTable);

/** Settings of `sonic export`. */
export const EXPORT_ROWS = rowsFor({ tools: ['sonic export'] }, {
  setsToExport: {
    type: 'texts',
    argument: '[set...]',
    help: 'numbers or names of backup sets, or ranges (10-20); without them, all complete sets',
  },
  exportTo: {
    type: 'path',
    flags: '--to <dir>',
    isCommon: true,
    help: 'write each set as a directory of its name in this one; equal files of two sets are hard links',
  },
  exportTar: {
    type: 'bool',
    flags: '--tar',
    isCommon: true,
    help: 'write each set as a tar archive (pax) in the directory of --to',
  },
  exportRestic: {
    type: 'text',
    flags: '--restic <repository>',
    isCommon: true,
    help: 'store each set as a snapshot in this repository, by restic itself, which gets its password as usual (RESTIC_PASSWORD_FILE, …)',
  },
} as const satisfies PartialTable);
