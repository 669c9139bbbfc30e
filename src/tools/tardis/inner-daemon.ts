/** The daemon of a server that runs in the process of its client. This module is loaded only for such a server. */
import type { Resolved } from '../../config/index.js';
import { Daemon, InlineStorageHost } from '../../server/index.js';
import { nodeSystem } from '../../system/index.js';
import type { InnerDoor } from '../../transport/index.js';
import { daemonOptions } from '../tardisd/daemon-options.js';
import { openLog } from '../tardisd/serving.js';

export interface InnerDaemon {
  /** Ends the session, if there is one, and resolves when nothing of the store is open. */
  close(): Promise<void>;
}

/** Starts the daemon, which serves one session through the door. Throws as `tardisd` does. */
export async function startInnerDaemon(
  { settings, found }: Resolved<'tardisd'>,
  door: InnerDoor,
): Promise<InnerDaemon> {
  const log = await openLog(settings);
  const system = nodeSystem(settings.umask);
  const storage = new InlineStorageHost(system, (client, { code, message }, what) =>
    log.warn({ client, code, reason: message }, `no ${what} was made`),
  );
  const options = { ...daemonOptions(settings, found), address: door };
  const daemon = await Daemon.start(system, storage, options, log);
  return { close: () => daemon.stop() };
}
