/** Sockets, injected so that a test can cut or stall a connection. */
import net from 'node:net';
import { TardisError } from '../errors/index.js';
import type { ProgramEnd, ProgramSocket } from './program-socket.js';

export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      /** Other servers of the store, which are tried in this order if this one cannot be reached. */
      readonly others?: readonly TcpPlace[];
    }
  | ProgramAddress;

/** A server that a program reaches: its standard input and output are the connection. */
export interface ProgramAddress {
  readonly kind: 'program';
  /** Name of the server in messages, and in the memory of this machine. */
  readonly name: string;
  /** True if the program may prompt on the terminal while it connects. */
  readonly mayPrompt: boolean;
  /** Returns the program for a new connection. */
  readonly open: () => ProgramSocket;
  /** Returns the error for a connection that failed with `error` before the server answered. */
  readonly errorOf: (error: Error, end: ProgramEnd) => TardisError;
}

/** An address to which a socket is connected. */
export type SocketAddress = Exclude<Address, ProgramAddress>;

/** A host and a port. */
export interface TcpPlace {
  readonly host: string;
  readonly port: number;
}

/** Returns one address for each server of an address, in their order. */
export function singleAddresses(address: Address): Address[] {
  if (address.kind !== 'tcp' || address.others === undefined) return [address];
  const { host, port, others } = address;
  return [{ host, port }, ...others].map((place) => ({ kind: 'tcp', ...place }));
}

export interface Network {
  connect(address: SocketAddress): net.Socket;
}

export const systemNetwork: Network = Object.freeze({
  connect: (address: SocketAddress): net.Socket =>
    address.kind === 'unix'
      ? net.connect({ path: address.path })
      : net.connect({ host: bare(address.host), port: address.port, noDelay: true }),
});

export function describeAddress(address: Address): string {
  if (address.kind === 'program') return address.name;
  return address.kind === 'unix'
    ? `unix:${address.path}`
    : `${hostInUrl(address.host)}:${address.port}`;
}

/** Returns a host as it is written before a port: IPv6 addresses get brackets. */
export function hostInUrl(host: string): string {
  return net.isIPv6(bare(host)) ? `[${bare(host)}]` : host;
}

export const MAX_PORT = 65_535;

/** Parses HOST or HOST:PORT. An IPv6 address with a port is in brackets. */
export function hostAndPort(text: string): { host: string; port: number | undefined } {
  const [, host, digits] = /^(\[[^\]]*\]|[^:]*):(\d{1,5})$/.exec(text) ?? [];
  return host === undefined ? { host: text, port: undefined } : { host, port: Number(digits) };
}

/** Parses HOST or HOST:PORT. Returns undefined if a part cannot be a host or a port. */
export function placeIn(text: string): { host: string; port: number | undefined } | undefined {
  const place = hostAndPort(text);
  const { host, port = 1 } = place;
  return isHost(host) && port > 0 && port <= MAX_PORT ? place : undefined;
}

/** True if a text is a host name or an IP address, and nothing else. */
export function isHost(text: string): boolean {
  if (net.isIPv6(bare(text))) return true;
  return !/[\s/\\@?#:]/.test(text) && URL.canParse(`ws://${text}/`);
}

/** Returns a host without the brackets that an IPv6 address has in a URL. */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

/**
 * Returns the group of an address, under which connections of one peer are counted. It is an IPv4 address, the
 * first half of an IPv6 address (the owner of one such address has the whole block), or '' for a unix socket.
 */
export function addressGroup(address: string | undefined): string {
  if (address === undefined) return '';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !net.isIPv6(address)) return mapped ?? address;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  const groups = tail === undefined ? left : [...left, ...zeros, ...right];
  return groups.slice(0, 4).join(':');
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i;

export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** Matches the advice in a message about options of Node.js, which the commands do not have. */
const ADVICE_OF_NODE = /; if .*Node\.js.*$/s;

/** Returns the message of a failed TLS connection in a form for users. */
export function tlsFault({ message }: Error): string {
  return message.replace(ADVICE_OF_NODE, '');
}

/**
 * Throws NOT_PERMITTED unless an HTTP request is addressed to one of these hosts. A page of another site reaches a
 * server on loopback by a name of its own that resolves to this machine (DNS rebinding).
 */
export function requireHost(host: string | undefined, hosts: ReadonlySet<string>): void {
  if (hosts.has(host ?? '')) return;
  throw new TardisError('NOT_PERMITTED', 'the request is addressed to another host');
}
