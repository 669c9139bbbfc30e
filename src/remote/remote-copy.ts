/** A client on a server as the source of a copy. */
import type { History } from '../history/index.js';
import { parseKeyRecord } from '../crypto/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import type { CopyFeed, CopyOffer } from '../maintenance/rewrite/index.js';
import type { System } from '../system/index.js';
import { Backoff, NO_PATIENCE } from '../transport/index.js';
import { historyOf } from './remote-history.js';
import { RemotePeer, type RemotePlace } from './remote-peer.js';

interface RemoteCopy {
  readonly feed: CopyFeed;
  /** The history of the same session. Closing it closes the session. */
  readonly history: History;
}

/**
 * Logs in and opens a client for copying. Throws errors of the connection and the login, such as SERVER_UNREACHABLE or
 * LOGIN_FAILED. Throws NOT_PERMITTED for an account of a client that encrypts: the copy gets the client's own key
 * record, which only its owner may have.
 */
export async function openRemoteCopy(system: System, place: RemotePlace): Promise<RemoteCopy> {
  const { peer, keyring, record } = await RemotePeer.open(system, place);
  const history = historyOf(system, place.client, peer, keyring);
  try {
    const feed: CopyFeed = {
      keys: keysOf(record, place.credentials?.account),
      open: (known) => offerOf(system, peer, place, known),
      piece: (offer, index) => peer.request('readCatalog', { offer, piece: index }),
      objects: history.objects(),
    };
    return { feed, history };
  } catch (error) {
    history.close();
    throw error;
  }
}

/** Requests a snapshot. If the server is busy, requests it again until the retry time is over. */
async function offerOf(
  system: System,
  peer: RemotePeer,
  place: RemotePlace,
  known = '',
): Promise<CopyOffer> {
  const backoff = new Backoff(system, place.patience ?? NO_PATIENCE, undefined);
  for (;;) {
    try {
      return await peer.request('openCopy', { known });
    } catch (error) {
      if (asTardisError(error).code !== 'CLIENT_BUSY') throw error;
      await backoff.wait(error, (retry) => place.onRetry?.(retry));
    }
  }
}

/**
 * Returns the key record for the copy. Returns undefined if the client has none, and for an account of a client that
 * does not encrypt. Throws NOT_PERMITTED for an account of a client that encrypts.
 */
function keysOf(record: Buffer, account: string | undefined): Buffer | undefined {
  if (record.length === 0) return undefined;
  if (account === undefined) return record;
  if (!parseKeyRecord(record).isEncrypting) return undefined;
  const what = `the account "${account}" has no key record for a copy of a client that encrypts`;
  throw new TardisError('NOT_PERMITTED', `${what}: log in with the client's own password`);
}
