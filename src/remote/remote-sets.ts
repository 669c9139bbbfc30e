/** The backup sets of a client at a server, for who has the right to change them. */
import {
  type Archive,
  setChangeToWire,
  type Verdicts,
  verdictsFromWire,
} from '../archive/index.js';
import type { Keyring } from '../crypto/index.js';
import type { SetChange } from '../model/index.js';
import type { System } from '../system/index.js';
import { archiveOf } from './remote-archive.js';
import { RemotePeer, type RemotePlace } from './remote-peer.js';

export interface RemoteSets {
  /** Closing it ends the session. */
  readonly archive: Archive;
  readonly keyring: Keyring | undefined;
  /** Throws NOT_PERMITTED, NO_SUCH_SET, SET_IS_NEWEST, SET_LOCKED, CLIENT_BUSY, CONNECTION_LOST. */
  drop(sets: readonly number[]): Promise<void>;
  /** By the server's rules, or only what would go by them. Throws NOT_PERMITTED, CLIENT_BUSY, CONNECTION_LOST. */
  purge(isPreview: boolean): Promise<Verdicts>;
  /** A title is given as it is to be stored. Throws NOT_PERMITTED, NO_SUCH_SET, MARKS_INVALID, CLIENT_BUSY, CONNECTION_LOST. */
  mark(sets: readonly number[], wish: SetChange): Promise<void>;
  /** `value` undefined: it is not set any more. Throws NOT_PERMITTED, CONFIG_INVALID, CLIENT_BUSY, CONNECTION_LOST. */
  changeSetting(key: string, value: string | undefined): Promise<void>;
}

/** Throws LOGIN_FAILED, NO_SUCH_CLIENT, SERVER_UNREACHABLE, … */
export async function openRemoteSets(system: System, place: RemotePlace): Promise<RemoteSets> {
  const { peer, keyring } = await RemotePeer.open(system, place);
  return {
    archive: archiveOf(system, place.client, peer, keyring),
    keyring,
    drop: async (sets) => {
      await peer.ask('dropSets', 'setsDropped', { sets: [...sets] });
    },
    purge: async (preview) => {
      const { head } = await peer.ask('purgeSets', 'setsPurged', { preview });
      return verdictsFromWire(head);
    },
    mark: async (sets, wish) => {
      await peer.ask('markSets', 'setsMarked', { sets: [...sets], ...setChangeToWire(wish) });
    },
    changeSetting: async (key, value) => {
      const change = { key, value: value ?? '', isSet: value !== undefined };
      await peer.ask('changeSetting', 'settingChanged', change);
    },
  };
}
