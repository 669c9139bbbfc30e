/** The address from which a request is sent: that of the connection, or the one that a trusted proxy has added. */
import net from 'node:net';
import type { FastifyRequest } from 'fastify';
import { addressGroup } from '../../system/index.js';

/** The parts of a request from which its origin is determined. */
export type Requester = Pick<FastifyRequest, 'raw'> & { readonly ip?: string };

/**
 * Returns the group of addresses to which a request is counted. `ip` is the address that the framework reads from
 * X-Forwarded-For of trusted proxies. If it is not an address, the request is counted to the address of its connection.
 */
export function addressOf({ ip, raw }: Requester): string {
  const isAddress = ip !== undefined && net.isIP(ip) !== 0;
  return addressGroup(isAddress ? ip : raw.socket.remoteAddress);
}
