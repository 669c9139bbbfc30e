/** A session of either purpose, in whatever thread it is to run. */
import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { type MessageName, Purpose, type PurposeName } from '../../transport/index.js';
import { type AnswerSink, type StorageOptions, StorageSession } from './storage-session.js';

export interface SessionRequest {
  readonly directory: ClientDirectory;
  readonly purpose: PurposeName;
  readonly options: StorageOptions;
}

/** What both kinds of sessions do. */
export interface AnySession {
  post(name: MessageName, bytes: Buffer): void;
  end(): Promise<void>;
  abandon(): Promise<void>;
}

/** What only readers need is loaded for them only. */
export async function openSession(
  system: System,
  { directory, purpose, options }: SessionRequest,
  sink: AnswerSink,
  onFailure: (error: unknown) => void,
): Promise<AnySession> {
  if (purpose === Purpose.backup) {
    return StorageSession.open(system, directory, options, sink, onFailure);
  }
  const { ReadingSession } = await import('../reading/reading-session.js');
  return ReadingSession.open(system, directory, sink, onFailure);
}
