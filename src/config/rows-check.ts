/** Settings of `sonic check`, and of catalogs that are made anew. */
import type { SettingTable } from './row.js';

export const CHECK_ROWS = {
  readData: {
    type: 'text',
    tools: ['sonic check'],
    flags: '--read-data [what]',
    preset: 'all',
    help: 'read what is stored, too: all, the n-th of t parts (n/t), a share (5%) or an amount (10G) of what was not read for longest',
    test: 'a check reads parts, shares and amounts, and goes round the store',
  },
  readDataAgeDays: {
    type: 'int',
    min: 0,
    max: 36_500,
    default: 0,
    tools: ['sonic check'],
    flags: '--read-data-age <days>',
    help: 'leave out what was read, and right, less than so many days ago; 0: nothing is left out',
    test: 'what was read a short time ago is left out if that is wanted',
  },
  mark: {
    type: 'bool',
    default: true,
    tools: ['sonic check'],
    flags: '--mark',
    negatable: true,
    help: 'note in the store what is damaged, so that the next backup sends it again',
    test: 'damage that a check has marked is healed by the next backup',
  },
  fromBackup: {
    type: 'bool',
    default: false,
    tools: ['sonic rebuild'],
    flags: '--from-backup',
    help: 'begin with the newest copy of the catalog (DBBackups) and read only what came after it; without a usable one all is read',
    test: 'a catalog is made anew from its newest copy, and from older ones if that is no good',
  },
  dbBackups: {
    type: 'int',
    min: 0,
    max: 1000,
    default: 5,
    tools: ['tardisd'],
    serverKey: 'DBBackups',
    help: 'compressed copies of each catalog that are kept beside it, one made after each set that changed something; 0: none',
    test: 'DBBackups is the number of copies of a catalog that are kept',
  },
} as const satisfies SettingTable;
