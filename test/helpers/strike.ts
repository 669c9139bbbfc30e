/** Runs work with a failure at its n-th operation, and returns the result. */
import fs from 'node:fs';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { faultySystem } from '../support/faults.js';
import { type System } from '../../src/system/index.js';
import { copyStore, Ledger, Plan, type Trouble, TROUBLES } from './faults.js';
import { type Place, inlineSystem } from './inline.js';
import { seed } from './seed.js';
import { removeScratch } from './scratch.js';

/** Returns a function that returns a new path in a directory for each call. */
export function freshPaths(home: string): (what: string) => string {
  let count = 0;
  return (what) => {
    count += 1;
    return path.join(home, `${what} ${count}`);
  };
}

/** How many of the operations are hit by each kind of trouble. */
export interface Strides {
  /** One in this many is hit. */
  readonly stride: number;
  /** The names of frequent operations, of which one in `frequentStride` is hit. */
  readonly frequent: RegExp;
  readonly frequentStride: number;
  /** Number of operations of a frequent name that still count as rare. */
  readonly rareFirst: number;
}

/**
 * Returns the numbers of the operations to hit: other ones for each kind of trouble and each seed. The first of each name is
 * always hit by one kind.
 */
export function pointsOf(
  operations: readonly string[],
  trouble: Trouble,
  { stride, frequent, frequentStride, rareFirst }: Strides,
): number[] {
  const turn = TROUBLES.indexOf(trouble) + seed;
  const counts = new Map<string, number>();
  return operations.flatMap((operation, index) => {
    const count = (counts.get(operation) ?? 0) + 1;
    counts.set(operation, count);
    const isFrequent = frequent.test(operation) && count > rareFirst;
    const usual = isFrequent ? frequentStride : stride;
    const ofAll = count === 1 ? Math.min(usual, TROUBLES.length) : usual;
    return (index + turn) % ofAll === 0 ? [index + 1] : [];
  });
}

/** Copies the store of `place` to another path. */
export function copyAt(place: Place, store: string): Place {
  copyStore(place.store, store);
  return { ...place, store };
}

export interface Strike {
  readonly trouble: Trouble;
  /** The number of the operation; 1 is the first. */
  readonly at: number;
  /** The seed, shown in messages for a replay. */
  readonly seed: number;
}

export interface Struck<T> {
  /** The operation that failed; undefined if the work had fewer operations. */
  readonly hit: string | undefined;
  /** A description for messages. */
  readonly what: string;
  /** Undefined if the work failed with `error`. */
  readonly result: T | undefined;
  readonly error: unknown;
}

/**
 * Runs the work. Checks that an error has a code, that no file is left open, and that none is closed twice. If
 * the process died, `directory` is then restored to its state at that moment.
 */
export async function strike<T>(
  t: ExecutionContext,
  directory: string,
  { trouble, at, seed }: Strike,
  work: (system: System) => Promise<T>,
): Promise<Struck<T>> {
  const ledger = new Ledger(inlineSystem());
  const dead = `${directory} as it was`;
  const plan = new Plan(at, trouble.mode, () => {
    if (trouble.dies === true) copyStore(directory, dead);
  });
  let result: T | undefined;
  let error: unknown;
  try {
    result = await work(faultySystem(ledger.system, plan));
  } catch (failed) {
    error = failed;
  }
  const { hit } = plan;
  const what = `${trouble.name} at operation ${at}, ${hit} (seed ${seed})`;
  if (trouble.dies !== true) {
    if (error !== undefined) t.truthy((error as { code?: string }).code, `${what}: no code`);
    // A close that failed has closed nothing, as far as the ledger can show.
    if (hit?.endsWith('.close') !== true) t.deepEqual(ledger.open, [], `${what}: still open`);
  }
  t.is(ledger.strayCloses, 0, `${what}: closed twice`);
  ledger.closeAll();
  if (fs.existsSync(dead)) {
    removeScratch(directory);
    fs.renameSync(dead, directory);
  }
  return { hit, what, result, error };
}
