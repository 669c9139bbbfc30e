/** The daemon of a server that runs in the process of its client. This module is loaded only for such a server. */
import type { Settings } from '../../config/index.js';
import type { TardisError } from '../../errors/index.js';
import { nodeSystem } from '../../system/index.js';
import type { InnerListener } from '../../transport/index.js';
import { inBucket } from '../shared/tool-store.js';
import { daemonOptions, startDaemon } from '../tardisd/daemon-options.js';
import { openLog } from '../tardisd/serving.js';

export interface InnerDaemon {
  /** Ends the session, if there is one. Resolves when nothing of the store is open, with the error with which the session ended. */
  close(): Promise<TardisError | undefined>;
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
  let fault: TardisError | undefined;
  const options = {
    ...daemonOptions(await inBucket('tardisd', settings)),
    address: listener,
    onFault: (error: TardisError): void => void (fault ??= error),
  };
  const daemon = await startDaemon(system, { threads, umask: settings.umask }, options, log);
  return {
    close: async () => {
      await daemon.stop();
      return fault;
    },
  };
}
