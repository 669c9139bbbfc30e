/** Sockets, injected so that a test can cut or stall the link. */
import net from 'node:net';

export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export interface Network {
  connect(address: Address): net.Socket;
}

export const systemNetwork: Network = Object.freeze({
  connect: (address: Address): net.Socket =>
    address.kind === 'unix'
      ? net.connect({ path: address.path })
      : net.connect({ host: bare(address.host), port: address.port, noDelay: true }),
});

export function describeAddress(address: Address): string {
  return address.kind === 'unix'
    ? `unix:${address.path}`
    : `${hostInUrl(address.host)}:${address.port}`;
}

/** A host as it stands before a port: IP addresses with colons in brackets. */
export function hostInUrl(host: string): string {
  return net.isIPv6(bare(host)) ? `[${bare(host)}]` : host;
}

/** Without the brackets that an address has in a URL. */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/;

export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}
