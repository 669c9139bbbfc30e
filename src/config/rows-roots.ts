/** Settings of what is walked, and under which paths it is kept. */
import type { SettingTable } from './row.js';

export const ROOT_ROWS = {
  crossDevice: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--crossdevice',
    negatable: true,
    help: 'enter other file systems below the directories',
    test: 'other file systems are entered if that is asked for',
  },
  maxDepth: {
    type: 'int',
    min: 0,
    max: 1_000_000,
    default: 0,
    tools: ['tardis'],
    flags: '--maxdepth <n>',
    help: 'directories this deep are not entered, and stay as they were; 0: no limit',
    test: 'directories below the depth that is asked for are not entered',
  },
  basePath: {
    type: 'choice',
    choices: ['full', 'common', 'none'],
    default: 'full',
    tools: ['tardis'],
    flags: '--basepath <style>',
    help: 'keep directories under their full paths, those from what they have in common, or their names',
    test: 'directories are kept under full, shortened or no paths',
  },
  keptAs: {
    type: 'paths',
    default: [],
    tools: ['tardis'],
    flags: '--kept-as <path>',
    clientKey: 'KeptAs',
    help: 'keep the directory under this path; given for each one, in their order',
    test: 'directories are kept under the paths that are given for them',
  },
  trustRoots: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--trust-roots',
    help: 'take a directory as it is that is empty now, or on another device than last time',
    test: 'a root that is suddenly empty is left as it was unless that is meant',
  },
} as const satisfies SettingTable;
