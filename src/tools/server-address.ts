/** How a tool reaches a server: address, and TLS or not. */
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { type Address, hostInUrl, isLoopback } from '../system/index.js';
import type { Retry, TlsWish } from '../transport/index.js';

export interface ServerSettings {
  readonly port: number;
  readonly ssl: boolean | undefined;
  readonly validateCerts: boolean | undefined;
  readonly insecureTcp: boolean;
  readonly insecureNetwork: boolean;
}

export interface ServerPlace {
  readonly address: Address;
  /** Undefined: no TLS. */
  readonly tls: TlsWish | undefined;
}

/** What a user is told when a connection is made again. */
export function retryText({ reason, waitMs }: Retry): string {
  const isLost = reason.code === 'CONNECTION_LOST' || reason.code === 'TIMED_OUT';
  const what = isLost ? 'connection lost' : displayName(Buffer.from(reason.message));
  return `${what}, trying again in ${Math.max(1, Math.round(waitMs / 1000))} s`;
}

/**
 * TLS, unless plain TCP is asked for by name. `isProven`: a password will show whether it is the right
 * server, so that its certificate need not. Throws CONFIG_INVALID, INSECURE_TCP_REFUSED.
 */
export function serverPlace(
  host: string,
  { port, ssl, validateCerts, insecureTcp, insecureNetwork }: ServerSettings,
  isProven: boolean,
): ServerPlace {
  if (port === 0) throw new TardisError('CONFIG_INVALID', "port 0 is nobody's");
  const address: Address = { kind: 'tcp', host, port };
  const isPlainAllowed = insecureTcp || insecureNetwork;
  if (ssl ?? !isPlainAllowed) {
    return { address, tls: { validate: validateCerts ?? !isProven } };
  }
  if (!isPlainAllowed || (!isLoopback(host) && !insecureNetwork)) {
    const where = `${hostInUrl(host)}:${port}`;
    throw new TardisError('INSECURE_TCP_REFUSED', `refusing plain TCP to ${where}`);
  }
  if (!isLoopback(host)) {
    process.stderr.write(
      'warning: the connection is plain TCP: all that is sent can be read and changed on its way\n',
    );
  }
  return { address, tls: undefined };
}
