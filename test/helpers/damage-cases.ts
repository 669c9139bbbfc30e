/** Combines damages with the commands that follow: selects the cases of a run, and checks each of them. */
import fs from 'node:fs';
import path from 'node:path';
import { seededRandom } from '../support/seeded-random.js';
import type { History } from './damage-history.js';
import {
  type Damage,
  fileDamages,
  randomDamages,
  recordDamages,
  rowDamages,
} from './damage-kinds.js';
import { isLost, type Look, lookAt } from './damage-look.js';
import { KEPT, missing, type Over, RULES } from './damage-rules.js';
import { checkOf, type Outcome, STEPS, type Stepping } from './damage-steps.js';
import type { Place } from './inline.js';
import { keyringOfPlace } from './damage.js';
import { ofThisRun, partOf, share, sweepShare } from './share.js';

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
