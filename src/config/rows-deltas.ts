/** Settings of deltas, which send and store only the changed parts of large files. */
import type { SettingTable } from './row.js';

export const DELTA_ROWS = {
  full: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--full',
    negatable: true,
    clientKey: 'Full',
    help: 'send changed files whole, never as deltas; also replace contents that are stored as deltas',
    test: 'Full sends whole files instead of deltas',
  },
  maxDeltaChain: {
    type: 'int',
    min: 0,
    max: 32,
    default: 5,
    tools: ['tardisd'],
    serverKey: 'MaxDeltaChain',
    help: 'maximum number of deltas that build on each other; after that the whole file is requested again; 0: no deltas',
    test: 'MaxDeltaChain ends a chain with a whole file',
  },
  maxChangePercent: {
    type: 'int',
    min: 0,
    max: 100,
    default: 50,
    tools: ['tardisd'],
    serverKey: 'MaxChangePercent',
    help: 'request the whole file if it grew or shrank by more than this percentage, or if more than this percentage of it is new',
    test: 'MaxChangePercent decides which files are requested in full',
  },
  saveFull: {
    type: 'bool',
    default: false,
    tools: ['tardisd'],
    serverKey: 'SaveFull',
    help: 'always request whole files',
    test: 'SaveFull stores whole files only',
  },
  sendSignatures: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--send-sig',
    clientKey: 'SendSig',
    help: 'compute signatures of large files here and store them, so that later deltas start sooner',
    test: 'SendSig stores the signatures of large files',
  },
} as const satisfies SettingTable;
