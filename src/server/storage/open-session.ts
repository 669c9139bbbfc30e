/** A session of either purpose, in whatever thread it is to run. */
import type { CatalogCopies } from '../../keeper/index.js';
import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { type MessageName, Purpose, type PurposeName } from '../../transport/index.js';
import type { AnswerSink, StorageOptions } from './storage-options.js';
import { StorageSession } from './storage-session.js';
import { wishFor } from './upkeep-work.js';

export interface SessionRequest {
  readonly directory: ClientDirectory;
  readonly purpose: PurposeName;
  readonly options: StorageOptions;
}

/** What both kinds of sessions do. */
export interface AnySession {
  post(name: MessageName, bytes: Buffer): void;
  checkpointSoon(): void;
  end(): Promise<void>;
  abandon(): Promise<void>;
}

/** Where nothing else is said. */
const FREEING = { graceMs: 3_600_000, wasteRatio: 0.5 } as const;

/** What only readers need is loaded for them only. */
export async function openSession(
  system: System,
  { directory, purpose, options }: SessionRequest,
  sink: AnswerSink,
  onFailure: (error: unknown) => void,
  copies: CatalogCopies,
): Promise<AnySession> {
  if (purpose === Purpose.backup) {
    const session = await StorageSession.open(system, directory, options, sink, onFailure);
    return withCopy(session, copies, directory, options.catalogCopies ?? 0);
  }
  const { ReadingSession } = await import('../reading/reading-session.js');
  const { store, leastAgeMs = 0, forgetAfterMs = 0, rules } = options;
  const rights = { leastAgeMs, forgetAfterMs, wishFor: wishFor({ leastAgeMs, rules }) };
  const { freeing = FREEING, umask } = options;
  const tending = { limits: store, umask, ...freeing };
  return ReadingSession.open(system, directory, tending, rights, sink, onFailure);
}

/** Behind a session that changed something its catalog is copied; nobody waits for that. */
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
