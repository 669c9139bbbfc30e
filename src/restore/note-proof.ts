/**
 * Adds a restore that has proven the backups to the journal of the client: files were written, and all of their contents
 * had the right digests.
 */
import { isDoneUnlessBug, type ErrorCode } from '../errors/index.js';
import type { History } from '../history/index.js';
import type { RunRecord } from '../model/index.js';
import type { RestoreFailure, RestoreProgress } from './progress.js';

/** Failures that are not about contents: a system refused an attribute, or the backup could not read an entry. */
const NOT_OF_CONTENTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ATTRIBUTE_NOT_SET',
  'UNREAD_AT_BACKUP',
]);

/** The result of a restore from a history. */
interface Restored {
  readonly progress: Pick<RestoreProgress, 'files' | 'bytes'>;
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
 * Adds the record of a restore to the journal if it is a proof. Returns true if it is one, even if there is no record, the
 * store cannot be written, or its server takes no records. Throws errors of bugs.
 */
export async function noteProof(
  history: History,
  restored: Restored,
  run: RunRecord | undefined,
): Promise<boolean> {
  if (!isProof(history, restored)) return false;
  const { files, bytes } = restored.progress;
  await isDoneUnlessBug(async () => {
    if (run !== undefined) await history.reports.noteRuns([{ ...run, numbers: { files, bytes } }]);
  });
  return true;
}
