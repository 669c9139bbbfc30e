/** Settings of `sonic rekey` and `sonic encrypt`. */
import type { SettingTable, Tool } from './row.js';

const REKEY_TOOLS = ['sonic rekey', 'sonic encrypt'] as const satisfies readonly Tool[];

export const REKEY_ROWS = {
  allSteps: {
    type: 'bool',
    default: false,
    tools: ['sonic encrypt'],
    flags: '--all',
    help: 'all steps, as encryptDB had it: there is no other way, so it may be left out',
    test: 'an unencrypted client is encrypted, and shows and gives back what it did',
  },
  yes: {
    type: 'bool',
    default: false,
    tools: REKEY_TOOLS,
    flags: '--yes',
    help: 'remove the old generation at the end without a question; needed where there is no terminal',
    test: 'the old generation is removed by nobody who was not asked',
  },
  verify: {
    type: 'bool',
    default: true,
    tools: REKEY_TOOLS,
    flags: '--verify',
    negatable: true,
    help: 'read all contents of the new generation before it takes the place of the old one',
    test: 'a new generation is read before the switch, unless that is left out',
  },
  acceptDamage: {
    type: 'bool',
    default: false,
    tools: REKEY_TOOLS,
    flags: '--accept-damage',
    help: 'go on without contents that are damaged or missing already',
    test: 'damaged contents hold a re-key up until they are given up by name',
  },
  abort: {
    type: 'bool',
    default: false,
    tools: REKEY_TOOLS,
    flags: '--abort',
    help: 'remove what an unfinished run has made; the client stays as it is',
    test: 'an unfinished run is given up, and the client is as it was',
  },
} as const satisfies SettingTable;
