/** `sonic check`: whether a client's store is what it should be, and which versions of files are not to be had any more. */
import { configInvalid, type Found, parseSize, type Settings } from '../config/index.js';
import type { Keyring } from '../crypto/index.js';
import { TardisError, toWire } from '../errors/index.js';
import { openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import {
  checkClient,
  type CheckOptions,
  type CheckStep,
  type Finding,
  type ReadData,
} from '../verify/index.js';
import { ProgressLine } from './progress-line.js';
import { isDamaged, Teller, tellJson, tellText, type Told } from './report-check.js';
import { interruptSignal } from './run-tool.js';
import { TimeLeft } from './time-left.js';
import { formatBytes } from './units.js';
import { keysOf, unlockClient } from './unlock.js';
import { clientPlace, storeSystem, storeLimits } from './local-store.js';
import { openServerSets } from './server-login.js';

type Options = Settings<'sonic check'>;

/** Damage was found. */
const FOUND_STATUS = 3;
const DAY_MS = 86_400_000;
/** What becomes of a check that is broken off. */
const SO_FAR = 'what was found so far is told';

const STEPS: Readonly<Record<CheckStep, string>> = {
  catalog: 'checking the catalog',
  packs: 'comparing the catalog with the packs',
  records: 'looking at records',
  marks: 'marking what is damaged',
};

export async function check(options: Options, found: ReadonlyMap<string, Found>): Promise<number> {
  const data = readDataOf(options.readData);
  const system = storeSystem(options.umask);
  const wish = {
    read: { data, leastAgeMs: options.readDataAgeDays * DAY_MS },
    mark: options.mark,
  };
  const startMs = system.clock.monotonicMs();
  const progress = new Progress(options.progress, () => system.clock.monotonicMs());
  const teller = new Teller(options.json, progress.line);
  const { result, hasKeys } =
    options.throughServer === undefined
      ? await checkHere(system, options, found, wish, progress, teller)
      : await checkThere(system, options.throughServer, options, found, wish, progress, teller);
  const elapsedMs = system.clock.monotonicMs() - startMs;
  if (options.json) tellJson(options, result, elapsedMs);
  else tellText(options, result, elapsedMs, { data, hasKeys, shown: teller });
  return isDamaged(result) ? FOUND_STATUS : 0;
}

/** What is to be read, and whether damage is noted. */
type Wish = Pick<CheckOptions, 'read' | 'mark'>;
interface Checked {
  readonly result: Told;
  readonly hasKeys: boolean;
}

async function checkHere(
  system: System,
  options: Options,
  found: ReadonlyMap<string, Found>,
  wish: Wish,
  progress: Progress,
  teller: Teller,
): Promise<Checked> {
  const directory = openClientDirectory(system, clientPlace(options));
  const isEncrypted = keysOf(system, clientPlace(options))?.isEncrypting === true;
  // Nobody is asked: without the password there is still much to check.
  const keyring = hasPassword(found)
    ? await unlockClient(system, { ...options, account: undefined }, found)
    : undefined;
  progress.line.start();
  try {
    const result = await checkClient(system, directory, {
      ...wish,
      keyring,
      isEncrypted,
      limits: storeLimits(),
      signal: interruptSignal('sonic check', SO_FAR),
      onFinding: (finding) => teller.tell(finding),
      onStep: (step) => progress.enter(step),
      onRead: (doneBytes, ofBytes) => progress.read(doneBytes, ofBytes),
    });
    const notMarked = result.notMarked && toWire(result.notMarked);
    return { result: { ...result, notMarked, omitted: 0 }, hasKeys: keyring !== undefined };
  } finally {
    progress.line.stop();
  }
}

/** The server checks, without the keys; names are opened here. */
async function checkThere(
  system: System,
  host: string,
  options: Options,
  found: ReadonlyMap<string, Found>,
  wish: Wish,
  progress: Progress,
  teller: Teller,
): Promise<Checked> {
  const there = await openServerSets(system, host, options, found);
  const { keyring } = there;
  progress.line.start();
  try {
    const result = await there.check(wish, {
      signal: interruptSignal('sonic check', SO_FAR),
      onFinding: (finding) => teller.tell(openedFinding(finding, keyring)),
      onProgress: ({ step, done, of }) => {
        if (of !== undefined) progress.read(done, of);
        else if (Object.hasOwn(STEPS, step)) progress.enter(step as CheckStep);
      },
    });
    return { result, hasKeys: false };
  } finally {
    progress.line.stop();
    there.archive.close();
  }
}

/** A name that its owner did not seal is told as it is. */
function openedFinding(finding: Finding, keyring: Keyring | undefined): Finding {
  if (finding.finding !== 'version' || keyring === undefined) return finding;
  try {
    return { ...finding, path: keyring.names.openPath(finding.path) };
  } catch (error) {
    if (error instanceof TardisError) return finding;
    throw error;
  }
}

/** Whether one was given: nobody is asked for it here. */
export function hasPassword(found: ReadonlyMap<string, Found>): boolean {
  return ['password', 'passwordFile', 'passwordProg'].some((name) => found.has(name));
}

/** Throws CONFIG_INVALID. */
export function readDataOf(text: string | undefined): ReadData {
  if (text === undefined) return { kind: 'none' };
  if (text === 'all') return { kind: 'all' };
  const part = /^(\d{1,6})\/(\d{1,6})$/.exec(text);
  if (part !== null) {
    const [n, of] = [Number(part[1]), Number(part[2])];
    if (n >= 1 && n <= of) return { kind: 'part', part: n, of };
    throw configInvalid(`--read-data is "${text}", but of n/t parts n must be 1 to t`);
  }
  const share = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text);
  if (share !== null) {
    const percent = Number(share[1]);
    if (percent > 0 && percent <= 100) return { kind: 'percent', percent };
    throw configInvalid(`--read-data is "${text}", but must be more than 0% and at most 100%`);
  }
  const bytes = parseSize(text, '--read-data');
  if (bytes === 0) throw configInvalid('--read-data is 0: leave it out to read nothing');
  return { kind: 'bytes', bytes };
}

class Progress {
  readonly line: ProgressLine;
  private text = '';
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
    this.text = `read ${formatBytes(doneBytes)} of ${formatBytes(ofBytes)}${left}`;
  }
}
