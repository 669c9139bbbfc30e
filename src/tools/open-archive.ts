/** The archive that a reading tool asks: a store on this machine, or a server's. */
import { Access, type Archive, openLocalArchive, unsealedArchive } from '../archive/index.js';
import type { Found } from '../config/index.js';
import type { Keyring } from '../crypto/index.js';
import type { RemotePlace } from '../remote/index.js';
import { nodeSystem, type System } from '../system/index.js';
import { retryText } from './server-address.js';
import { remotePlace, type ServerLoginSettings } from './server-login.js';
import { unlockClient } from './unlock.js';
import { clientPlace } from './local-store.js';

type PlaceSettings = ServerLoginSettings & Parameters<typeof clientPlace>[0];
type ArchiveSettings = PlaceSettings & { readonly reconnectSeconds: number };
type ReadingSettings = ArchiveSettings & { readonly server: string };
type AdministeringSettings = ArchiveSettings & { readonly throughServer: string | undefined };
type ReportSettings = PlaceSettings & { readonly throughServer: string | undefined };

/** For a connection that is lost. */
type Waiting = Pick<RemotePlace, 'patience' | 'onRetry'>;

/** The less a source counts, the later it comes. */
const SOURCES: readonly Found['source'][] = [
  'command line',
  'configuration file',
  'environment',
  'system defaults',
];

/** Whether a server is asked: one is named, and no store is by what counts as much or more. */
export function asksServer(found: ReadonlyMap<string, Found>): boolean {
  const rank = (name: string): number => {
    const source = found.get(name)?.source;
    const index = source === undefined ? -1 : SOURCES.indexOf(source);
    return index < 0 ? SOURCES.length : index;
  };
  return rank('server') < rank('database');
}

/** `tell` hears of connections that are lost and replaced. Throws NO_SUCH_STORE, NO_SUCH_CLIENT, CATALOG_*, LOGIN_FAILED, SERVER_UNREACHABLE, INSECURE_TCP_REFUSED, … */
export async function openArchive(
  system: System,
  settings: ReadingSettings,
  found: ReadonlyMap<string, Found>,
  tell: (line: string) => void,
): Promise<Archive> {
  const host = asksServer(found) ? settings.server : undefined;
  return openAt(host, system, settings, found, waiting(settings.reconnectSeconds, tell));
}

/** The same for a sub-command of `sonic`, which asks a server only if one is named. */
export async function openAdministered(
  system: System,
  settings: AdministeringSettings,
  found: ReadonlyMap<string, Found>,
  tell: (line: string) => void,
): Promise<Archive> {
  const { throughServer, reconnectSeconds } = settings;
  return openAt(throughServer, system, settings, found, waiting(reconnectSeconds, tell));
}

/**
 * Of a tool that reports, and does not wait for a server that is lost: the archive is closed afterwards, whatever
 * happens. Throws what opening a store, or logging in to a server, throws.
 */
export async function withReports<T>(
  settings: ReportSettings,
  found: ReadonlyMap<string, Found>,
  use: (archive: Archive) => Promise<T>,
): Promise<T> {
  const archive = await openAt(settings.throughServer, nodeSystem(), settings, found);
  try {
    return await use(archive);
  } finally {
    archive.close();
  }
}

/** `more`: of a server only. */
async function openAt(
  host: string | undefined,
  system: System,
  settings: PlaceSettings,
  found: ReadonlyMap<string, Found>,
  more: Waiting = {},
): Promise<Archive> {
  if (host === undefined) {
    return openUnlocked(system, clientPlace(settings), await unlockClient(system, settings, found));
  }
  const place = await remotePlace(host, settings, found);
  const { openRemoteArchive } = await import('../remote/index.js'); // most runs need no connection
  return openRemoteArchive(system, { ...place, ...more });
}

function waiting(forSeconds: number, tell: (line: string) => void): Waiting {
  return { patience: { forMs: forSeconds * 1000 }, onRetry: (retry) => tell(retryText(retry)) };
}

/** A store on this machine; who has the keys of a client may read all of it. */
export function openUnlocked(
  system: System,
  place: ReturnType<typeof clientPlace>,
  keyring: Keyring | undefined,
): Archive {
  if (keyring === undefined) return openLocalArchive(system, place);
  const access = new Access(undefined);
  return unsealedArchive(openLocalArchive(system, { ...place, access }), keyring, system.native);
}
