/** Trusted proxies, which determine the address from which a request comes, and the URL to which it was sent. */
import net from 'node:net';
import type { FastifyRequest } from 'fastify';
import { configInvalid } from '../../config/index.js';
import { invalidRequest } from './problem.js';

/** True for the address of a trusted proxy. */
export type IsTrusted = (address: string | undefined) => boolean;

/** Returns a test for the given addresses and blocks (`10.0.0.0/8`, `fd00::/8`). Throws CONFIG_INVALID. */
export function trusting(proxies: readonly string[]): IsTrusted {
  const list = new net.BlockList();
  for (const text of proxies) {
    const [, address = '', digits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const family = net.isIP(address);
    const most = family === 6 ? 128 : 32;
    const bits = digits === undefined ? most : Number(digits);
    if (family === 0 || address.includes('%') || bits < 1 || bits > most) {
      throw configInvalid(`TrustedProxies: "${text}" is no IP address and no block of them`);
    }
    list.addSubnet(address, bits, family === 6 ? 'ipv6' : 'ipv4');
  }
  return (address = '') => {
    const family = net.isIP(address);
    if (family === 0) return false;
    return list.check(address.replace(/%.*$/, ''), family === 6 ? 'ipv6' : 'ipv4');
  };
}

const MAX_PREFIX_CHARS = 256;
/** A path of which nothing must be escaped in a URL or in XML, without dot segments and without a slash at the end. */
const PREFIX = /^(?:\/(?!\.\.?(?:\/|$))[\w.~%-]+)*$/;

/**
 * Returns the path that a proxy has removed from the start of a request's URL (X-Forwarded-Prefix), without a slash at
 * the end; '' for none. Throws REQUEST_INVALID if the value is no such path, or was sent by anybody but a trusted proxy:
 * an answer with other URLs than the requester's looks like an empty directory.
 */
function removedPrefix(
  { headers, raw }: Pick<FastifyRequest, 'headers' | 'raw'>,
  isTrusted: IsTrusted,
): string {
  const given = headers['x-forwarded-prefix'];
  if (given === undefined) return '';
  if (!isTrusted(raw.socket.remoteAddress)) {
    throw invalidRequest('X-Forwarded-Prefix was sent by an address that is not in TrustedProxies');
  }
  const prefix = String(given).replace(/\/$/, '');
  if (prefix.length > MAX_PREFIX_CHARS || !PREFIX.test(prefix)) {
    throw invalidRequest('X-Forwarded-Prefix is not one path, such as /backups');
  }
  return prefix;
}

/** Returns the getter of a request's removed prefix. */
export function removedPrefixes(isTrusted: IsTrusted): (this: FastifyRequest) => string {
  return function get(this: FastifyRequest): string {
    return removedPrefix(this, isTrusted);
  };
}
