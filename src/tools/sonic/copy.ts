/** Implements `sonic copy`: copies clients to another store, and brings earlier copies up to date. */
import path from 'node:path';
import { isBucketText, type Settings } from '../../config/index.js';
import { asTardisError, TardisError, toWire } from '../../errors/index.js';
import { copyClient, type CopyProgress, type CopyResult } from '../../maintenance/rewrite/index.js';
import { displayText } from '../../model/index.js';
import { closeSharedStores, isClientDirectory, listClients } from '../../store/index.js';
import { byteText, realPathOf, type System, textBytes } from '../../system/index.js';
import { jsonText } from '../shared/json-text.js';
import { clientPlace, storeLimits, storeSystem } from '../shared/local-store.js';
import { compareShown } from '../shared/older-store.js';
import { donePartly } from '../shared/output.js';
import { sayAbove } from '../shared/progress-line.js';
import { interruptSignal, JSON_VERSION, print } from '../shared/run-tool.js';
import { counted, formatBytes } from '../shared/units.js';
import { refuseInClear } from '../shared/unlock.js';
import { withStepProgress } from './step-progress.js';

type Options = Settings<'sonic copy'>;

const STEPS = {
  contents: 'copying contents',
  sets: 'copying sets:',
  remove: 'freeing the space of deleted sets',
} as const;

/** A client to copy. */
interface Wanted {
  readonly client: string;
  /** Its name at the target. */
  readonly as: string;
}

/** The result of one client, for --json. */
type Shown = Wanted & (CopyResult | { readonly error: ReturnType<typeof toWire> });

export async function copy(options: Options): Promise<number> {
  const { copyTo, client, copyAs, allClients, json } = options;
  if (copyTo === undefined) throw new TardisError('USAGE', 'give the store to copy to: --to DIR');
  if (allClients && copyAs !== undefined) {
    throw new TardisError('USAGE', '--as names one client: it cannot be used with --all');
  }
  const system = storeSystem(options.umask);
  const { store } = clientPlace(options);
  const clients: Wanted[] = allClients
    ? listClients(system, store).map((name) => ({ client: name, as: name }))
    : [{ client, as: copyAs ?? client }];
  const target = isBucketText(byteText(copyTo)) ? await enterCopyTarget(options, copyTo) : copyTo;
  const signal = interruptSignal('sonic copy', 'the same command continues it');
  const shown: Shown[] = [];
  let status = 0;
  for (const wanted of clients) {
    try {
      const result = await copyOne(system, options, target, wanted, signal);
      if (result.lostVersions > 0) donePartly();
      if (!json) say(wanted, byteText(copyTo), result);
      shown.push({ ...wanted, ...result });
    } catch (error) {
      const failure = asTardisError(error, `copying the client "${wanted.client}"`);
      if (!allClients || failure.code === 'INTERRUPTED' || failure.code === 'INTERNAL') throw error;
      const text = displayText(failure.message);
      sayAbove(`the client "${wanted.client}" was not copied: ${text} [${failure.code}]`);
      shown.push({ ...wanted, error: toWire(failure) });
      status = Math.max(status, failure.row.exitStatus);
    }
  }
  if (target !== copyTo) await closeSharedStores();
  if (json) print(jsonText({ version: JSON_VERSION, to: byteText(copyTo), clients: shown }));
  return status;
}

/** Returns the directory that stands for a bucket. */
async function enterCopyTarget(options: Options, copyTo: Buffer): Promise<Buffer> {
  const { enterTarget } = await import('../shared/bucket-store.js'); // most copies go to directories
  return enterTarget({ ...options, database: copyTo });
}

async function copyOne(
  system: System,
  options: Options,
  copyTo: Buffer,
  { client, as }: Wanted,
  signal: AbortSignal,
): Promise<CopyResult> {
  const source = clientPlace({ ...options, client });
  const target = clientPlace({ ...options, database: copyTo, client: as });
  requireOther(source, target);
  compareShown(system, { ...options, client });
  // A copy may be older than what this machine has seen.
  if (isClientDirectory(system, path.join(target.store, as))) {
    refuseInClear(system, { ...options, database: copyTo, client: as });
  }
  const work = (onProgress: CopyProgress): Promise<CopyResult> =>
    copyClient(system, {
      source,
      target,
      limits: storeLimits(),
      deletes: options.copyDeletes,
      wasteRatio: options.wastePercent / 100,
      signal,
      onProgress,
    });
  return withStepProgress(system, options.progress, STEPS, work);
}

/** Throws USAGE if the source and the target are one directory. */
function requireOther(
  source: ReturnType<typeof clientPlace>,
  target: ReturnType<typeof clientPlace>,
): void {
  const [from, to] = [source, target].map(({ store, client }) =>
    realPathOf(textBytes(path.join(store, client))),
  );
  if (from === undefined || to === undefined || !from.equals(to)) return;
  throw new TardisError('USAGE', 'the target is the source: give another directory with --to');
}

function say({ client, as }: Wanted, to: string, result: CopyResult): void {
  const { sets, leftSet, deleted, copiedBytes, lostVersions, allSets } = result;
  const name = as === client ? `"${client}"` : `"${client}" as "${as}"`;
  const amount = `${counted(sets.length, 'set')}, ${formatBytes(copiedBytes)}`;
  const what = sets.length === 0 && copiedBytes === 0 ? 'nothing new' : amount;
  print(`${name} to ${displayText(to)}: ${what}; the copy has ${counted(allSets, 'set')}.`);
  if (deleted.length > 0)
    print(`${counted(deleted.length, 'set')} deleted: ${deleted.join(', ')}.`);
  if (leftSet !== undefined) {
    print(`Set ${leftSet} is not complete yet, and is left for the next run.`);
  }
  if (lostVersions === 0) return;
  const versions = lostVersions === 1 ? '1 version of a file' : `${lostVersions} versions of files`;
  print(`The contents of ${versions} are damaged or missing.`);
}
