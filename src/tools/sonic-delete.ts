/** `sonic delete` and `sonic orphans`: sets are given up, and what they alone held is freed. */
import type { BackupSet } from '../archive/index.js';
import type { Found, Settings } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import type { UpkeepReport } from '../keeper/index.js';
import { displayName } from '../model/index.js';
import { openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import { CLEARED_LATER, describedUpkeep, freeUnneeded } from './clear-up.js';
import { openClientSets } from './client-sets.js';
import { requireYesToDelete, setText } from './confirm.js';
import { ProgressLine } from './progress-line.js';
import { interruptSignal, JSON_VERSION, print } from './run-tool.js';
import { withReports } from './open-archive.js';
import { chosenSets } from './set-choice.js';
import { counted, formatBytes, formatCount } from './units.js';
import { unlockClient } from './unlock.js';
import { clientPlace, storeSystem } from './local-store.js';
import { openServerSets } from './server-login.js';

type DeleteOptions = Settings<'sonic delete'>;
type OrphanOptions = Settings<'sonic orphans'>;
type Sources = ReadonlyMap<string, Found>;

export async function deleteSets(options: DeleteOptions, found: Sources): Promise<number> {
  if (options.setsToDelete.length === 0) {
    throw new TardisError('USAGE', 'name the backup sets to delete, by number, name or range');
  }
  const system = storeSystem(options.umask);
  const there = await openClientSets(system, options, found);
  const { keyring } = there;
  try {
    const sets = chosenSets(
      options.client,
      await there.sets(),
      options.setsToDelete,
      options.recentSet,
    );
    const numbers = sets.map(({ set }) => set);
    await there.previewDrop(numbers); // before a question
    if (!mayGo(options, sets)) return 0;
    const signal = interruptSignal('sonic delete', CLEARED_LATER); // before, a signal ends this at once
    await there.drop(numbers);
    const isHere = options.throughServer === undefined; // a server clears up by itself
    const clears = isHere && options.clearUp;
    let report: UpkeepReport | undefined;
    try {
      if (clears) {
        report = await freeUnneeded(system, options, keyring, { isThorough: false, signal });
      }
    } catch (error) {
      tellDeleted(options, numbers, undefined); // whatever became of the rest, they are gone
      throw error;
    }
    tellDeleted(options, numbers, report);
  } finally {
    there.close();
  }
  return 0;
}

/** Clears all of a client up, whether anything says that there is something to clear or not. */
export async function orphans(options: OrphanOptions, found: Sources): Promise<number> {
  if (options.rehearse) return orphansRehearsed(options, found);
  const system = storeSystem(options.umask);
  if (options.throughServer !== undefined) {
    return orphansThere(system, options.throughServer, options, found);
  }
  openClientDirectory(system, clientPlace(options));
  const keyring = await unlockClient(system, { ...options, account: undefined }, found);
  const signal = interruptSignal('sonic orphans', CLEARED_LATER);
  const report = await freeUnneeded(system, options, keyring, { isThorough: true, signal });
  if (options.json)
    print(JSON.stringify({ version: JSON_VERSION, client: options.client, ...report }));
  else print(`"${options.client}": ${describedUpkeep(report)}`);
  return 0;
}

/** What is known to be of no use; what deleted sets alone held is found when it is cleared up. */
async function orphansRehearsed(options: OrphanOptions, found: Sources): Promise<number> {
  const { client, json } = options;
  await withReports(options, found, async (archive) => {
    const deadBytes = (await archive.reports.figures())?.numbers.deadBytes ?? 0;
    if (json) print(JSON.stringify({ version: JSON_VERSION, client, isPreview: true, deadBytes }));
    else
      print(
        `"${client}": about ${formatBytes(deadBytes)} of contents that nothing needs would go.`,
      );
  });
  return 0;
}

/** The server looks through all of it; what encrypted frames hold moves as it is. */
async function orphansThere(
  system: System,
  host: string,
  options: OrphanOptions,
  found: Sources,
): Promise<number> {
  const there = await openServerSets(system, host, options, found);
  let shown = 'looking for what nothing needs';
  const line = new ProgressLine(options.progress, () => shown);
  line.start();
  try {
    const report = await there.free({
      signal: interruptSignal('sonic orphans', CLEARED_LATER),
      onProgress: ({ step, done, of }) => {
        const total = of === undefined ? '' : ` of ${formatCount(of)}`;
        shown = `${displayName(Buffer.from(step))}: ${formatCount(done)}${total}`;
      },
    });
    line.stop();
    if (options.json) {
      print(JSON.stringify({ version: JSON_VERSION, client: options.client, ...report }));
    } else print(`"${options.client}": ${describedUpkeep(report)}`);
    return 0;
  } finally {
    line.stop();
    there.archive.close();
  }
}

/** What of a wish is left to do: false after a rehearsal. Throws CONFIRMATION_NEEDED. */
function mayGo(options: DeleteOptions, sets: readonly BackupSet[]): boolean {
  const { client, rehearse, json, deleteYes } = options;
  if (rehearse) {
    const numbers = sets.map(({ set }) => set);
    if (json) print(JSON.stringify({ version: JSON_VERSION, client, wouldDelete: numbers }));
    else for (const set of sets) print(`would delete ${setText(set)}`);
    return false;
  }
  if (!deleteYes) requireYesToDelete(client, sets);
  return true;
}

function tellDeleted(
  { client, json }: DeleteOptions,
  sets: readonly number[],
  report: UpkeepReport | undefined,
): void {
  if (json) {
    print(JSON.stringify({ version: JSON_VERSION, client, deleted: sets, ...report }));
    return;
  }
  const later = 'what they held is freed later (sonic orphans, or by the server)';
  const rest = report === undefined ? later : describedUpkeep(report);
  print(`${counted(sets.length, 'backup set')} of "${client}" deleted; ${rest}`);
}
