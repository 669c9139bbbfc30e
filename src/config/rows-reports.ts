/** Settings of reports on sets, and of settings that are stored with a client. */
import type { SettingTable } from './row.js';

const FILES = 'sonic files lists what one set has and another lacks, and the reverse';
const KEPT = 'settings of a client are stored, shown and removed, in a store and through a server';

export const REPORT_ROWS = {
  setsToShow: {
    type: 'texts',
    default: [],
    tools: ['sonic info', 'sonic files'],
    argument: '[set...]',
    help: 'numbers or names of backup sets, or ranges (10-20; default: the newest complete set)',
    test: 'sonic info shows all details of sets',
  },
  since: {
    type: 'text',
    tools: ['sonic files'],
    flags: '--since <set>',
    help: 'compare with this set instead of the previous one',
    test: FILES,
  },
  longReport: {
    type: 'bool',
    default: false,
    tools: ['sonic files', 'sonic list'],
    flags: '-l, --long',
    perTool: { 'sonic list': { help: 'also show the roots of each set' } },
    help: 'also show mode, owner and time of each file',
    test: FILES,
  },
  fullPath: {
    type: 'bool',
    default: false,
    tools: ['sonic files'],
    flags: '-f, --fullpath',
    help: 'show the whole path on every line, instead of listing files below the name of their directory',
    test: FILES,
  },
  withDirectories: {
    type: 'bool',
    default: false,
    tools: ['sonic files'],
    flags: '--dirs',
    help: 'also show directories',
    test: FILES,
  },
  exactSizes: {
    type: 'bool',
    default: false,
    tools: ['sonic files'],
    flags: '--bytes',
    help: 'show sizes in bytes',
    test: FILES,
  },
  withChecksums: {
    type: 'bool',
    default: false,
    tools: ['sonic files'],
    flags: '-c, --checksums',
    help: 'show the digest of the contents of each file',
    test: FILES,
  },
  withInodes: {
    type: 'bool',
    default: false,
    tools: ['sonic files'],
    flags: '-i, --inode',
    help: 'show the inode number of each file',
    test: FILES,
  },
  keysToShow: {
    type: 'texts',
    default: [],
    tools: ['sonic getconfig'],
    argument: '[key...]',
    help: 'names of settings (default: all settings that are stored with the client)',
    test: KEPT,
  },
  settingToKeep: {
    type: 'texts',
    default: [],
    tools: ['sonic setconfig'],
    argument: '[word...]',
    shownArguments: { 'sonic setconfig': '<key> [value]' },
    help: 'key of the setting, and its value (none with --remove)',
    test: KEPT,
  },
  removeSetting: {
    type: 'bool',
    default: false,
    tools: ['sonic setconfig'],
    flags: '--remove',
    help: 'remove the key, so that the setting of the server applies again',
    test: KEPT,
  },
} as const satisfies SettingTable;
