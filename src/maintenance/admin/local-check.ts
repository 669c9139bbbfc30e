/**
 * Checks a client in a store on this machine, and repairs it from its parity. With the keys, a check also compares each set
 * with its seal.
 */
import type { Keyring } from '../../crypto/index.js';
import { asTardisError, Opened, throwIfAborted, toWire } from '../../errors/index.js';
import { type History, ListingFaults } from '../../history/index.js';
import { Catalog } from '../../store/catalog/index.js';
import {
  checkClient,
  parityOf,
  type ParitySummary,
  repairClient,
  repairCopies,
  repairInBucket,
  type RepairOptions,
  type RepairOutcome,
  type SealFinding,
  withOwner,
} from '../check/index.js';
import type { CheckHooks, CheckOutcome, CheckRequest } from './admin.js';
import type { LocalAdminOptions } from './local-admin.js';
import { type ClientDirectory, mendNotes, reopenClient } from '../../store/index.js';
import { catchUp, type StoreLimits } from '../../store/writer/index.js';
import type { System } from '../../system/index.js';

/**
 * Checks a client, and names the owners of misplaced packs. Throws INTERRUPTED if it is aborted, and the errors of
 * `checkClient`.
 */
export async function checkHere(
  system: System,
  client: LocalAdminOptions,
  { withListings = false, ...request }: CheckRequest,
  { signal, onFinding, onProgress }: CheckHooks,
): Promise<CheckOutcome> {
  const { directory, limits, keyring } = client;
  const owned = withOwner(system, directory);
  const result = await checkClient(system, directory, {
    ...request,
    keyring,
    isEncrypted: client.isEncrypted(),
    limits,
    signal,
    onFinding: (finding) => onFinding(owned(finding)),
    onStep: (step) => onProgress({ step, done: 0 }),
    onRead: (done, of) => onProgress({ step: 'read', done, of }),
  });
  const notMarked = result.notMarked && toWire(result.notMarked);
  const canCompare = result.catalogFaults === 0 && result.records > 0;
  const seals =
    keyring === undefined || !canCompare
      ? []
      : await sealFindings(system, client, keyring, {
          withListings: withListings || request.read.data.kind !== 'none',
          signal,
        });
  seals.forEach(onFinding);
  const unprovenSets = new Set(seals.map(({ set }) => set)).size;
  return { ...result, notMarked, omitted: 0, unprovenSets };
}

/**
 * Returns the sets and directories that do not fit their seals. `withListings` checks all sets and each directory;
 * otherwise only the newest set is checked, as a whole.
 */
async function sealFindings(
  system: System,
  { directory, openHistory }: LocalAdminOptions,
  keyring: Keyring,
  { withListings, signal }: { readonly withListings: boolean; readonly signal: AbortSignal },
): Promise<SealFinding[]> {
  using opened = new Opened();
  const history = opened.add(openHistory(), (one) => one.close());
  history.acceptOlder?.(() => undefined); // the caller has already compared the store with this machine's memory of it
  const sets = await brokenSets(history, withListings, signal);
  if (!withListings) return sets;
  const { catalogPath } = directory;
  const catalog = opened.add(Catalog.openForReading(system, catalogPath), (one) => one.close());
  const faults = new ListingFaults(catalog, keyring, system.native);
  await faults.find(signal);
  const rising = [...faults.bySet].sort(([one], [other]) => one - other);
  return [
    ...sets,
    ...rising.map(([set, directories]): SealFinding => ({ finding: 'seal', set, directories })),
  ];
}

/**
 * Returns the complete sets that do not fit their seals. With `all`, checks every set, and fetches the seals of all its
 * directories. Otherwise only the newest set is checked. Throws INTERRUPTED if it is aborted.
 */
export async function brokenSets(
  history: History,
  all: boolean,
  signal: AbortSignal,
): Promise<SealFinding[]> {
  const found: SealFinding[] = [];
  const complete = (await history.sets()).filter(({ state }) => state === 'complete');
  // The newest set comes first, so that this machine updates its memory of the newest set once and not for each set.
  for (const { set } of complete.slice(all ? 0 : -1).reverse()) {
    throwIfAborted(signal);
    try {
      await history.roots(set);
    } catch (error) {
      const { code } = asTardisError(error);
      if (code === 'NO_SUCH_SET') continue; // deleted meanwhile
      if (code !== 'NOT_AUTHENTIC') throw error;
      found.push({ finding: 'seal', set });
    }
  }
  return found.reverse();
}

/**
 * Repairs a client. In a bucket, damaged notes of its generations are made again before the repair. After it, this
 * machine's catalog is brought up to date, which damaged commits prevent before, and wrong copies of the catalog are
 * replaced. Throws CLIENT_BUSY if the client is in use, INTERRUPTED if it is aborted, and errors of a bucket.
 */
export async function repairHere(
  system: System,
  { directory, limits }: { readonly directory: ClientDirectory; readonly limits: StoreLimits },
  options: RepairOptions,
): Promise<RepairOutcome> {
  if (directory.bucket !== undefined) {
    await mendNotes(system, directory);
    const { repair, ...outcome } = await repairInBucket(system, directory, options);
    await catchUp(system, directory);
    const left = await repairCopies(system, reopenClient(system, directory), limits, options);
    return { ...outcome, repair: { ...repair, damaged: repair.damaged + left } };
  }
  const repair = await repairClient(system, directory, options);
  return { ...(await parityOf(system, directory)), repair };
}

/** Returns a summary of the parity; undefined in a bucket, where only a repair reads enough to find the parity. */
export async function parityHere(
  system: System,
  directory: ClientDirectory,
): Promise<ParitySummary | undefined> {
  return directory.bucket === undefined ? parityOf(system, directory) : undefined;
}
