/** Implements `sonic delete` and `sonic orphans`: deletes sets, and frees the space that only they used. */
import type { BackupSet } from '../../history/index.js';
import type { Settings } from '../../config/index.js';
import { asTardisError, usageError } from '../../errors/index.js';
import type { Admin } from '../../maintenance/admin/index.js';
import type { GcReport } from '../../maintenance/gc/index.js';
import type { SetNumber } from '../../model/index.js';
import { CLEARED_LATER, clearUpAfter, freeUnneeded, gcSummary } from '../shared/clear-up.js';
import { compareWithKnown, openAdmin } from '../opening/admin.js';
import { unlockForNames, unlockIfGiven } from '../opening/keys.js';
import { noteNumbers, onlyShows } from '../shared/run-facts.js';
import { setText } from '../shared/report-sets.js';
import { requireYesToDelete } from './confirm.js';
import { warnIfOlder } from '../opening/rollback.js';
import { interruptSignal } from '../shared/signals.js';
import { print, printJson } from '../output/output.js';
import { printWarning } from '../output/progress-line.js';
import { withReports } from '../opening/history.js';
import { chosenSets } from './set-choice.js';
import { counted, formatBytes } from '../output/units.js';
import { storeSystem } from '../opening/local-store.js';

type DeleteOptions = Settings<'sonic delete'>;
type OrphanOptions = Settings<'sonic orphans'>;
export async function deleteSets(options: DeleteOptions): Promise<void> {
  if (options.setsToDelete.length === 0) {
    throw usageError('give the backup sets to delete, by number, name or range');
  }
  const system = storeSystem(options.umask);
  using there = await openAdmin(system, options, unlockForNames);
  const sets = chosenSets(
    options.client,
    await there.sets(),
    options.setsToDelete,
    options.recentSet,
  );
  const numbers = sets.map(({ set }) => set);
  await there.previewDelete(numbers); // reports errors before the user is prompted
  if (!mayGo(options, sets)) return onlyShows();
  const signal = interruptSignal('sonic delete', CLEARED_LATER); // until here a signal ends the process at once
  const done = await deletedOf(there, numbers);
  noteNumbers({ sets: done.length });
  await clearUpAfter({ system, there, options, signal }, (freed) =>
    printDeleted(options, done, freed),
  );
}

/** Deletes sets, but not those that another command has deleted meanwhile. Returns the deleted ones. */
async function deletedOf(there: Admin, sets: readonly SetNumber[]): Promise<readonly SetNumber[]> {
  try {
    await there.deleteSets(sets);
    return sets;
  } catch (error) {
    const listed = new Set((await there.sets()).map(({ set }) => set));
    const left = sets.filter((set) => listed.has(set));
    if (asTardisError(error).code !== 'NO_SUCH_SET' || left.length === sets.length) throw error;
    printWarning(
      `${counted(sets.length - left.length, 'set')} deleted by another command meanwhile`,
    );
    return left.length === 0 ? [] : await deletedOf(there, left);
  }
}

/** Collects the garbage of the whole client, even if nothing indicates that there is any. */
export async function orphans(options: OrphanOptions): Promise<void> {
  if (options.rehearse) {
    onlyShows();
    return orphansRehearsed(options);
  }
  const system = storeSystem(options.umask);
  const isHere = options.throughServer === undefined;
  const settings = isHere ? { ...options, account: undefined } : options; // the store itself has no accounts to enforce
  using there = await openAdmin(system, settings, unlockIfGiven);
  if (isHere) warnIfOlder(system, options);
  else await compareWithKnown(there);
  const signal = interruptSignal('sonic orphans', CLEARED_LATER);
  const report = await freeUnneeded(system, there, options, signal);
  if (options.json) printJson({ client: options.client, ...report });
  else print(`"${options.client}": ${gcSummary(report)}`);
}

/**
 * Prints the size of contents that are known to be unused. Unused data of deleted sets becomes known only by a garbage
 * collection.
 */
async function orphansRehearsed(options: OrphanOptions): Promise<void> {
  const { client, json, wastePercent } = options;
  await withReports({ ...options, unlock: unlockIfGiven }, async (history) => {
    const { deadBytes } = (await history.reports.figures()).numbers;
    if (json) printJson({ client, isPreview: true, deadBytes });
    else
      print(
        `"${client}": about ${formatBytes(deadBytes)} of contents are not needed; those in packs of which they are at least ${wastePercent} % would be deleted.`,
      );
  });
}

/** True if the sets are to be deleted; false for a dry run. Prompts the user if needed. Throws CONFIRMATION_NEEDED. */
function mayGo(options: DeleteOptions, sets: readonly BackupSet[]): boolean {
  const { client, rehearse, json, deleteYes } = options;
  const shown = sets.map(setText);
  if (rehearse) {
    const numbers = sets.map(({ set }) => set);
    if (json) printJson({ client, wouldDelete: numbers });
    else for (const text of shown) print(`would delete ${text}`);
    return false;
  }
  if (!deleteYes) requireYesToDelete(client, shown);
  return true;
}

function printDeleted(
  { client, json }: DeleteOptions,
  sets: readonly SetNumber[],
  report: GcReport | undefined,
): void {
  if (json) return printJson({ client, deleted: sets, ...report });
  const later = 'their space is freed later (by sonic orphans or the server)';
  const rest = report === undefined ? later : gcSummary(report);
  print(`${counted(sets.length, 'backup set')} of "${client}" deleted; ${rest}`);
}
