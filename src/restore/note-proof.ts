/**
 * Notes at a store that a restore has proven its backups: files were written, and all of their contents had the right
 * digests. `tardis status`, the page, metrics and mails show the time of the last such restore.
 */
import { asTardisError, type ErrorCode } from '../errors/index.js';
import type { History } from '../history/index.js';
import type { RestoreFailure, RestoreProgress } from './progress.js';

/** Failures that are not about contents: a system refused an attribute, or the backup could not read an entry. */
const NOT_OF_CONTENTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ATTRIBUTE_NOT_SET',
  'UNREAD_AT_BACKUP',
]);

/** The result of a restore from a history. */
interface Restored {
  readonly progress: Pick<RestoreProgress, 'files'>;
  readonly failures: readonly RestoreFailure[];
}

/** True if a restore proves that files can be restored: some were written, none failed, and nothing was in doubt. */
function isProof(
  { doubts, hasUnproven = false }: History,
  { progress, failures }: Restored,
): boolean {
  const isWhole = failures.every(({ error }) => NOT_OF_CONTENTS.has(error.code));
  return progress.files > 0 && isWhole && doubts.length === 0 && !hasUnproven;
}

/**
 * Notes a restore at the store if it is a proof. Returns true if it is one, even if the store cannot be written, or its server
 * takes no notes: then only the time is not shown there. Throws errors of bugs.
 */
export async function noteProof(history: History, restored: Restored): Promise<boolean> {
  if (!isProof(history, restored)) return false;
  try {
    await history.reports.noteRestored();
  } catch (error) {
    if (asTardisError(error).row.kind === 'bug') throw error;
  }
  return true;
}
