/** Address of a server, and credentials to log in to it. */
import type { Found } from '../../config/index.js';
import type { RemotePlace } from '../../remote/index.js';
import { linkWith } from '../../transport/index.js';
import { identityAt, type IdentitySettings } from './identity.js';
import { askPassword, givenPassword, type PasswordSettings } from './password.js';
import { placeElsewhere, serverPlace, type ServerSettings } from './server-address.js';
import { keyFileOf, type KeysSettings, promptFor } from './unlock.js';

export type ServerLoginSettings = PasswordSettings &
  KeysSettings &
  ServerSettings &
  IdentitySettings & { readonly timeoutSeconds: number };

/**
 * Returns the address, the credentials and the connection settings of a server. With `isNew`, the server will get the
 * verifier of a new password. Such a password does not authenticate the server, so its certificate must be valid.
 * Throws PASSWORD_*, CONFIG_INVALID, INSECURE_TCP_REFUSED.
 */
export async function remotePlace(
  host: string,
  settings: ServerLoginSettings,
  found: ReadonlyMap<string, Found>,
  isNew = false,
): Promise<RemotePlace> {
  const { client, account, timeoutSeconds } = settings;
  const prompt = promptFor(client, account);
  const password = await givenPassword(settings, found, prompt);
  const isProven = password !== undefined && !isNew;
  const place = serverPlace(host, settings, isProven);
  return {
    ...place,
    elsewhere: (there, port) => placeElsewhere({ host: there, port }, settings, isProven),
    client,
    credentials: {
      password,
      account,
      ask: (over) => askPassword(prompt, over),
      keyFile: keyFileOf(settings),
      identity: identityAt(settings, place.address),
    },
    link: linkWith(timeoutSeconds * 1000),
  };
}
