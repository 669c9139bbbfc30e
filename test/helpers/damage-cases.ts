/** Combines damages with the commands that follow: selects the cases of a run, and checks each of them. */
import fs from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../support/seeded-random.js';
import {
  type Damage,
  fileDamages,
  overlayDamages,
  randomDamages,
  recordDamages,
  rowDamages,
} from './damage-kinds.js';
import { isLost, type Look, lookAt } from './damage-look.js';
import { checkOf, type Outcome, REFUSED, type Stepping, STEPS } from './damage-steps.js';
import type { Place } from './inline.js';
import { keyringOfPlace } from './damage.js';
import { ofThisRun, partOf, share, sweepShare } from './share.js';
import { type History, UNFINISHED } from './damage-history.js';

/** The results of a case. */
export interface Over {
  readonly history: History;
  readonly copy: Place;
  readonly step: string;
  /** The bytes of the catalog before the step; undefined if there was no such file. */
  readonly catalog: Buffer | undefined;
  /** True if SQLite's log was beside the catalog. */
  readonly hadLog: boolean;
  /** True if the client's undamaged key record existed before the step, and after it. */
  readonly hadKeys: boolean;
  readonly hasKeys: boolean;
  readonly before: Look;
  readonly checked: Outcome;
  readonly outcome: Outcome;
  readonly after: Look;
  /** A check after the step; undefined if nothing is missing, so that none was made. */
  readonly checkedAfter: Outcome | undefined;
  /** After a rebuild: everything that the catalogs it kept show. */
  readonly kept: Look | undefined;
  /** The second rebuild. */
  readonly again: { readonly outcome: Outcome; readonly after: Look } | undefined;
}

type Rule = (over: Over) => string[];

const MOST_SHOWN = 3;

function some(what: string, keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  return [`${what}: ${keys.length}: ${keys.slice(0, MOST_SHOWN).join(' | ')}`];
}

/** Returns the entries of the truth that are missing or different, except in the sets `without`. */
export function missing(truth: Look, found: Look, without: readonly number[] = []): string[] {
  return [...truth.entries]
    .filter(([key, words]) => !without.includes(setOf(key)) && found.entries.get(key) !== words)
    .map(([key]) => key);
}

/**
 * Returns the unfinished set if only the lost log of the catalog had it. The next command that writes recovers
 * the set from the packs, as after a kill, so that it does not count as missing.
 */
function notReplayed({ keepsLog, truth }: History, found: Look): readonly number[] {
  const isReplayed = keepsLog && found.entries.size > 0 && !found.sets.has(UNFINISHED);
  return isReplayed && truth.sets.has(UNFINISHED) ? [UNFINISHED] : [];
}

/** Returns missing entries, except contents that were lost before. */
function missingBut(truth: Look, found: Look, before: Look): string[] {
  return missing(truth, found).filter((key) => {
    const words = found.entries.get(key);
    return words === undefined || !isLost(words) || !isLost(before.entries.get(key));
  });
}

function setOf(key: string): number {
  return Number.parseInt(key, 10);
}

interface ReportedBy {
  readonly named: ReadonlySet<string>;
  /** True if it reports damage of the catalog, the history or the keys: then it cannot name every loss. */
  readonly isCatalogDamaged: boolean;
  readonly areKeysUnusable: boolean;
}

/** States of key records with which everything may be unreadable. */
const UNUSABLE_KEYS = new Set(['lost', 'other']);

function reportedBy({ status, code, output }: Outcome): ReportedBy {
  const named = new Set<string>();
  let isCatalogDamaged = code !== undefined;
  let areKeysUnusable = false;
  for (const line of output.split('\n')) {
    if (!line.startsWith('{')) continue;
    const printed = JSON.parse(line) as Record<string, unknown>;
    if (printed['finding'] === 'catalog' || printed['finding'] === 'history')
      isCatalogDamaged = true;
    areKeysUnusable ||=
      printed['finding'] === 'keys' && UNUSABLE_KEYS.has(String(printed['state']));
    if (printed['finding'] !== 'version') continue;
    for (const set of printed['sets'] as number[]) named.add(`${set} ${String(printed['name'])}`);
  }
  const isAnything = status !== 0 && (isCatalogDamaged || areKeysUnusable);
  return { named, isCatalogDamaged: isAnything, areKeysUnusable };
}

