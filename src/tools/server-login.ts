/** Who a tool is to a server, and how it reaches it. */
import type { Found } from '../config/index.js';
import type { RemotePlace, RemoteSets } from '../remote/index.js';
import type { System } from '../system/index.js';
import { linkWith } from '../transport/index.js';
import { askPassword, givenPassword, type PasswordSettings } from './password.js';
import { serverPlace, type ServerSettings } from './server-address.js';
import { keyFileOf, type KeysSettings, promptFor } from './unlock.js';

export type ServerLoginSettings = PasswordSettings &
  KeysSettings &
  ServerSettings & { readonly client: string; readonly timeoutSeconds: number };

/** Throws PASSWORD_*, CONFIG_INVALID, INSECURE_TCP_REFUSED. */
export async function remotePlace(
  host: string,
  settings: ServerLoginSettings,
  found: ReadonlyMap<string, Found>,
): Promise<RemotePlace> {
  const { client, account, timeoutSeconds } = settings;
  const prompt = promptFor(client, account);
  const password = await givenPassword(settings, found, prompt);
  return {
    ...serverPlace(host, settings, password !== undefined),
    client,
    credentials: {
      password,
      account,
      ask: (over) => askPassword(prompt, over),
      keyFile: keyFileOf(settings),
    },
    link: linkWith(timeoutSeconds * 1000),
  };
}

/** A session that changes what the server of this host has of a client. Throws what logging in throws. */
export async function openServerSets(
  system: System,
  host: string,
  settings: ServerLoginSettings,
  found: ReadonlyMap<string, Found>,
): Promise<RemoteSets> {
  const place = await remotePlace(host, settings, found);
  const { openRemoteSets } = await import('../remote/index.js'); // most runs need no connection
  return openRemoteSets(system, place);
}
