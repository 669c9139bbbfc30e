/** The archive that a reading tool asks: a store on this machine, or a server's. */
import { Access, type Archive, openLocalArchive, unsealedArchive } from '../archive/index.js';
import type { Found } from '../config/index.js';
import type { Keyring } from '../crypto/index.js';
import type { System } from '../system/index.js';
import { linkWith, type Patience, type Retry } from '../transport/index.js';
import { askPassword, givenPassword, type PasswordSettings } from './password.js';
import { clientPlace } from './run-tool.js';
import { retryText, serverPlace, type ServerSettings } from './server-address.js';
import { keyFileOf, type KeysSettings, promptFor, unlockClient } from './unlock.js';

type FarSettings = PasswordSettings &
  KeysSettings &
  ServerSettings & { readonly client: string; readonly timeoutSeconds: number };
type ArchiveSettings = FarSettings &
  Parameters<typeof clientPlace>[0] & { readonly reconnectSeconds: number };
type ReadingSettings = ArchiveSettings & { readonly server: string };
type AdministeringSettings = ArchiveSettings & { readonly throughServer: string | undefined };

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
  return openAt(host, system, settings, found, tell);
}

/** The same for a sub-command of `sonic`, which asks a server only if one is named. */
export async function openAdministered(
  system: System,
  settings: AdministeringSettings,
  found: ReadonlyMap<string, Found>,
  tell: (line: string) => void,
): Promise<Archive> {
  return openAt(settings.throughServer, system, settings, found, tell);
}

async function openAt(
  host: string | undefined,
  system: System,
  settings: ArchiveSettings,
  found: ReadonlyMap<string, Found>,
  tell: (line: string) => void,
): Promise<Archive> {
  if (host === undefined) {
    return openUnlocked(system, clientPlace(settings), await unlockClient(system, settings, found));
  }
  const { reconnectSeconds } = settings;
  return openFar(system, host, settings, found, {
    patience: { forMs: reconnectSeconds * 1000 },
    onRetry: (retry) => tell(retryText(retry)),
  });
}

/** The archive of a server. Throws LOGIN_FAILED, SERVER_UNREACHABLE, INSECURE_TCP_REFUSED, … */
export async function openFar(
  system: System,
  host: string,
  settings: FarSettings,
  found: ReadonlyMap<string, Found>,
  more: { readonly patience?: Patience; readonly onRetry?: (retry: Retry) => void },
): Promise<Archive> {
  const { client, account, timeoutSeconds } = settings;
  const prompt = promptFor(client, account);
  const password = await givenPassword(settings, found, prompt);
  const { openRemoteArchive } = await import('../remote/index.js'); // most runs need no connection
  return openRemoteArchive(system, {
    ...serverPlace(host, settings, password !== undefined),
    client,
    credentials: {
      password,
      account,
      ask: (over) => askPassword(prompt, over),
      keyFile: keyFileOf(settings),
    },
    link: linkWith(timeoutSeconds * 1000),
    ...more,
  });
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