/** Returns the losses that a check did not report. */
function unnamed(truth: Look, found: Look, checked: Outcome, without: readonly number[]): string[] {
  const { named, isCatalogDamaged } = reportedBy(checked);
  if (isCatalogDamaged) return [];
  return missing(truth, found, without).filter(
    (key) => !named.has(key) && found.sets.get(setOf(key))?.isDoubtful !== true,
  );
}

const namedBefore: Rule = ({ history, before, checked }) =>
  some('no check names', unnamed(history.truth, before, checked, notReplayed(history, before)));

/**
 * A check after the step reports every loss. Exceptions: a re-key that skipped lost contents leaves no record of
 * them, and a rebuild keeps the old catalog, which has it.
 */
const namedAfter: Rule = ({ history, after, checkedAfter, outcome, step, kept }) => {
  if (checkedAfter === undefined || step === 're-key') return [];
  const { truth } = history;
  return some(
    'no check names afterwards',
    unnamed(truth, after, checkedAfter, [
      ...(outcome.deleted ?? []),
      ...notReplayed(history, after),
    ]).filter((key) => kept?.entries.has(key) !== true),
  );
};

const noFalseAlarm: Rule = ({ before, checked }) => {
  const { named, isCatalogDamaged } = reportedBy(checked);
  if (isCatalogDamaged) return [];
  return some(
    'named though it can be restored',
    [...named].filter((key) => !isLost(before.entries.get(key))),
  );
};

/** An internal error is never acceptable. */
const noBug: Rule = ({ checked, outcome, checkedAfter, before, after }) => {
  const reported = [checked, outcome, checkedAfter].flatMap((one) =>
    one?.code === 'INTERNAL' ? [`INTERNAL: ${one.output.slice(0, 700)}`] : [],
  );
  const met = [before, after].flatMap(({ codes }) =>
    [...codes].filter((code) => code.startsWith('INTERNAL')),
  );
  return [...reported, ...met];
};

/** Everything restorable before is restorable afterwards; after a rebuild, with the catalogs that it kept. */
const nothingLost: Rule = ({ history, before, after, kept, outcome }) =>
  some(
    'could be restored before, and cannot now',
    [...history.truth.entries]
      .filter(
        ([key, words]) =>
          before.entries.get(key) === words &&
          outcome.deleted?.includes(setOf(key)) !== true &&
          after.entries.get(key) !== words &&
          kept?.entries.get(key) !== words,
      )
      .map(([key]) => key),
  );

/** Nothing new is shown unless it is marked lost or doubtful. A failed backup may leave an unfinished set. */
const nothingMade: Rule = ({ history, step, before, after, outcome }) =>
  some(
    'is shown, and never was so',
    [...after.entries]
      .filter(([key, words]) => {
        const isBegun = (step === 'backup' || step === REFUSED) && setOf(key) > UNFINISHED;
        if (isBegun || setOf(key) === outcome.made || words === before.entries.get(key))
          return false;
        if (after.sets.get(setOf(key))?.isDoubtful === true) return false;
        const right = history.truth.entries.get(key);
        return right === undefined || (right !== words && !isLost(words));
      })
      .map(([key, words]) => `${key}: ${words} is not ${history.truth.entries.get(key)}`),
  );

