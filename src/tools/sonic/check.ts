/** Implements `sonic check`: checks the store of a client, and names the versions of files that cannot be restored. */
import { configInvalid, type Found, parseSize, type Settings } from '../../config/index.js';
import type { Keyring } from '../../crypto/index.js';
import { TardisError, toWire } from '../../errors/index.js';
import { bucketAt, fetchClient, openClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import {
  checkClient,
  type CheckOptions,
  type CheckStep,
  type Finding,
  type ReadData,
  type ReadRequest,
  type SealFinding,
} from '../../maintenance/check/index.js';
import { brokenSets, sealFindings } from './check-seals.js';
import {
  type BucketParityReport,
  lookAtParity,
  parityLines,
  type ParityReport,
  refuseFarRepair,
  repairThere,
} from './check-parity.js';
import { checkSource, isSourceWrong, sourceLines } from './check-source.js';
import { compareShown, warnIfOlder } from '../shared/older-store.js';
import { openAdminThere } from '../shared/open-admin.js';
import { warnOlder } from '../shared/open-history.js';
import { progressBar } from '../shared/progress-bar.js';
import { ProgressLine } from '../shared/progress-line.js';
import {
  isDamaged,
  FindingPrinter,
  printJson,
  printText,
  type CheckReport,
} from './report-check.js';
import { interruptSignal, print } from '../shared/run-tool.js';
import { clientNames } from './shown-packs.js';
import { TimeLeft } from '../shared/time-left.js';
import { formatBytes } from '../shared/units.js';
import {
  hasPassword,
  isWithoutKeys,
  mayEncrypt,
  refuseInClear,
  unlockClient,
} from '../shared/unlock.js';
import { clientPlace, storeSystem, storeLimits } from '../shared/local-store.js';

type Options = Settings<'sonic check'>;

/** Exit status if damage was found. */
const FOUND_STATUS = 3;
const DAY_MS = 86_400_000;
/** Phrase for a check that was interrupted. */
const SO_FAR = 'what was found so far is reported';

const ALL: ReadData = Object.freeze({ kind: 'all' });

const STEPS: Readonly<Record<CheckStep, string>> = {
  catalog: 'checking the catalog',
  packs: 'comparing the catalog with the packs',
  records: 'checking records',
  marks: 'marking damage',
};

export async function check(options: Options, found: ReadonlyMap<string, Found>): Promise<number> {
  const data = readDataOf(options.readData);
  const system = storeSystem(options.umask);
  const wish = {
    read: { data, leastAgeMs: options.readDataAgeDays * DAY_MS },
    mark: options.mark,
  };
  const startMs = system.clock.monotonicMs();
  let signal: AbortSignal | undefined;
  const interrupted = (): AbortSignal => (signal ??= interruptSignal('sonic check', SO_FAR));
  const progress = new Progress(options.progress, () => system.clock.monotonicMs());
  const teller = new FindingPrinter(options.json, progress.line);
  const task = { system, options, found, wish, progress, teller, interrupted };
  const host = options.throughServer;
  const {
    result,
    hasKeys,
    parity,
    data: read = data,
  } = host === undefined ? await checkHere(task) : await checkThere(task, host);
  const source = options.againstSource ? await checkSource(options, found, interrupted) : undefined;
  const elapsedMs = system.clock.monotonicMs() - startMs;
  if (options.json) printJson(options, result, elapsedMs, { source, parity });
  else {
    printText(options, result, elapsedMs, { data: read, hasKeys, shown: teller });
    if (parity !== undefined) parityLines(parity).forEach(print);
    if (source !== undefined) sourceLines(source).forEach(print);
  }
  const isUnrepaired = (parity?.repair?.damaged ?? 0) > 0;
  return isDamaged(result) || isSourceWrong(source) || isUnrepaired ? FOUND_STATUS : 0;
}

/** The data to read, and the choice to mark damage. */
type Requested = Pick<CheckOptions, 'read' | 'mark'>;
/**
 * Handles interruptions from the first call on. Before that, such as during a password prompt, they end the process.
 */
type Interrupted = () => AbortSignal;

interface Checked {
  readonly result: CheckReport;
  readonly hasKeys: boolean;
  /** Undefined for a check through a server. */
  readonly parity?: ParityReport | undefined;
  /** The data that was read, if a repair has decided it. */
  readonly data?: ReadData | undefined;
}

/** A check, and what it reports to. */
interface CheckTask {
  readonly system: System;
  readonly options: Options;
  readonly found: ReadonlyMap<string, Found>;
  readonly wish: Requested;
  readonly progress: Progress;
  readonly teller: FindingPrinter;
  readonly interrupted: Interrupted;
}

async function checkHere(task: CheckTask): Promise<Checked> {
  const { system, options, found, wish, progress, teller, interrupted } = task;
  const mended = await mendFirst(task);
  const directory = openClientDirectory(system, clientPlace(options));
  // With a password, the keys are compared when they are unlocked.
  if (hasPassword(found)) {
    refuseInClear(system, options);
    warnIfOlder(system, options);
  } else {
    compareShown(system, options);
  }
  const isEncrypted = mayEncrypt(system, clientPlace(options));
  // No prompt, since much can be checked without the password.
  const keyring = hasPassword(found) ? await keyringForCheck(system, options, found) : undefined;
  const named = clientNames(system, clientPlace(options).store);
  progress.line.start();
  try {
    const parity = mended ?? (await lookAtParity(system, directory, options, repairProgress(task)));
    const read = readAfter(mended, wish.read, options.readData);
    const result = await checkClient(system, directory, {
      mark: wish.mark,
      read,
      keyring,
      isEncrypted,
      limits: storeLimits(options),
      signal: interrupted(),
      onFinding: (finding) => teller.tell(named(finding)),
      onStep: (step) => progress.enter(step),
      onRead: (doneBytes, ofBytes) => progress.read(doneBytes, ofBytes),
    });
    const notMarked = result.notMarked && toWire(result.notMarked);
    const withListings = read.data.kind !== 'none' || mended !== undefined;
    const seals =
      keyring === undefined || result.catalogFaults > 0 || result.records === 0
        ? []
        : await sealFindings(system, options, keyring, {
            withListings,
            signal: interrupted(),
          });
    const told = { ...result, notMarked, omitted: 0, unprovenSets: printSeals(teller, seals) };
    const data = mended?.isProven === true ? ALL : read.data;
    return { result: told, hasKeys: keyring !== undefined, parity, data };
  } finally {
    progress.line.stop();
  }
}

/** Repairs a client in a bucket before anything of it is read; undefined without --repair, or in a directory. */
async function mendFirst(task: CheckTask): Promise<BucketParityReport | undefined> {
  const { system, options } = task;
  const place = clientPlace(options);
  const bucket = bucketAt(place.store);
  if (!options.repair || bucket === undefined) return undefined;
  await fetchClient(system, bucket, options.client);
  const directory = openClientDirectory(system, place);
  return repairThere(system, directory, options, repairProgress(task));
}

function repairProgress({ progress, interrupted }: CheckTask): Parameters<typeof repairThere>[3] {
  return {
    line: progress.line,
    read: (doneBytes, ofBytes) => progress.read(doneBytes, ofBytes),
    interrupted,
  };
}

/** Returns what a check reads after a repair in a bucket, which has compared all bytes with their checksums. */
function readAfter(
  mended: BucketParityReport | undefined,
  wanted: ReadRequest,
  given: string | undefined,
): ReadRequest {
  const isLeft = mended !== undefined && !mended.isProven && given === undefined;
  return isLeft ? { ...wanted, data: ALL } : wanted;
}

/** Returns the keys; undefined also if they are damaged or lost, since the check reports that. */
async function keyringForCheck(
  system: System,
  options: Options,
  found: ReadonlyMap<string, Found>,
): Promise<Keyring | undefined> {
  try {
    return await unlockClient(system, { ...options, account: undefined }, found);
  } catch (error) {
    if (!isWithoutKeys(error)) throw error;
    return undefined;
  }
}

/** Lets the server check, which has no keys; names are decrypted here. */
async function checkThere(task: CheckTask, host: string): Promise<Checked> {
  const { system, options, found, wish, progress, teller, interrupted } = task;
  refuseFarRepair(options.repair);
  const there = await openAdminThere(system, host, options, found);
  const { keyring } = there;
  try {
    there.far.history.acceptOlder?.(warnOlder);
    await there.sets(); // compares the sets with this machine's memory
    progress.line.start();
    const result = await there.far.check(wish, {
      signal: interrupted(),
      onFinding: (finding) => teller.tell(openedFinding(finding, keyring)),
      onProgress: ({ step, done, of }) => {
        if (of !== undefined) progress.read(done, of);
        else if (Object.hasOwn(STEPS, step)) progress.enter(step as CheckStep);
      },
    });
    const seals =
      keyring === undefined
        ? []
        : await brokenSets(there.far.history, wish.read.data.kind !== 'none', interrupted());
    return { result: { ...result, unprovenSets: printSeals(teller, seals) }, hasKeys: false };
  } finally {
    progress.line.stop();
    there.close();
  }
}

/** Reports sets that do not fit their seals, and returns their number. */
function printSeals(teller: FindingPrinter, findings: readonly SealFinding[]): number {
  for (const finding of findings) teller.tell(finding);
  return new Set(findings.map(({ set }) => set)).size;
}

/** Decrypts the path of a finding. A path that the client did not seal is shown as it is. */
function openedFinding(finding: Finding, keyring: Keyring | undefined): Finding {
  if (finding.finding !== 'version' || keyring === undefined) return finding;
  try {
    return { ...finding, path: keyring.names.openPath(finding.path) };
  } catch (error) {
    if (error instanceof TardisError) return finding;
    throw error;
  }
}

/** Parses the value of --read-data. Throws CONFIG_INVALID. */
export function readDataOf(text: string | undefined): ReadData {
  if (text === undefined) return { kind: 'none' };
  if (text === 'all') return { kind: 'all' };
  const part = /^(\d{1,6})\/(\d{1,6})$/.exec(text);
  if (part !== null) {
    const [n, of] = [Number(part[1]), Number(part[2])];
    if (n >= 1 && n <= of) return { kind: 'part', part: n, of };
    throw configInvalid(`--read-data is "${text}", but in n/t, n must be 1 to t`);
  }
  const share = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text);
  if (share !== null) {
    const percent = Number(share[1]);
    if (percent > 0 && percent <= 100) return { kind: 'percent', percent };
    throw configInvalid(`--read-data is "${text}", but must be more than 0% and at most 100%`);
  }
  const bytes = parseSize(text, '--read-data');
  if (bytes === 0) throw configInvalid('--read-data is 0: omit the option to read nothing');
  return { kind: 'bytes', bytes };
}

class Progress {
  readonly line: ProgressLine;
  private text = '';
  private isReading = false;
  private readonly timeLeft: TimeLeft;

  constructor(wanted: boolean | undefined, nowMs: () => number) {
    this.timeLeft = new TimeLeft(nowMs);
    this.line = new ProgressLine(wanted, () => this.text);
  }

  enter(step: CheckStep): void {
    this.text = STEPS[step];
    this.line.refresh();
  }

  read(doneBytes: number, ofBytes: number): void {
    const left = this.timeLeft.text(doneBytes, ofBytes);
    const bar = progressBar(doneBytes, ofBytes);
    this.text = `${bar}${left}  read ${formatBytes(doneBytes)} of ${formatBytes(ofBytes)}`;
    if (!this.isReading) this.line.refresh();
    this.isReading = true;
  }
}
