/** Finds the set that a request names. */
import type { BackupSet, History } from '../../history/index.js';

/** The name that stands for the newest complete set. */
const LATEST = 'latest';

/** Returns the set that a text names: a number, a name or `latest`. Throws NO_SUCH_SET. */
export function setOf(history: History, text: string): Promise<BackupSet> {
  return history.findSet(text === LATEST ? undefined : text);
}