/** A command with exit status 0 has done its work. */
const zeroIsRight: Rule = ({ history, step, outcome, before, after, checked }) => {
  if (outcome.status !== 0) return [];
  const { truth } = history;
  switch (step) {
    case 'restore':
      // A restore takes a plain client's metadata from the catalog; a check compares it with the packs.
      return reportedBy(checked).isCatalogDamaged && !history.isEncrypting
        ? []
        : some('restored with status 0, but', outcome.wrong ?? []);
    case REFUSED:
      if (outcome.made !== undefined) return newSetIsRight(history, outcome, after, checked);
      if (checked.status !== 0) return ['a check found damage, but none after a refused backup'];
      return some('a check ends with 0, but', missing(truth, after, notReplayed(history, after)));
    case 'check':
      return some('a check ends with 0, but', missing(truth, before, notReplayed(history, before)));
    case 'rebuild':
    case 'rebuild --quick':
      // A rebuild does not need the keys; a check reports that they are unusable.
      if (reportedBy(checked).areKeysUnusable) return [];
      if (step === 'rebuild') return some(`${step} ends with 0, but`, missing(truth, after));
      // This rebuild does not read the bytes of contents.
      return some(`${step} ends with 0, but`, missingBut(truth, after, before));
    case 're-key':
      return some(`${step} ends with 0, but`, missing(truth, after));
    case 'delete':
      return some(
        'deleted, but still there',
        [...after.sets.keys()].filter((set) => outcome.deleted?.includes(set)).map(String),
      );
    default:
      return newSetIsRight(history, outcome, after, checked);
  }
};

/** The set that a backup just made equals the source, and every loss in it was reported before. */
function newSetIsRight(
  { source, truth, trees }: History,
  { made }: Outcome,
  after: Look,
  checked: Outcome,
): string[] {
  if (made === undefined) return ['no set was made'];
  const { named, isCatalogDamaged } = reportedBy(checked);
  const shown = after.sets.get(made);
  if (shown?.state !== 'complete') return [`set ${made} is ${shown?.state ?? 'not there'}`];
  const found = [...after.entries].filter(([key]) => setOf(key) === made);
  // Entries that did not change since are compared with the newest earlier set.
  const newest = Math.max(...trees.keys());
  const wrong = found.flatMap(([key, words]) => {
    const before = key.replace(/^\d+/, String(newest));
    const right = truth.entries.get(before);
    if (isLost(words)) return isNamed(named, key) ? [] : [`${key} is lost`];
    return right === undefined || right === words || isChanged(key, source)
      ? []
      : [`${key}: ${words} is not ${right}`];
  });
  if (found.length < trees.get(newest)!.size) wrong.push(`it has ${found.length} entries`);
  return isCatalogDamaged ? [] : some(`backed up with status 0, but set ${made}`, wrong);
}

function isNamed(named: ReadonlySet<string>, key: string): boolean {
  const file = key.replace(/^\d+ /, '');
  return [...named].some((one) => one.replace(/^\d+ /, '') === file);
}

/** True for directories in which something was added after the newest complete set. */
function isChanged(key: string, source: string): boolean {
  return key.endsWith(` ${source}`);
}

/** A correct key record is never replaced by a wrong one. */
const keysStay: Rule = ({ hadKeys, hasKeys, step, outcome }) => {
  if (step === 're-key' && outcome.code === undefined) return [];
  return hadKeys && !hasKeys ? ['no key record is right any more'] : [];
};

/** Matches the names of catalogs that rebuilds have kept. */
export const KEPT = /^tardis\.db\.before-rebuild-\d+$/;

/** A rebuild keeps the old catalog: byte for byte or, if a log was beside it, with the content of the log. */
const oldIsKept: Rule = ({ copy, step, outcome, catalog, hadLog, before, kept }) => {
  if (!step.startsWith('rebuild') || outcome.failure !== undefined) return [];
  if (catalog === undefined || catalog.length === 0) return []; // nothing to keep
  const home = path.join(copy.store, copy.client);
  const names = fs.readdirSync(home).filter((name) => KEPT.test(name));
  if (names.some((name) => fs.readFileSync(path.join(home, name)).equals(catalog))) return [];
  const isShown = [...before.entries].every(
    ([key, words]) => isLost(words) || kept?.entries.get(key) === words,
  );
  const isThere = names.length > 0 && hadLog && isShown;
  return isThere ? [] : [`the old catalog is not kept: ${names.join()}`];
};

