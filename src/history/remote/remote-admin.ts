/** Changes of a client on a server, for accounts with the rights to make them. */
import {
  forgetReportFromWire,
  forgetsFromWire,
  setChangeToWire,
  verdictsFromWire,
} from '../index.js';
import { type Admin, sealedAdmin } from '../../maintenance/admin/index.js';
import type { System } from '../../system/index.js';
import { historyOf } from './remote-history.js';
import { RemotePeer, type RemotePlace } from './remote-peer.js';

/** An `Admin` of a client on a server, which also does long work. */
export type RemoteAdmin = Admin & { readonly far: NonNullable<Admin['far']> };

/** Logs in and opens a client for changes. Throws LOGIN_FAILED, NO_SUCH_CLIENT, SERVER_UNREACHABLE, … */
export async function openRemoteAdmin(system: System, place: RemotePlace): Promise<RemoteAdmin> {
  const { peer, keyring } = await RemotePeer.open(system, place);
  const history = historyOf(system, place.client, peer, keyring);
  const far: RemoteAdmin['far'] = {
    history,
    // The code that decodes findings is loaded only if a check is requested.
    check: async (wish, hooks) => (await import('./remote-work.js')).checkThere(peer, wish, hooks),
    free: async (hooks) => (await import('./remote-work.js')).freeThere(peer, hooks),
  };
  const drop = async (sets: readonly number[], preview: boolean): Promise<void> => {
    await peer.ask('dropSets', 'setsDropped', { sets: [...sets], preview });
  };
  const admin: RemoteAdmin = {
    keyring,
    far,
    sets: () => history.sets(),
    drop: (sets) => drop(sets, false),
    previewDrop: (sets) => drop(sets, true),
    previewPurge: async () => {
      const { head } = await peer.ask('previewPurge', 'setsPurged', {});
      return verdictsFromWire(head);
    },
    purge: async () => {
      const { head } = await peer.ask('purgeSets', 'setsPurged', {});
      return verdictsFromWire(head);
    },
    keptRules: () => undefined,
    mark: async (sets, wish) => {
      await peer.ask('markSets', 'setsMarked', { sets: [...sets], ...setChangeToWire(wish) });
    },
    forgets: async () => {
      const { head } = await peer.ask('readForgets', 'forgetsAre', {});
      return forgetsFromWire(head);
    },
    previewForget: async (paths) => {
      const wish = { paths: [...paths], undoMs: 0, preview: true };
      const { head } = await peer.ask('forgetPaths', 'forgetsAre', wish);
      return forgetReportFromWire(head);
    },
    askToForget: async (paths, undoMs) => {
      const wish = { paths: [...paths], undoMs, preview: false };
      const { head } = await peer.ask('forgetPaths', 'forgetsAre', wish);
      return forgetsFromWire(head);
    },
    withdrawForget: async (ids) => {
      await peer.ask('withdrawForgets', 'forgetsAre', { ids: [...ids] });
    },
    changeSetting: async (key, value) => {
      const change = { key, value: value ?? '', isSet: value !== undefined };
      await peer.ask('changeSetting', 'settingChanged', change);
    },
    close: () => history.close(),
  };
  return keyring === undefined ? admin : { ...sealedAdmin(admin, keyring), far };
}
