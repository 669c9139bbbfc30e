/** The daemon of a server that runs in the process of its client. This module is loaded only for such a server. */
import { isBucket, type Settings } from '../../config/index.js';
import { Daemon } from '../../server/index.js';
import { nodeSystem } from '../../system/index.js';
import type { InnerListener } from '../../transport/index.js';
import { enterBucket } from '../opening/bucket.js';
import { daemonOptions, openStorage } from '../tardisd/daemon-options.js';
import { openLog } from '../tardisd/serving.js';

export interface InnerDaemon {
  /** Ends the session, if there is one, and resolves when nothing of the store is open. */
  close(): Promise<void>;
}

/**
 * Starts the daemon, which serves one session through the listener. If a date is given, the set of the session gets it. Throws
 * as `tardisd` does.
 */
export async function startInnerDaemon(
  settings: Settings<'tardisd'>,
  listener: InnerListener,
  threads: number,
  dateMs: number | undefined,
): Promise<InnerDaemon> {
  const log = await openLog(settings);
  const now = nodeSystem(settings.umask);
  const system =
    dateMs === undefined ? now : { ...now, clock: { ...now.clock, nowMs: () => dateMs } };
  const database = isBucket(settings.sources.get('database'))
    ? await enterBucket('tardisd', settings)
    : settings.database;
  const { umask } = settings;
  const options = { ...daemonOptions({ ...settings, database }), address: listener };
  const storage = openStorage(system, threads, { umask, profiles: options.profiles }, log);
  try {
    const daemon = await Daemon.start(system, storage, options, log);
    return { close: () => daemon.stop() };
  } catch (error) {
    await storage.close();
    throw error;
  }
}
