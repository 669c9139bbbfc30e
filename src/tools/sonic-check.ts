/** `sonic check`: whether a client's store is what it should be, and which versions of files are not to be had any more. */
import { configInvalid, type Found, parseSize, type Settings } from '../config/index.js';
import type { Keyring } from '../crypto/index.js';
import { TardisError, toWire } from '../errors/index.js';
import { displayName, displayText, jsonName } from '../model/index.js';
import { openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import {
  checkClient,
  type CheckOptions,
  type CheckResult,
  type CheckStep,
  type Finding,
  type ReadData,
} from '../verify/index.js';
import { openServerSets, storeLimits } from './client-sets.js';
import { ProgressLine } from './progress-line.js';
import { clientPlace, interruptSignal, JSON_VERSION, print } from './run-tool.js';
import { storeSystem } from './sonic-passwords.js';
import { TimeLeft } from './time-left.js';
import { counted, formatBytes, formatCount, formatSeconds } from './units.js';
import { keysOf, unlockClient } from './unlock.js';

type Options = Settings<'sonic check'>;

/** Damage was found. */
const FOUND_STATUS = 3;
const DAY_MS = 86_400_000;
/** Of a lost pack every file tells; a terminal needs no million of lines. */
const MAX_SHOWN = 1000;

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
/** What both ways of checking tell in the end. */
interface Told extends Omit<CheckResult, 'notMarked'> {
  readonly notMarked: { readonly code: string; readonly message: string } | undefined;
  /** Findings that a server had too many of. */
  readonly omitted: number;
}
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

/** Damage that nothing depends on is told, and is no failure. */
function isDamaged(result: Told): boolean {
  const { catalogFaults, damagedRecords, damagedMetadata, lostVersions } = result;
  return catalogFaults + damagedRecords + damagedMetadata + lostVersions > 0;
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

/** Says what is found as it is found. */
class Teller {
  versions = 0;
  private readonly asJson: boolean;
  private readonly line: ProgressLine;

  constructor(asJson: boolean, line: ProgressLine) {
    this.asJson = asJson;
    this.line = line;
  }

  tell(finding: Finding): void {
    if (this.asJson) {
      print(JSON.stringify({ version: JSON_VERSION, ...jsonOf(finding) }));
      return;
    }
    if (finding.finding === 'version') {
      this.versions += 1;
      if (this.versions > MAX_SHOWN) return;
    }
    this.line.clear();
    print(displayText(textOf(finding)));
  }
}

export function jsonOf(finding: Finding): object {
  if (finding.finding !== 'version') return finding;
  const { path, digest, ...rest } = finding;
  return { ...rest, ...jsonName(path), digest: digest.toString('hex') };
}

export function textOf(finding: Finding): string {
  switch (finding.finding) {
    case 'version': {
      const why = {
        damaged: 'damaged',
        missing: 'missing',
        rests: 'rests on what is damaged or missing',
      }[finding.why];
      const { sets } = finding;
      return `lost: ${displayName(finding.path)}, version ${finding.firstSet}, in ${setsText(sets)}: ${why}`;
    }
    case 'record': {
      const { object, position, bytes, role, why } = finding;
      const what = {
        contents: 'contents',
        signature: 'a signature (a new one can be made)',
        metadata: 'listings or events',
        unneeded: 'nothing needs it',
      }[role];
      return `record: ${object} at ${position}, ${formatCount(bytes)} bytes (${what}): ${why}`;
    }
    case 'catalog':
      return `catalog: ${finding.what}`;
    case 'history': {
      const { versions, sets } = finding;
      const what = 'history: listings, events or checkpoints are missing from the packs';
      if (versions === undefined) return `${what}, and the catalog cannot be used`;
      if (versions === 0) return `${what}; nothing that is listed depends on them`;
      return `${what}: only the catalog still knows ${counted(versions, 'version')}, begun in ${setsText(sets)}`;
    }
  }
}

/** `set 3`, or `sets 1-4, 7`. */
function setsText(sets: readonly number[]): string {
  const runs: [from: number, to: number][] = [];
  for (const set of sets) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === set - 1) last[1] = set;
    else runs.push([set, set]);
  }
  const text = runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
  return `${sets.length === 1 ? 'set' : 'sets'} ${text}`;
}

function tellJson({ client }: Options, result: Told, elapsedMs: number): void {
  const { notMarked, omitted, ...counts } = result;
  const isClean = !isDamaged(result);
  print(
    JSON.stringify({
      version: JSON_VERSION,
      finding: 'end',
      client,
      isClean,
      ...counts,
      notMarked,
      ...(omitted > 0 ? { omitted } : {}),
      elapsedMs,
    }),
  );
}

function tellText(
  options: Options,
  result: Told,
  elapsedMs: number,
  { data, hasKeys, shown }: { data: ReadData; hasKeys: boolean; shown: Teller },
): void {
  const { client } = options;
  if (shown.versions > MAX_SHOWN) {
    print(`… and ${formatCount(shown.versions - MAX_SHOWN)} more versions; --json names all.`);
  }
  const { records, bytesRead } = result;
  const took = `${formatBytes(bytesRead)} read, in ${formatSeconds(elapsedMs)}`;
  print(`Looked at ${counted(records, 'record')} of "${client}"; ${took}.`);
  if (result.omitted > 0) {
    const what = counted(result.omitted, 'finding');
    print(`${what} more than a server tells: check on its machine, without --server.`);
  }
  if (!result.isOpened && !hasKeys) {
    const why =
      options.throughServer === undefined ? 'no password was given' : 'a server has no keys';
    print(`What is encrypted was compared with its checksums only: ${why}.`);
  }
  if (result.isForgetful && (data.kind === 'percent' || data.kind === 'bytes')) {
    print('The next check does not know what this one has read: the store cannot be written to.');
  }
  if (result.unneededDamaged > 0) {
    print(`${counted(result.unneededDamaged, 'record')} that no file needs: damaged.`);
  }
  if (!isDamaged(result)) {
    print(data.kind === 'none' ? 'Nothing is wrong; contents were not read.' : 'Nothing is wrong.');
  } else tellDamage(options, result);
  if (result.cleared > 0) {
    print(`${counted(result.cleared, 'content')} counted as damaged, and can be read: no longer.`);
  }
}

/** What was found, and what to do about it. */
function tellDamage({ mark }: Options, result: Told): void {
  const { catalogFaults, damagedMetadata, damagedRecords, lostVersions, marked } = result;
  const { notMarked } = result;
  if (lostVersions > 0) print(`${counted(lostVersions, 'version')} of files cannot be restored.`);
  else if (damagedRecords > 0) print('All versions of files can be restored.');
  if (catalogFaults > 0) print('The catalog is damaged: run `sonic rebuild`.');
  if (damagedMetadata > 0) {
    const safe = catalogFaults === 0 ? 'The catalog knows what they said: keep a copy of it. ' : '';
    print(`Listings or events are damaged. ${safe}See docs/recovery.md.`);
  }
  if (marked > 0) {
    print(`Marked: the next backup sends again what the source still has of them.`);
  } else if (notMarked !== undefined) {
    const why = `${displayText(notMarked.code)}: ${displayText(notMarked.message)}`;
    print(`The damage could not be marked (${why}): run the check again.`);
  } else if (damagedRecords > 0 && mark && catalogFaults === 0) {
    print('It is marked already: the next backup sends again what the source still has.');
  }
}
