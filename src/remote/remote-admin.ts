/** Changes of a client on a server, for accounts with the rights to make them. */
import { TardisError } from '../errors/index.js';
import type { SetNumber } from '../model/index.js';
import { odd } from '../history/index.js';
import { type Admin, sealedAdmin } from '../maintenance/admin/index.js';
import type { System } from '../system/index.js';
import { historyOf } from './remote-history.js';
import { RemotePeer, type RemotePlace } from './remote-peer.js';

/** Logs in and opens a client for changes. Throws the errors of connecting and of the login, such as LOGIN_FAILED. */
export async function openRemoteAdmin(system: System, place: RemotePlace): Promise<Admin> {
  const { peer, keyring } = await RemotePeer.open(system, place);
  const history = historyOf(system, place.client, peer, keyring);
  const deleteSets = (sets: readonly SetNumber[], preview: boolean): Promise<void> =>
    peer.request('deleteSets', { sets: [...sets], preview });
  const admin: Admin = {
    keyring,
    acceptOlder: (report) => history.acceptOlder?.(report),
    sets: () => history.sets(),
    deleteSets: (sets) => deleteSets(sets, false),
    previewDelete: (sets) => deleteSets(sets, true),
    previewPurge: () => peer.request('previewPurge', undefined),
    purge: () => peer.request('purgeSets', undefined),
    keptRules: () => undefined,
    mark: (sets, change) => peer.request('markSets', { sets, change }),
    forgets: async () => (await peer.request('readForgets', undefined)).requests,
    previewForget: async (paths) => {
      const requested = { paths: [...paths], undoMs: 0, preview: true };
      const { report } = await peer.request('forgetPaths', requested);
      if (report === undefined) throw odd('figures');
      return report;
    },
    requestForgets: async (paths, undoMs) => {
      const requested = { paths: [...paths], undoMs, preview: false };
      return (await peer.request('forgetPaths', requested)).requests;
    },
    withdrawForget: async (ids) => {
      await peer.request('withdrawForgets', { ids: [...ids] });
    },
    settings: () => history.reports.settings(),
    changeSetting: (key, value) => peer.request('changeSetting', { key, value }),
    changeQuota: async () => {
      throw notThere('a change of a quota');
    },
    // The code that decodes findings is loaded only if work is requested.
    check: async (requested, hooks) =>
      (await import('./remote-work.js')).checkThere({ peer, history, keyring }, requested, hooks),
    freeDeleted: async () => undefined, // the server does so by itself
    freeUnneeded: async (_request, hooks) =>
      (await import('./remote-work.js')).freeThere(peer, hooks),
    markDamaged: async () => {
      throw notThere('marking damage');
    },
    strangePacks: async () => undefined,
    parity: async () => undefined,
    repair: async () => {
      throw notThere('a repair');
    },
    close: () => history.close(),
    [Symbol.dispose]: () => history.close(),
  };
  return keyring === undefined ? admin : sealedAdmin(admin, keyring);
}

function notThere(what: string): TardisError {
  const where = "run it on the server's machine, or let the server check the store";
  return new TardisError('CAPABILITY_MISSING', `${what} works on the store itself: ${where}`);
}
