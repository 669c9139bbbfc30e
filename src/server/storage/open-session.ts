/** Opens a session of either purpose, in the calling thread. */
import type { CatalogCopies } from '../../store/writer/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { type MessageName, Purpose, type PurposeName } from '../../transport/index.js';
import type { StorageEvents, StorageOptions } from './storage-options.js';
import { StorageSession } from '../ingest/storage-session.js';
import { wishFor } from './gc-work.js';

export interface SessionRequest {
  readonly directory: ClientDirectory;
  readonly purpose: PurposeName;
  readonly options: StorageOptions;
}

/** Operations of both kinds of sessions. */
export interface AnySession {
  post(name: MessageName, bytes: Buffer): void;
  checkpointSoon(): void;
  end(): Promise<void>;
  abandon(): Promise<void>;
}

/** Default settings for garbage collection. */
const FREEING = { graceMs: 3_600_000, wasteRatio: 0.5 } as const;

/** Opens a session. The code for readers is loaded on demand. */
export async function openSession(
  system: System,
  { directory, purpose, options }: SessionRequest,
  events: StorageEvents,
  copies: CatalogCopies,
): Promise<AnySession> {
  if (purpose === Purpose.backup) {
    const session = await StorageSession.open(system, directory, options, events);
    return withCopy(session, copies, directory, options.catalogCopies ?? 0);
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
  const tending = { limits: store, umask, ...freeing };
  return ReadingSession.open(system, directory, tending, rights, events);
}

/**
 * Wraps a session, so that its catalog is copied after its end if it changed anything. The end does not wait for
 * the copy.
 */
function withCopy(
  session: StorageSession,
  copies: CatalogCopies,
  directory: ClientDirectory,
  keep: number,
): AnySession {
  return {
    post: (name, bytes) => session.post(name, bytes),
    checkpointSoon: () => session.checkpointSoon(),
    end: async () => {
      await session.end();
      if (session.hasChanges) copies.start(directory, keep);
    },
    abandon: () => session.abandon(),
  };
}
