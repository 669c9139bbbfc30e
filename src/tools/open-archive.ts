/** The archive that a reading tool asks: a store on this machine, or a server's. */
import { Access, type Archive, openLocalArchive, unsealedArchive } from '../archive/index.js';
import type { Found } from '../config/index.js';
import type { Keyring } from '../crypto/index.js';
import type { System } from '../system/index.js';
import { DEFAULT_LINK } from '../transport/index.js';
import { askPassword, givenPassword, type PasswordSettings } from './password.js';
import { clientPlace } from './run-tool.js';
import { serverPlace, type ServerSettings } from './server-address.js';
import { keyFileOf, type KeysSettings, promptFor, unlockClient } from './unlock.js';

type ReadingSettings = PasswordSettings &
  KeysSettings &
  ServerSettings &
  Parameters<typeof clientPlace>[0] & {
    readonly server: string;
    readonly timeoutSeconds: number;
  };

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

/** Throws NO_SUCH_STORE, NO_SUCH_CLIENT, CATALOG_*, LOGIN_FAILED, SERVER_UNREACHABLE, INSECURE_TCP_REFUSED, … */
export async function openArchive(
  system: System,
  settings: ReadingSettings,
  found: ReadonlyMap<string, Found>,
): Promise<Archive> {
  if (!asksServer(found)) {
    return openUnlocked(system, clientPlace(settings), await unlockClient(system, settings, found));
  }
  const { client, account, server, timeoutSeconds } = settings;
  const prompt = promptFor(client, account);
  const password = await givenPassword(settings, found, prompt);
  const { openRemoteArchive } = await import('../remote/index.js'); // most runs need no connection
  return openRemoteArchive(system, {
    ...serverPlace(server, settings, password !== undefined),
    client,
    credentials: {
      password,
      account,
      ask: (over) => askPassword(prompt, over),
      keyFile: keyFileOf(settings),
    },
    link: { ...DEFAULT_LINK, timeoutMs: timeoutSeconds * 1000 },
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
