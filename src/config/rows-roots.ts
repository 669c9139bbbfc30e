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
    help: 'do not enter directories this deep, which stay as they were; 0: no limit',
    test: 'directories below the given depth are not entered',
  },
  basePath: {
    type: 'choice',
    choices: ['full', 'common', 'none'],
    default: 'full',
    tools: ['tardis'],
    flags: '--basepath <style>',
    help: 'store directories under their full paths (full), without the start that all paths share (common), or under their last names only (none)',
    test: 'directories are stored under full, shortened or no paths',
  },
  keptAs: {
    type: 'paths',
    default: [],
    tools: ['tardis'],
    flags: '--kept-as <path>',
    clientKey: 'KeptAs',
    help: 'store the directory under this path; given once for each directory, in the same order',
    test: 'directories are stored under the paths given for them',
  },
  trustRoots: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--trust-roots',
    help: 'back up a directory as it is even if it is empty now or on another device than last time; also directories below it on which something was mounted',
    test: 'a root that is suddenly empty keeps its entries unless --trust-roots is given',
  },
} as const satisfies SettingTable;
