/** Settings of the walk, and of the paths under which directories are stored. */
import type { SettingTable } from './row.js';

export const ROOT_ROWS = {
  crossDevice: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--crossdevice',
    negatable: true,
    help: 'enter other file systems below the directories',
    test: 'other file systems are entered only with --crossdevice',
  },
  maxDepth: {
    type: 'int',
    min: 0,
    max: 1_000_000,
    default: 0,
    tools: ['tardis'],
    flags: '--maxdepth <n>',
    help: 'enter at most n levels of directories (1: only the given directories; 0: no limit); deeper entries are kept as in the last set',
    test: 'directories below the given depth are not entered',
  },
  basePath: {
    type: 'choice',
    choices: ['full', 'common', 'none'],
    default: 'full',
    tools: ['tardis'],
    flags: '--basepath <style>',
    help: 'store directories under their full paths (full), without the part that all paths begin with (common), or under their last names only (none)',
    test: 'directories are stored under full, shortened or no paths',
  },
  keptAs: {
    type: 'paths',
    default: [],
    tools: ['tardis'],
    flags: '--kept-as <path>',
    clientKey: 'KeptAs',
    help: 'path under which a directory is stored; give it once for each directory, in the order of the directories',
    test: 'directories are stored under the paths given for them',
  },
  trustRoots: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--trust-roots',
    help: 'back up directories, and mount points below them, even if they are now empty or on another device than before',
    test: 'a root that is suddenly empty keeps its entries unless --trust-roots is given',
  },
} as const satisfies SettingTable;
