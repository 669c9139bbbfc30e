/** Errors of stores that several servers or machines use. */
import { row } from './error-row.js';

export const SHARED_ERRORS = {
  STORE_TAKEN: row(
    'busy',
    11,
    'Run the command again: another process has written to the client in the meantime, so no later data of this run was stored.',
  ),
  STORE_FORKED: row(
    'damage',
    1,
    'If the bucket keeps versions, bring back what was deleted or replaced: sonic bucket --recover. Otherwise run `sonic rebuild`, which uses what this machine still knows; with --packs-only it goes on with the present contents of the bucket (docs/buckets.md).',
  ),
  ACCOUNTS_DAMAGED: row(
    'damage',
    1,
    'Bring back the object that the message names (sonic bucket --recover). If that is impossible, delete it: then the list before it counts, and accounts and rights that were removed since then come back. If lists were lost that this machine knows, delete the cache (docs/buckets.md, "Accounts").',
  ),
  CLIENT_MOVED: row(
    'busy',
    11,
    'Run the command again: another machine has rewritten the client (sonic rekey, encrypt or forget-path), and the next run uses its new generation.',
  ),
  CLIENT_ELSEWHERE: row(
    'busy',
    11,
    'Wait until the other server has finished with this client, or name that server (--server).',
  ),
  STORE_AWAY: row(
    'environment',
    1,
    'Run again later: the server cannot use its store now. The log of the server has the reason.',
  ),
} as const;
