/** Identifies a client in a store or on a server, to compare it with this machine's memory of it. */
import type { SettingsNamed } from '../../config/index.js';
import path from 'node:path';
import type { History } from '../../history/index.js';
import { bucketAt } from '../../store/index.js';
import { KnownClient } from '../../crypto/identity/index.js';
import { displayText } from '../../model/index.js';
import {
  absolutePath,
  type Address,
  byteText,
  describeAddress,
  deviceLink,
  lastingPlace,
  realPathOf,
  textBytes,
} from '../../system/index.js';
import { printAbove } from '../output/progress-line.js';

export type IdentitySettings = SettingsNamed<'database' | 'client' | 'trustStore'>;

/** Returns the identity that this machine remembers for a client of the store, or of the server at this address. */
export function identityAt(
  { database, client, trustStore }: IdentitySettings,
  server: Address | undefined,
): KnownClient {
  const options = { trustsChange: trustStore, report: printAbove };
  if (server !== undefined) {
    const shown = describeAddress(server);
    // Host names are case-insensitive; paths of sockets are not.
    const name = server.kind === 'tcp' ? shown.toLowerCase() : shown;
    return new KnownClient({ places: [`server ${name}`], client }, options);
  }
  const bucket = bucketAt(byteText(database));
  if (bucket !== undefined)
    return new KnownClient({ places: [`bucket ${bucket.address}`], client }, options);
  // A disk that is named by its id may be mounted elsewhere each time.
  const given = lastingPlace(byteText(absolutePath(database)));
  const real = deviceLink(given) === undefined ? realPath(database) : given;
  const others = given === real ? [] : [`store ${given}`];
  return new KnownClient({ places: [`store ${real}`, ...others], client }, options);
}

/**
 * If the user trusts the store, lets a tool that changes sets work on a store that is older than this machine's memory
 * of it. Otherwise does nothing, and such a store is refused.
 */
export function trustOlder(
  history: Pick<History, 'acceptOlder'>,
  { trustStore = false }: Partial<Pick<IdentitySettings, 'trustStore'>>,
): void {
  if (!trustStore) return;
  history.acceptOlder?.((what) =>
    printAbove(`${displayText(what)}; its present state is accepted`),
  );
}

/** Returns the path with its links resolved. If the path does not exist, the existing part of it is resolved. */
function realPath(given: Buffer): string {
  const absolute = byteText(absolutePath(given));
  for (let above = absolute; ; above = path.dirname(above)) {
    const real = realPathOf(textBytes(above));
    if (real !== undefined) return path.join(byteText(real), path.relative(above, absolute));
    if (above === path.dirname(above)) return absolute;
  }
}
