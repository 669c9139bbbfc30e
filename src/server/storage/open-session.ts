/** Opens a session of either purpose, in the calling thread. */
import type { CatalogCopies } from '../../store/writer/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { Purpose, type PurposeName } from '../../transport/index.js';
import type { StorageEvents, StorageHandle, StorageOptions } from './storage-options.js';
import { StorageSession } from '../ingest/storage-session.js';
import { wishFor } from './gc-work.js';

export interface SessionRequest {
  readonly directory: ClientDirectory;
  readonly purpose: PurposeName;
  readonly options: StorageOptions;
}

/** Default settings for garbage collection. */
const FREEING = { graceMs: 3_600_000, wasteRatio: 0.5 } as const;

/** Opens a session. The code for readers is loaded on demand. */
export async function openSession(
  system: System,
  { directory, purpose, options }: SessionRequest,
  events: StorageEvents,
  copies: CatalogCopies,
): Promise<StorageHandle> {
  if (purpose === Purpose.backup) {
    return StorageSession.open(system, directory, options, { events, copies });
  }
  const { ReadingSession } = await import('../queries/reading-session.js');
  const { store, leastAgeMs = 0, forgetAfterMs = 0, rules, mayPurge = false } = options;
  const resistsFloods = !mayPurge;
  const rights = {
    leastAgeMs,
    forgetAfterMs,
    wishFor: wishFor({ leastAgeMs, rules, resistsFloods }),
  };
  const { freeing = FREEING, umask } = options;
  const work = { limits: store, umask, ...freeing };
  return ReadingSession.open(system, directory, work, { rights, events });
}
