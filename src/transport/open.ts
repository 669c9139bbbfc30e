/** Loads the code of sockets when they are first used: a command that reads a store on this machine needs none. */
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
