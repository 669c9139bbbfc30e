/** Settings of deltas: of large files only what changed is sent and stored. */
import type { SettingTable } from './row.js';

export const DELTA_ROWS = {
  full: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--full',
    negatable: true,
    clientKey: 'Full',
    help: 'make no deltas, and send whole files in place of earlier ones',
    test: 'Full sends whole files, in place of deltas too',
  },
  maxDeltaChain: {
    type: 'int',
    min: 0,
    max: 32,
    default: 5,
    tools: ['tardisd'],
    serverKey: 'MaxDeltaChain',
    help: 'deltas on deltas at most, then the whole file is wanted again; 0: no deltas',
    test: 'MaxDeltaChain ends a chain with a whole file',
  },
  maxChangePercent: {
    type: 'int',
    min: 0,
    max: 100,
    default: 50,
    tools: ['tardisd'],
    serverKey: 'MaxChangePercent',
    help: 'files that grew or shrank by more, or of which more is new, are wanted whole',
    test: 'MaxChangePercent decides which files are wanted whole',
  },
  saveFull: {
    type: 'bool',
    default: false,
    tools: ['tardisd'],
    serverKey: 'SaveFull',
    help: 'want whole files always',
    test: 'SaveFull stores whole files only',
  },
  sendSignatures: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--send-sig',
    clientKey: 'SendSig',
    help: 'make signatures of large files here and store them, so that later deltas begin sooner',
    test: 'SendSig stores the signatures of large files',
  },
} as const satisfies SettingTable;
