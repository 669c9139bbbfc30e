/** Implements `sonic delete` and `sonic orphans`: deletes sets, and frees the space that only they used. */
import type { BackupSet } from '../../history/index.js';
import type { Found, Settings } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import type { GcReport } from '../../maintenance/gc/index.js';
import { displayName, type SetNumber } from '../../model/index.js';
import { openClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { CLEARED_LATER, gcSummary, freeUnneeded } from '../shared/clear-up.js';
import { openAdmin, openAdminThere } from '../shared/open-admin.js';
import { requireYesToDelete, setText } from './confirm.js';
import { ProgressLine } from '../shared/progress-line.js';
import { warnIfOlder } from '../shared/older-store.js';
import { interruptSignal, JSON_VERSION, print } from '../shared/run-tool.js';
import { warnOlder, withReports } from '../shared/open-history.js';
import { chosenSets } from './set-choice.js';
import { counted, formatBytes, formatCount } from '../shared/units.js';
import { unlockClient } from '../shared/unlock.js';
import { clientPlace, storeSystem } from '../shared/local-store.js';
import { jsonText } from '../shared/json-text.js';

type DeleteOptions = Settings<'sonic delete'>;
type OrphanOptions = Settings<'sonic orphans'>;
type Sources = ReadonlyMap<string, Found>;

export async function deleteSets(options: DeleteOptions, found: Sources): Promise<number> {
  if (options.setsToDelete.length === 0) {
    throw new TardisError('USAGE', 'give the backup sets to delete, by number, name or range');
  }
  const system = storeSystem(options.umask);
  const there = await openAdmin(system, options, found);
  const { keyring } = there;
  try {
    const sets = chosenSets(
      options.client,
      await there.sets(),
      options.setsToDelete,
      options.recentSet,
    );
    const numbers = sets.map(({ set }) => set);
    await there.previewDrop(numbers); // reports errors before the prompt
    if (!mayGo(options, sets)) return 0;
    const signal = interruptSignal('sonic delete', CLEARED_LATER); // until here a signal ends the process at once
    await there.drop(numbers);
    const isHere = options.throughServer === undefined; // a server collects garbage by itself
    const clears = isHere && options.clearUp;
    let report: GcReport | undefined;
    try {
      if (clears) {
        report = await freeUnneeded(system, options, keyring, { isThorough: false, signal });
      }
    } catch (error) {
      printDeleted(options, numbers, undefined); // the sets are deleted even if the garbage collection failed
      throw error;
    }
    printDeleted(options, numbers, report);
  } finally {
    there.close();
  }
  return 0;
}

/** Collects the garbage of the whole client, even without any sign of garbage. */
export async function orphans(options: OrphanOptions, found: Sources): Promise<number> {
  if (options.rehearse) return orphansRehearsed(options, found);
  const system = storeSystem(options.umask);
  if (options.throughServer !== undefined) {
    return orphansThere(system, options.throughServer, options, found);
  }
  openClientDirectory(system, clientPlace(options));
  const keyring = await unlockClient(system, { ...options, account: undefined }, found);
  warnIfOlder(system, options);
  const signal = interruptSignal('sonic orphans', CLEARED_LATER);
  const report = await freeUnneeded(system, options, keyring, { isThorough: true, signal });
  if (options.json) print(jsonText({ version: JSON_VERSION, client: options.client, ...report }));
  else print(`"${options.client}": ${gcSummary(report)}`);
  return 0;
}

/** Prints the size of contents known to be unused. Data of deleted sets is found only by a garbage collection. */
async function orphansRehearsed(options: OrphanOptions, found: Sources): Promise<number> {
  const { client, json } = options;
  await withReports(options, found, async (history) => {
    const deadBytes = (await history.reports.figures())?.numbers.deadBytes ?? 0;
    if (json) print(jsonText({ version: JSON_VERSION, client, isPreview: true, deadBytes }));
    else
      print(`"${client}": about ${formatBytes(deadBytes)} of unneeded contents would be deleted.`);
  });
  return 0;
}

/** Lets the server scan the whole client. Encrypted frames are moved without decrypting them. */
async function orphansThere(
  system: System,
  host: string,
  options: OrphanOptions,
  found: Sources,
): Promise<number> {
  const there = await openAdminThere(system, host, options, found);
  let shown = 'looking for unneeded contents';
  const line = new ProgressLine(options.progress, () => shown);
  try {
    there.far.history.acceptOlder?.(warnOlder);
    await there.sets(); // compares the sets with this machine's memory
    line.start();
    const report = await there.far.free({
      signal: interruptSignal('sonic orphans', CLEARED_LATER),
      onProgress: ({ step, done, of }) => {
        const total = of === undefined ? '' : ` of ${formatCount(of)}`;
        shown = `${displayName(Buffer.from(step))}: ${formatCount(done)}${total}`;
      },
    });
    line.stop();
    if (options.json) {
      print(jsonText({ version: JSON_VERSION, client: options.client, ...report }));
    } else print(`"${options.client}": ${gcSummary(report)}`);
    return 0;
  } finally {
    line.stop();
    there.close();
  }
}

/** True if the sets are to be deleted; false for a dry run. Throws CONFIRMATION_NEEDED. */
function mayGo(options: DeleteOptions, sets: readonly BackupSet[]): boolean {
  const { client, rehearse, json, deleteYes } = options;
  if (rehearse) {
    const numbers = sets.map(({ set }) => set);
    if (json) print(jsonText({ version: JSON_VERSION, client, wouldDelete: numbers }));
    else for (const set of sets) print(`would delete ${setText(set)}`);
    return false;
  }
  if (!deleteYes) requireYesToDelete(client, sets);
  return true;
}

function printDeleted(
  { client, json }: DeleteOptions,
  sets: readonly SetNumber[],
  report: GcReport | undefined,
): void {
  if (json) {
    print(jsonText({ version: JSON_VERSION, client, deleted: sets, ...report }));
    return;
  }
  const later = 'their space is freed later (by sonic orphans or the server)';
  const rest = report === undefined ? later : gcSummary(report);
  print(`${counted(sets.length, 'backup set')} of "${client}" deleted; ${rest}`);
}
