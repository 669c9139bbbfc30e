/** Implements `sonic check`: checks the store of a client, and names the versions of files that cannot be restored. */
import { configInvalid, parseSize, type Settings } from '../../config/index.js';
import type { Keyring } from '../../crypto/index.js';
import { bucketAt, fetchClient } from '../../store/index.js';
import type { System } from '../../system/index.js';
import type { Admin, CheckOutcome, CheckRequest } from '../../maintenance/admin/index.js';
import type { CheckStep, ReadData } from '../../maintenance/check/index.js';
import {
  lookAtParity,
  parityLines,
  type ParityReport,
  refuseRemoteRepair,
} from './check-parity.js';
import { checkSource, isSourceWrong, sourceLines } from './check-source.js';
import { compareShown, warnIfOlder } from '../opening/rollback.js';
import { adminHere, compareWithKnown, openAdmin } from '../opening/admin.js';
import { progressBar } from '../output/progress-bar.js';
import { ProgressLine } from '../output/progress-line.js';
import { faultsIn, FindingPrinter, isDamaged, printJson, printText } from './report-check.js';
import { interruptSignal } from '../shared/signals.js';
import { noteNumbers } from '../shared/run-facts.js';
import { PARTLY } from '../output/exit-status.js';
import { print } from '../output/output.js';
import { TimeLeft } from '../output/time-left.js';
import { formatBytes } from '../output/units.js';
import { hasPassword, isWithoutKeys, refuseInClear, unlockClient } from '../opening/keys.js';
import { clientPlace, storeSystem } from '../opening/local-store.js';
import { DAY_MS } from '../../model/index.js';

type Options = Settings<'sonic check'>;

/** Phrase that is printed when a check is interrupted. */
const SO_FAR = 'what was found so far is reported';

const ALL: ReadData = Object.freeze({ kind: 'all' });

const STEPS: Readonly<Record<CheckStep, string>> = {
  catalog: 'checking the catalog',
  packs: 'comparing the catalog with the packs',
  records: 'checking records',
  marks: 'marking damage',
};

export async function check(options: Options): Promise<number> {
  const data = readDataOf(options.readData ?? (options.repair ? 'all' : undefined));
  const system = storeSystem(options.umask);
  const request = {
    read: { data, leastAgeMs: options.readDataAgeDays * DAY_MS },
    mark: options.mark,
  };
  const startMs = system.clock.monotonicMs();
  let signal: AbortSignal | undefined;
  const interrupted = (): AbortSignal => (signal ??= interruptSignal('sonic check', SO_FAR));
  const progress = new Progress(options.progress, () => system.clock.monotonicMs());
  const reporter = new FindingPrinter(options.json, progress.line);
  const isRemote = options.throughServer !== undefined;
  if (isRemote) refuseRemoteRepair(options.repair);
  const run = { system, options, progress, interrupted };
  const repaired = await repairBucket(run);
  const there = isRemote ? await openAdmin(system, options) : await openHere(system, options);
  const task = {
    ...run,
    there,
    reporter,
    request: afterRepair(repaired, request, options.readData),
  };
  const { result, parity } = await checked(task, repaired);
  const source = options.againstSource ? await checkSource(options, interrupted) : undefined;
  const elapsedMs = system.clock.monotonicMs() - startMs;
  const unrepaired = parity?.repair?.damaged ?? 0;
  const isClean = !isDamaged(result) && !isSourceWrong(source) && unrepaired === 0;
  const { bytesRead, totalBytes, allReadSinceMs } = result;
  const readBytes = repaired?.isProven === true ? totalBytes : bytesRead;
  const read = { readBytes, totalBytes, ...(allReadSinceMs > 0 && { allReadSinceMs }) };
  noteNumbers({ ...read, faults: isClean ? 0 : Math.max(1, faultsIn(result)) });
  if (options.json) printJson(options, result, elapsedMs, { isClean, source, parity });
  else {
    const read = repaired?.isProven === true ? ALL : task.request.read.data;
    printText(options, result, elapsedMs, { data: read, shown: reporter, unrepaired });
    if (parity !== undefined) parityLines(parity).forEach(print);
    if (source !== undefined) sourceLines(source).forEach(print);
  }
  return isClean ? 0 : PARTLY;
}

