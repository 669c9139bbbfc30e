/** Where a server is that is reached over TCP. */
import { TardisError } from '../errors/index.js';
import { type Address, isLoopback } from '../system/index.js';

/** Throws CONFIG_INVALID, INSECURE_TCP_REFUSED. */
export function tcpAddress(settings: {
  readonly server: string;
  readonly port: number;
  readonly insecureTcp: boolean;
}): Address {
  const { server, port, insecureTcp } = settings;
  if (port === 0) throw new TardisError('CONFIG_INVALID', "port 0 is nobody's");
  if (!insecureTcp || !isLoopback(server)) {
    throw new TardisError('INSECURE_TCP_REFUSED', `refusing plain TCP to ${server}:${port}`);
  }
  return { kind: 'tcp', host: server, port };
}
