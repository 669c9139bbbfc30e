/** The history of a client for the token of another program. Sealed data stays sealed: this program has no keys. */
import type { ClientOverview, History } from '../index.js';
import { type RightName, RIGHTS } from '../../model/index.js';
import type { System } from '../../system/index.js';
import { historyOf } from './remote-history.js';
import { RemotePeer, type TokenPlace } from './remote-peer.js';

export interface TokenHistory {
  readonly history: History;
  /** The rights that the server grants; it checks each question itself. */
  readonly rights: ReadonlySet<RightName>;
  /** True if names and contents are encrypted. */
  readonly isSealed: boolean;
  /** Returns the clients of the owner. Throws NOT_PERMITTED without the right `admin`. */
  clients(): Promise<readonly ClientOverview[]>;
}

/**
 * Logs in to a server by a token, once: after a lost connection every call fails. Throws NOT_PERMITTED without the
 * right to list, and the errors of `RemotePeer.openByToken`.
 */
export async function openHistoryByToken(
  system: System,
  place: TokenPlace,
  client: string,
  token: string,
): Promise<TokenHistory> {
  const { peer, taken } = await RemotePeer.openByToken(system, place, token);
  return {
    history: historyOf(system, client, peer, undefined),
    rights: new Set(RIGHTS.filter((right) => taken.rights.includes(right))),
    isSealed: taken.isSealed,
    clients: () => peer.request('readClients', undefined),
  };
}