/**
 * Returns a signal. From the first call on, an interruption aborts that signal. Before that, for example during a
 * password prompt, an interruption ends the process.
 */
type Interrupted = () => AbortSignal;

/** A run of the command. */
interface CheckRun {
  readonly system: System;
  readonly options: Options;
  readonly progress: Progress;
  readonly interrupted: Interrupted;
}

/** A check, and the objects to which it reports. */
interface CheckTask extends CheckRun {
  readonly there: Admin;
  readonly request: CheckRequest;
  readonly reporter: FindingPrinter;
}

/**
 * Repairs a client in a bucket before the client is read, since damaged commits would make that impossible. Returns
 * undefined without --repair, and for a store in a directory.
 */
async function repairBucket(run: CheckRun): Promise<ParityReport | undefined> {
  const { system, options, progress } = run;
  if (!options.repair) return undefined;
  const bucket = bucketAt(clientPlace(options).store);
  if (bucket === undefined) return undefined;
  await fetchClient(system, bucket, options.client);
  using line = progress.line;
  line.start();
  using there = adminHere(system, options, undefined);
  return await lookAtParity(there, options, repairProgress(run));
}

function repairProgress({ progress, interrupted }: CheckRun): Parameters<typeof lookAtParity>[2] {
  return {
    line: progress.line,
    read: (doneBytes, ofBytes) => progress.read(doneBytes, ofBytes),
    interrupted,
  };
}

/**
 * Returns the request for the check after a repair; without a repair, returns it unchanged. No data is read if the repair
 * itself has compared all bytes with their checksums (`isProven`), unless --read-data chooses some.
 */
function afterRepair(
  repaired: ParityReport | undefined,
  request: CheckRequest,
  readData: string | undefined,
): CheckRequest {
  if (repaired === undefined) return request;
  const isRead = repaired.isProven === true && readData === undefined;
  const read = isRead ? { ...request.read, data: { kind: 'none' } as const } : request.read;
  return { ...request, read, withListings: true };
}

/** Repairs a client in a directory if that is requested, and checks it. Always closes it. */
async function checked(
  task: CheckTask,
  repaired: ParityReport | undefined,
): Promise<{ readonly result: CheckOutcome; readonly parity: ParityReport | undefined }> {
  const { options, request, progress, reporter, interrupted } = task;
  using there = task.there;
  using line = progress.line;
  if (options.throughServer !== undefined) await compareWithKnown(there);
  line.start();
  const parity = repaired ?? (await lookAtParity(there, options, repairProgress(task)));
  const result = await there.check(request, {
    signal: interrupted(),
    onFinding: (finding) => reporter.report(finding),
    onProgress: ({ step, done, of }) => {
      if (of !== undefined) progress.read(done, of);
      else if (Object.hasOwn(STEPS, step)) progress.enter(step as CheckStep);
    },
  });
  return { result, parity };
}

/**
 * Opens a client in a store on this machine. If no password is given, there is no prompt, and only checksums are
 * compared.
 */
async function openHere(system: System, options: Options): Promise<Admin> {
  if (!hasPassword(options)) {
    compareShown(system, options);
    return adminHere(system, options, undefined);
  }
  // The keys are compared when they are unlocked.
  refuseInClear(system, options);
  warnIfOlder(system, options);
  return adminHere(system, options, await keyringForCheck(system, options));
}

/** Returns the keys; undefined if there are none, or if they are damaged or lost, since the check reports that. */
async function keyringForCheck(system: System, options: Options): Promise<Keyring | undefined> {
  try {
    return await unlockClient(system, { ...options, account: undefined });
  } catch (error) {
    if (!isWithoutKeys(error)) throw error;
    return undefined;
  }
}

/** Parses the value of --read-data. Throws CONFIG_INVALID. */
function readDataOf(text: string | undefined): ReadData {
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
