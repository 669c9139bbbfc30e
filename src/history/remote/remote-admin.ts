/** Changes of a client on a server, for accounts with the rights to make them. */
import type { SetNumber } from '../../model/index.js';
import { odd } from '../index.js';
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
  const drop = (sets: readonly SetNumber[], preview: boolean): Promise<void> =>
    peer.ask('dropSets', { sets: [...sets], preview });
  const admin: RemoteAdmin = {
    keyring,
    far,
    sets: () => history.sets(),
    drop: (sets) => drop(sets, false),
    previewDrop: (sets) => drop(sets, true),
    previewPurge: () => peer.ask('previewPurge', undefined),
    purge: () => peer.ask('purgeSets', undefined),
    keptRules: () => undefined,
    mark: (sets, change) => peer.ask('markSets', { sets, change }),
    forgets: async () => (await peer.ask('readForgets', undefined)).requests,
    previewForget: async (paths) => {
      const wish = { paths: [...paths], undoMs: 0, preview: true };
      const { report } = await peer.ask('forgetPaths', wish);
      if (report === undefined) throw odd('figures');
      return report;
    },
    askToForget: async (paths, undoMs) => {
      const wish = { paths: [...paths], undoMs, preview: false };
      return (await peer.ask('forgetPaths', wish)).requests;
    },
    withdrawForget: async (ids) => {
      await peer.ask('withdrawForgets', { ids: [...ids] });
    },
    changeSetting: (key, value) => peer.ask('changeSetting', { key, value }),
    close: () => history.close(),
  };
  return keyring === undefined ? admin : { ...sealedAdmin(admin, keyring), far };
}
