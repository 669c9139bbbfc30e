/** The set that a request names. */
import type { BackupSet, History } from '../../history/index.js';

/** The newest complete set. */
const LATEST = 'latest';

/** Returns the set of a number, a name or `latest`. Throws NO_SUCH_SET. */
export function setOf(history: History, text: string): Promise<BackupSet> {
  return history.findSet(text === LATEST ? undefined : text);
}
