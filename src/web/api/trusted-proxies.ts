/** Trusted proxies, which determine the address from which a request comes. */
import net from 'node:net';
import { configInvalid } from '../../config/index.js';

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