/** A second rebuild has the same result as the first. */
const rebuildIsStable: Rule = ({ after, again }) => {
  if (again === undefined) return [];
  const changed = [
    ...[...after.entries].filter(([key, words]) => again.after.entries.get(key) !== words),
    ...[...again.after.entries].filter(([key]) => !after.entries.has(key)),
  ];
  return some(
    'a second rebuild gives something else',
    changed.map(([key]) => key),
  );
};

export const RULES: Readonly<Record<string, Rule>> = {
  'what cannot be restored is named by a check before': namedBefore,
  'and by one after': namedAfter,
  'a check names nothing that can be restored': noFalseAlarm,
  'no command meets a bug': noBug,
  'nothing that could be restored is lost': nothingLost,
  'nothing is shown that never was': nothingMade,
  'what ends with 0 is right': zeroIsRight,
  'no key record is replaced by a wrong one': keysStay,
  'a rebuild keeps the old catalog': oldIsKept,
  'a second rebuild gives what the first gave': rebuildIsStable,
};

/** Suffix of SQLite's log beside a catalog. */
const LOG = '-wal';
const KEY_FILE = path.join('keys', '00000001.key');
/** Number of random bit flips of one kind of client. */
const RANDOM_PLACES = share < 1 ? 10 : 1000;
const classesOf = ({ classes = [] }: Damage): readonly string[] => classes;

export interface Case {
  readonly damage: Damage;
  readonly step: string;
  readonly choice: number;
}

/**
 * Returns a share of all cases, with each way and each kind of file. With a share below 1, the selected damages take
 * turns with the steps.
 */
export function casesOf(history: History, seed: number): Case[] {
  const random = seededRandom(seed);
  const steps = Object.keys(STEPS);
  const pick = (): number => Math.floor(random.next() * 1e6);
  const damages = [
    ...partOf(fileDamages(history), sweepShare, random, classesOf),
    ...partOf(rowDamages(history, random), sweepShare, random),
    ...randomDamages(history, random, RANDOM_PLACES),
  ];
  const first = pick();
  return damages.flatMap((damage, at) => {
    const chosen = share >= 1 ? steps : [steps[(first + at) % steps.length]!];
    return chosen.map((step) => ({ damage, step, choice: pick() }));
  });
}

/**
 * Returns the cases of a backup that may be refused, and a check after it: all copies over the client, and a share of
 * the damages of whole files.
 */
export function refusedCases(history: History, seed: number): Case[] {
  const some = partOf(fileDamages(history), sweepShare, seededRandom(seed), classesOf);
  const damages = [...overlayDamages(history), ...some];
  return damages.map((damage, choice) => ({ damage, step: REFUSED, choice }));
}

/** Returns a share of the damages of single records, with each kind of record. */
export async function someRecordDamages(history: History): Promise<Damage[]> {
  const all = await recordDamages(history);
  return ofThisRun(all, classesOf);
}

/** Returns what is wrong with a case, each line with its rule. */
export async function wrongWith(history: History, one: Case): Promise<string[]> {
  const over = await playedOut(history, one);
  if (over === undefined) return [];
  const { status, code = '' } = over.outcome;
  const title = `${one.damage.name} × ${one.step} (status ${status} ${code})`;
  return Object.entries(RULES).flatMap(([rule, holds]) =>
    holds(over).map((what) => `${title}: ${rule}: ${what}`),
  );
}

/** Damages a copy of the store and runs the next command. Undefined if there was nothing to damage. */
export async function playedOut(
  history: History,
  { damage, step, choice }: Case,
): Promise<Over | undefined> {
  const copy = { ...history.place, store: path.join(history.home, 'damaged') };
  fs.rmSync(copy.store, { recursive: true, force: true });
  fs.cpSync(history.place.store, copy.store, { recursive: true, verbatimSymlinks: true });
  if (!damage.apply(copy)) return undefined;
  const stepping = { history, copy, choice };
  const file = path.join(copy.store, copy.client, 'tardis.db');
  const before = await lookElsewhere(stepping);
  const checked = await withMemory(history, () => checkOf(stepping, '--no-mark'));
  const catalog = isFile(file) ? fs.readFileSync(file) : undefined;
  const hadLog = fs.existsSync(file + LOG);
  const hadKeys = hasKeysOf(history, copy);
  const outcome = await withMemory(history, () => STEPS[step]!(stepping));
  const after = await lookElsewhere(stepping);
  const isShort = missing(history.truth, after).length > 0;
  const checkedAfter = isShort ? await checkOf(stepping, '--no-mark') : undefined;
  const found = {
    history,
    copy,
    step,
    catalog,
    hadLog,
    before,
    checked,
    outcome,
    after,
    checkedAfter,
  };
  const keys = { hadKeys, hasKeys: hasKeysOf(history, copy) };
  return { ...found, ...keys, ...(await afterRebuild(stepping, step, outcome)) };
}

