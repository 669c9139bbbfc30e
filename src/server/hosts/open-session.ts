/** Opens a session of any purpose, in the calling thread. */
import { type ClientDirectory, newestKeys, reopenClient } from '../../store/index.js';
import { asTardisError, type TardisError } from '../../errors/index.js';
import type { System } from '../../system/index.js';
import { Purpose, type PurposeName } from '../../transport/index.js';
import type { StorageEvents, StorageHandle, StorageOptions } from '../storage/storage-options.js';
import { StorageSession } from '../ingest/storage-session.js';
import { purgeRequestFor } from '../storage/gc-work.js';

export interface SessionRequest {
  readonly directory: ClientDirectory;
  readonly purpose: PurposeName;
  readonly options: StorageOptions;
}

/** Default settings for garbage collection. */
const FREEING = { graceMs: 3_600_000, wasteRatio: 0.5 } as const;

/**
 * Opens a session. If a rewrite on another machine has replaced the present generation by one with equal keys, the
 * session uses the new one. Throws CLIENT_MOVED if the new generation has other keys, since the login is then not
 * valid.
 */
export async function openSession(
  system: System,
  request: SessionRequest,
  events: StorageEvents,
  copyFailed: (error: TardisError) => void,
): Promise<StorageHandle> {
  const { directory } = request;
  const keys = newestKeys(system, directory.path);
  try {
    return await openOnce(system, request, events, copyFailed);
  } catch (error) {
    if (asTardisError(error).code !== 'CLIENT_MOVED') throw error;
    const present = newestKeys(system, directory.path);
    const isSame = present === undefined ? keys === undefined : keys?.bytes.equals(present.bytes);
    if (isSame !== true) throw error;
    const moved = { ...request, directory: reopenClient(system, directory) };
    return openOnce(system, moved, events, copyFailed);
  }
}

/** Opens a session. Loads the code for readers and copies only if it is needed. */
async function openOnce(
  system: System,
  { directory, purpose, options }: SessionRequest,
  events: StorageEvents,
  copyFailed: (error: TardisError) => void,
): Promise<StorageHandle> {
  if (purpose === Purpose.backup) {
    return StorageSession.open(system, directory, options, { events, copyFailed });
  }
  if (purpose === Purpose.copy) {
    const { CopySession } = await import('../ingest/copy-session.js');
    return new CopySession(system, directory, options, events);
  }
  const { ReadingSession } = await import('../queries/reading-session.js');
  const { store, leastAgeMs = 0, forgetAfterMs = 0, rules, mayPurge = false } = options;
  const resistsFloods = !mayPurge;
  const rights = {
    leastAgeMs,
    forgetAfterMs,
    purgeRequestFor: purgeRequestFor({ leastAgeMs, rules, resistsFloods }),
  };
  const { freeing = FREEING, umask } = options;
  const work = { limits: store, umask, ...freeing };
  return ReadingSession.open(system, directory, work, { rights, account: options.account, events });
}
