/** Settings of deltas: of large files only what changed is sent and stored. */
import type { SettingTable } from './row.js';

export const DELTA_ROWS = {
  sendSignatures: {
    type: 'bool',
    default: false,
    tools: ['tardis'],
    flags: '--send-sig',
    clientKey: 'SendSig',
    help: 'send signatures of the first versions of large files too',
    test: 'SendSig sends the signature of a first version',
  },
} as const satisfies SettingTable;
