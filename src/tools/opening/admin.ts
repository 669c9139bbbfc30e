/**
 * Opens a client for changes, and for operations on all of its data: in a store on this machine, or through a server.
 */
import { defaultOf, type SettingsNamed } from '../../config/index.js';
import type { Keyring } from '../../crypto/index.js';
import { type Admin, localAdmin } from '../../maintenance/admin/index.js';
import { openClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { openUnlocked, warnOlder } from './history.js';
import { mayEncrypt, unlockClient } from './keys.js';
import { trustOlder } from './known-state.js';
import { clientPlace, storeLimits, type PlaceSettings } from './local-store.js';
import { remotePlace, requireNoWeb, type ServerLoginSettings } from './server.js';

type AdminSettings = ServerLoginSettings &
  PlaceSettings &
  SettingsNamed<'throughServer'> &
  Partial<SettingsNamed<'parityPercent'>>;

/**
 * Opens a client for changes. `unlock` returns the keys for a store on this machine. Throws the errors of opening a
 * store, or of logging in to a server.
 */
export async function openAdmin(
  system: System,
  settings: AdminSettings,
  unlock = unlockClient,
): Promise<Admin> {
  const { throughServer: host } = settings;
  if (host !== undefined) return openThere(system, host, settings);
  openClientDirectory(system, clientPlace(settings)); // fails before the user is prompted for a password
  return adminHere(system, settings, await unlock(system, settings));
}

/**
 * Opens a client in a store on this machine, with its keys or without. Throws NO_SUCH_CLIENT and other errors of
 * opening.
 */
export function adminHere(
  system: System,
  settings: PlaceSettings & Partial<Pick<AdminSettings, 'trustStore' | 'parityPercent'>>,
  keyring: Keyring | undefined,
): Admin {
  const place = clientPlace(settings);
  return localAdmin(system, {
    directory: openClientDirectory(system, place),
    limits: storeLimits(settings),
    keyring,
    isEncrypted: () => mayEncrypt(system, place),
    wantedFreeBytes: defaultOf('leastFreeBytes') + defaultOf('reserveBytes'),
    openHistory: () => {
      const history = openUnlocked(system, place, keyring);
      trustOlder(history, settings);
      return history;
    },
  });
}

/** Opens a client on a server. Throws the errors of logging in. */
async function openThere(
  system: System,
  host: string,
  settings: ServerLoginSettings,
): Promise<Admin> {
  requireNoWeb(host);
  const place = await remotePlace(host, settings);
  const { openRemoteAdmin } = await import('../../remote/index.js'); // most runs need no connection
  const admin = await openRemoteAdmin(system, place);
  trustOlder(admin, settings);
  return admin;
}

/**
 * Compares the sets with this machine's memory of them, for an operation on all data of a client. Warns if the store
 * was rolled back; the run then ends with status 3.
 */
export async function compareWithKnown(there: Admin): Promise<void> {
  there.acceptOlder(warnOlder);
  await there.sets();
}
