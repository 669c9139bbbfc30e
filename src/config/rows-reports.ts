/** Settings of reports on sets, and of settings that are kept with a client. */
import type { SettingTable } from './row.js';

const FILES = 'sonic files tells what a set has that another has not, and the reverse';
const KEPT = 'settings are kept with a client, shown and removed, here and through a server';

export const REPORT_ROWS = {
  setsToShow: {
    type: 'texts',
    default: [],
    tools: ['sonic info', 'sonic files'],
    argument: '[set...]',
    help: 'numbers or names of backup sets, or first-last; without one the newest complete set',
    test: 'sonic info tells all that is known of sets',
  },
  since: {
    type: 'text',
    tools: ['sonic files'],
    flags: '--since <set>',
    help: 'compare with this set, in place of the one before',
    test: FILES,
  },
  longReport: {
    type: 'bool',
    default: false,
    tools: ['sonic files', 'sonic list'],
    flags: '-l, --long',
    help: 'with more columns: of files mode, owner and time, of sets their roots',
    test: FILES,
  },
  fullPath: {
    type: 'bool',
    default: false,
    tools: ['sonic files'],
    flags: '-f, --fullpath',
    help: 'the whole path in every line, not the files of a directory below its name',
    test: FILES,
  },
  withDirectories: {
    type: 'bool',
    default: false,
    tools: ['sonic files'],
    flags: '--dirs',
    help: 'directories too',
    test: FILES,
  },
  exactSizes: {
    type: 'bool',
    default: false,
    tools: ['sonic files'],
    flags: '--bytes',
    help: 'sizes in bytes',
    test: FILES,
  },
  withChecksums: {
    type: 'bool',
    default: false,
    tools: ['sonic files'],
    flags: '-c, --checksums',
    help: 'with the checksum of each content',
    test: FILES,
  },
  withInodes: {
    type: 'bool',
    default: false,
    tools: ['sonic files'],
    flags: '-i, --inode',
    help: 'with the inode of each file',
    test: FILES,
  },
  keysToShow: {
    type: 'texts',
    default: [],
    tools: ['sonic getconfig'],
    argument: '[key...]',
    help: 'keys of settings; without one all that are set',
    test: KEPT,
  },
  settingToKeep: {
    type: 'texts',
    default: [],
    tools: ['sonic setconfig'],
    argument: '[word...]',
    help: 'the key and its value',
    test: KEPT,
  },
  removeSetting: {
    type: 'bool',
    default: false,
    tools: ['sonic setconfig'],
    flags: '--remove',
    help: 'the key is not set any more: what the server is set to holds',
    test: KEPT,
  },
} as const satisfies SettingTable;
