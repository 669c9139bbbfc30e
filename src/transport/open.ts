/** Loads the code of sockets when they are first used: a command that reads a store on this machine needs none. */
import { asTardisError, type ErrorCode, TardisError } from '../errors/index.js';
import { type Address, singleAddresses, type System } from '../system/index.js';
import type { Connection } from './connection.js';
import type { LinkOptions } from './link-times.js';
import type * as sockets from './sockets.js';
import type { TlsOptions } from './sockets.js';

/** Returns a function that loads another one when it is called. */
function onDemand<Args extends unknown[], Result>(
  load: () => Promise<(...args: Args) => Result | Promise<Result>>,
): (...args: Args) => Promise<Result> {
  return async (...args) => await (await load())(...args);
}

export const listen = onDemand(async () => (await import('./sockets.js')).listen);
export const servePiped = onDemand(async () => (await import('./sockets.js')).servePiped);
export const channelOf = onDemand(async () => (await import('./sockets.js')).channelOf);
export const connectHttps = onDemand(
  async () => (await import('./https-connection.js')).connectHttps,
);

/** Maximum time to connect to one of several servers. */
const ONE_OF_SEVERAL_MS = 5000;
/** Errors of a server that cannot be reached. After them, the next server of the address is tried. */
const UNREACHED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['SERVER_UNREACHABLE', 'TIMED_OUT']);

/** Connects to the first reachable server of an address, which may list several servers. */
export async function connect(...args: Parameters<typeof sockets.connect>): Promise<Connection> {
  const [system, address, link, tls] = args;
  return (await connectAny(system, singleAddresses(address), { link, tls })).connection;
}

interface ConnectOptions {
  readonly link: LinkOptions;
  /** Undefined if TLS is not used. */
  readonly tls: TlsOptions | undefined;
  /** Called for each server that does not answer in time. */
  readonly noteSilent?: (address: Address) => void;
}

/**
 * Connects to the first server of a list that can be reached. Returns the connection and the server's address. If no
 * server can be reached, throws the error of the last one. Throws any other error at once. Throws INTERNAL for an empty
 * list.
 */
export async function connectAny(
  system: System,
  addresses: readonly Address[],
  { link, tls, noteSilent }: ConnectOptions,
): Promise<{ readonly connection: Connection; readonly address: Address }> {
  const { connect: connectNow } = await import('./sockets.js');
  const hurried = { ...link, connectMs: ONE_OF_SEVERAL_MS };
  for (const [index, address] of addresses.entries()) {
    try {
      const isAlone = addresses.length === 1;
      const connection = await connectNow(system, address, isAlone ? link : hurried, tls);
      return { connection, address };
    } catch (error) {
      if (asTardisError(error).code === 'TIMED_OUT') noteSilent?.(address);
      if (index === addresses.length - 1 || !UNREACHED.has(asTardisError(error).code)) throw error;
    }
  }
  throw new TardisError('INTERNAL', 'there is no server to connect to');
}
