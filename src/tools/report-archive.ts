/** The archive of tools that report: of a store on this machine, or through a server. */
import type { Archive } from '../archive/index.js';
import type { Found } from '../config/index.js';
import { openClientDirectory } from '../store/index.js';
import { nodeSystem } from '../system/index.js';
import type { ClientSetsSettings } from './client-sets.js';
import { openFar, openUnlocked } from './open-archive.js';
import { clientPlace } from './run-tool.js';
import { unlockClient } from './unlock.js';

/**
 * Undefined: the client was made, and never backed up. Whoever gets an archive closes it. Throws what opening a
 * store, or logging in to a server, throws.
 */
export async function openReports(
  settings: ClientSetsSettings,
  found: ReadonlyMap<string, Found>,
): Promise<Archive | undefined> {
  const system = nodeSystem();
  const { throughServer: host } = settings;
  if (host !== undefined) return openFar(system, host, settings, found, {});
  const place = clientPlace(settings);
  const { path, catalogPath } = openClientDirectory(system, place);
  const keyring = await unlockClient(system, settings, found);
  const isUnused =
    system.files.status(catalogPath) === undefined &&
    system.files.status(`${path}/packs`) === undefined;
  return isUnused ? undefined : openUnlocked(system, place, keyring);
}

/** Closes it afterwards, whatever happens. */
export async function withReports<T>(
  settings: ClientSetsSettings,
  found: ReadonlyMap<string, Found>,
  use: (archive: Archive | undefined) => Promise<T>,
): Promise<T> {
  const archive = await openReports(settings, found);
  try {
    return await use(archive);
  } finally {
    archive?.close();
  }
}
