/** Settings of `regenerate`: the paths to restore, the target, and the way to restore them. */
import { commonRow, forTools, on, type PartialTable, row, rowsFor } from './row.js';
import { BACKUPS } from './tools.js';

const ALLOW_UNPROVEN =
  'also read sets that fail the check of their seals, for example after a loss of packs; each entry is then checked on its own';

export const RESTORE_ROWS = rowsFor(['regenerate'], 'client', {
  date: commonRow('text', '-d, --date <when>', {
    tools: ['regenerate', 'lstardis'],
    help: 'read the newest complete set begun at or before this time ("3 days ago", 03/15/2014, yesterday, 3d)',
  }),
  last: row('bool', '-l, --last', {
    help: 'restore each path from the newest complete set that has it; with --all also each configured root that the newest set lacks (without a configuration, each root of any set)',
  }),
  all: commonRow('bool', '--all', {
    help: 'restore all entries of the set, under their whole paths',
  }),
  byChecksum: row('bool', '-c, --checksum', {
    help: 'the arguments are digests of contents, as lstardis -c shows them',
  }),
  authenticate: row('bool', '--authenticate', {
    help: 'restore only entries that pass the check of their seals (encrypting clients), and stop at the first that fails',
  }),
  allowUnproven: row('bool', '--allow-unproven', {
    tools: ['regenerate', 'lstardis', 'tardisfs', 'tardis-web'],
    perTool: forTools(
      ['regenerate', 'lstardis', 'tardis-web'],
      `${ALLOW_UNPROVEN}; if one fails, the exit status is 3`,
    ),
    help: ALLOW_UNPROVEN,
  }),
  // Patterns are bytes, like names.
  include: commonRow('paths', '--include <glob>', {
    help: 'restore only what matches, and everything below it; may be repeated',
  }),
  leaveOut: row('paths', '--exclude <glob>', {
    help: 'do not restore what matches; may be repeated',
  }),
  recurse: on('--[no-]recurse', { help: 'restore directories with their contents' }),
  output: commonRow('path', '-o, --output <dir>', {
    default: '.',
    help: 'directory to restore into',
  }),
  hierarchy: commonRow('bool', '-H, --hierarchy', {
    help: 'restore each path below the output directory under its whole path',
  }),
  inPlace: commonRow('bool', '--in-place', {
    help: 'restore each path to where it was, and replace what differs there (as -H -o / -O); with --overwrite newer, older or never, replace less',
  }),
  toStdout: commonRow('bool', '--stdout', {
    help: 'write the content of one file to standard output',
  }),
  toDevice: row('path', '--to-device <device>', {
    help: 'write the content of one file onto this block device, which must be at least as large and not in use. Needs --overwrite',
  }),
  tar: commonRow('path', '--tar <file>', {
    help: 'write a tar archive (pax) instead of restoring files; -: standard output',
  }),
  zip: commonRow('path', '--zip <file>', {
    help: 'write a zip archive instead of restoring files; -: standard output',
  }),
  overwrite: commonRow('choice', '-O, --overwrite [when]', {
    choices: ['always', 'newer', 'older', 'never'],
    preset: 'always',
    help: 'when to replace existing files that differ: always, never, newer (only if the version in the set is newer than the file) or older. Without this option such files stay, and are reported as errors',
  }),
  compareContents: row('bool', '--compare-contents', {
    tools: ['regenerate', 'tardiff'],
    help: 'compare contents of files even if size and times are equal',
  }),
  setTimes: on('--[no-]set-times', { help: 'restore times' }),
  setPermissions: on('--[no-]set-perms', {
    help: 'restore permissions; otherwise new files get the default permissions',
  }),
  setOwner: on('--[no-]set-owner', {
    help: 'restore owner and group, as far as that is permitted',
  }),
  setAttributes: on('--[no-]set-attrs', { help: 'restore extended attributes and ACLs' }),
  setFlags: on('--[no-]set-flags', {
    help: 'restore inode flags (chattr) if run as root: immutable, append-only, no dump, …; also switched off by --no-set-attrs',
  }),
  hardLinks: on('--[no-]hardlinks', {
    help: 'restore hard links; otherwise each name becomes a file of its own',
  }),
  dryRun: commonRow('bool', '-n, --dry-run', {
    tools: [...BACKUPS, 'regenerate'],
    help: 'only show what would be done',
  }),
} as const satisfies PartialTable);

/** Settings of `sonic export`. */
export const EXPORT_ROWS = rowsFor(['sonic export'], 'client', {
  setsToExport: row('texts', '', {
    argument: '[set...]',
    help: 'numbers or names of backup sets, or ranges (10-20); without them, all complete sets',
  }),
  exportTo: commonRow('path', '--to <dir>', {
    help: 'write each set as a directory of its name in this one; equal files of two sets are hard links',
  }),
  exportTar: commonRow('bool', '--tar', {
    help: 'write each set as a tar archive (pax) in the directory of --to',
  }),
  exportRestic: commonRow('text', '--restic <repository>', {
    help: 'store each set as a snapshot in this repository, by restic itself, which gets its password as usual (RESTIC_PASSWORD_FILE, …)',
  }),
} as const satisfies PartialTable);
