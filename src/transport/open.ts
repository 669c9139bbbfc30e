/** Loads the code of sockets when they are first used: a command that reads a store on this machine needs none. */
import type * as https from './https-connection.js';
import type * as sockets from './sockets.js';

/** Listens until closed, by `listen` of sockets.ts. */
export async function listen(
  ...args: Parameters<typeof sockets.listen>
): ReturnType<typeof sockets.listen> {
  const { listen: listenNow } = await import('./sockets.js');
  return listenNow(...args);
}

/** Connects, by `connect` of sockets.ts. */
export async function connect(
  ...args: Parameters<typeof sockets.connect>
): ReturnType<typeof sockets.connect> {
  const { connect: connectNow } = await import('./sockets.js');
  return connectNow(...args);
}

/** Connects to an HTTP interface, by `connectHttps` of https-connection.ts. */
export async function connectHttps(
  ...args: Parameters<typeof https.connectHttps>
): ReturnType<typeof https.connectHttps> {
  const { connectHttps: connectNow } = await import('./https-connection.js');
  return connectNow(...args);
}

/** Returns what a login over a socket is bound to, by `channelOf` of sockets.ts. */
export async function channelOf(
  ...args: Parameters<typeof sockets.channelOf>
): Promise<ReturnType<typeof sockets.channelOf>> {
  const { channelOf: channelNow } = await import('./sockets.js');
  return channelNow(...args);
}
