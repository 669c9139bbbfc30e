/** Opens a client for changes of its sets, marks, paths and settings: in a store on this machine, or through a server. */
import type { Found } from '../../config/index.js';
import type { RemoteAdmin } from '../../history/remote/index.js';
import { type Admin, localAdmin } from '../../maintenance/admin/index.js';
import { openClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { trustOlder } from './identity.js';
import { clientPlace, storeLimits } from './local-store.js';
import { openUnlocked } from './open-history.js';
import { requireNoWeb } from './server-address.js';
import { remotePlace, type ServerLoginSettings } from './server-login.js';
import { unlockClient } from './unlock.js';

export type AdminSettings = ServerLoginSettings &
  Parameters<typeof clientPlace>[0] & {
    readonly throughServer: string | undefined;
    readonly parityPercent?: number | undefined;
  };

type Sources = ReadonlyMap<string, Found>;

/** Opens a client for changes. Throws the errors of opening a store, or of logging in to a server. */
export function openAdmin(system: System, settings: AdminSettings, found: Sources): Promise<Admin> {
  const { throughServer: host } = settings;
  return host === undefined
    ? openHere(system, settings, found)
    : openAdminThere(system, host, settings, found);
}

async function openHere(system: System, settings: AdminSettings, found: Sources): Promise<Admin> {
  const place = clientPlace(settings);
  const directory = openClientDirectory(system, place);
  const keyring = await unlockClient(system, settings, found);
  const sets: Admin['sets'] = async () => {
    const history = openUnlocked(system, place, keyring);
    trustOlder(history, settings);
    try {
      return await history.sets();
    } finally {
      history.close(); // a reader of the catalog would block our writes
    }
  };
  return localAdmin(system, { directory, limits: storeLimits(settings), keyring, sets });
}

/** Opens a client on a server, which also does long work. Throws the errors of logging in. */
export async function openAdminThere(
  system: System,
  host: string,
  settings: ServerLoginSettings,
  found: Sources,
): Promise<RemoteAdmin> {
  requireNoWeb(host);
  const place = await remotePlace(host, settings, found);
  const { openRemoteAdmin } = await import('../../history/remote/index.js'); // most runs need no connection
  const admin = await openRemoteAdmin(system, place);
  trustOlder(admin.far.history, settings);
  return admin;
}
