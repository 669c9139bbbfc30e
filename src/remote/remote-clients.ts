/** Lists the clients that an account of a server may see. */
import type { ClientOverview } from '../history/index.js';
import type { System } from '../system/index.js';
import { RemotePeer, type RemotePlace } from './remote-peer.js';

/**
 * Logs in, requests the clients and ends the session. Throws NOT_PERMITTED without the right `admin`, and the errors of
 * connecting and of the login.
 */
export async function remoteClients(
  system: System,
  place: RemotePlace,
): Promise<readonly ClientOverview[]> {
  using peer = (await RemotePeer.open(system, place)).peer;
  return await peer.request('readClients', undefined);
}