/** True if a copy has the key record of the history, in one of the places of key records. */
function hasKeysOf({ place }: History, copy: Place): boolean {
  const home = path.join(copy.store, copy.client);
  const right = path.join(place.store, place.client, KEY_FILE);
  if (!isFile(right)) return false;
  const bytes = fs.readFileSync(right);
  return [KEY_FILE, path.join('packs', KEY_FILE)].some((name) => {
    const file = path.join(home, name);
    return isFile(file) && fs.readFileSync(file).equals(bytes);
  });
}

function isFile(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

async function afterRebuild(
  stepping: Stepping,
  step: string,
  outcome: Outcome,
): Promise<Pick<Over, 'kept' | 'again'>> {
  if (!step.startsWith('rebuild') || outcome.failure !== undefined) {
    return { kept: undefined, again: undefined };
  }
  const kept = await lookWithKept(stepping);
  const again = await STEPS[step]!(stepping);
  return { kept, again: { outcome: again, after: await lookElsewhere(stepping) } };
}

/**
 * Returns the union of what the catalogs that rebuilds kept show, each put back in its place as docs/damage/recovery.md
 * describes.
 */
async function lookWithKept(stepping: Stepping): Promise<Look> {
  const { copy } = stepping;
  const home = path.join(copy.store, copy.client);
  const entries = new Map<string, string>();
  const file = path.join(home, 'tardis.db');
  const now = fs.readFileSync(file);
  for (const name of fs.readdirSync(home).filter((one) => KEPT.test(one))) {
    for (const suffix of ['', LOG]) {
      const kept = path.join(home, name + suffix);
      if (isFile(kept)) fs.copyFileSync(kept, file + suffix);
    }
    const found = await lookElsewhere(stepping);
    for (const [key, words] of found.entries) {
      if (!entries.has(key) || !isLost(words)) entries.set(key, words);
    }
    for (const suffix of [LOG, '-shm']) fs.rmSync(file + suffix, { force: true });
  }
  fs.writeFileSync(file, now);
  return { sets: new Map(), entries, codes: new Set() };
}

/** Looks at the client on a machine without any state about it. */
async function lookElsewhere({ history, copy }: Stepping): Promise<Look> {
  const keyring = await currentKeyring(history, copy);
  const before = process.env['XDG_STATE_HOME'];
  process.env['XDG_STATE_HOME'] = path.join(history.home, 'no state');
  fs.rmSync(path.join(history.home, 'no state'), { recursive: true, force: true });
  try {
    return await lookAt(copy, keyring);
  } finally {
    process.env['XDG_STATE_HOME'] = before;
  }
}

/**
 * Returns the keys of the store, which a re-key may have changed; the history's keys if the store has none that
 * open.
 */
async function currentKeyring(history: History, copy: Place) {
  try {
    return (await keyringOfPlace(copy)) ?? history.keyring;
  } catch {
    return history.keyring;
  }
}

/** Runs `work` on the client's own machine, with its state from before the damage. */
async function withMemory<T>(history: History, work: () => Promise<T>): Promise<T> {
  const state = path.join(history.home, 'state now');
  fs.rmSync(state, { recursive: true, force: true });
  if (fs.existsSync(history.state)) fs.cpSync(history.state, state, { recursive: true });
  process.env['XDG_STATE_HOME'] = state;
  return work();
}
