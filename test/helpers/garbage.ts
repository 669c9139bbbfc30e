/** Garbage collection of a client with a history of many sets, without a server. */
import fs from 'node:fs';
import path from 'node:path';
import { deleteSets } from '../../src/store/writer/index.js';
import {
  type FrameTools,
  collectGarbage,
  type GcOptions,
  type GcReport,
} from '../../src/maintenance/gc/index.js';
import { openClientDirectory } from '../../src/store/index.js';
import type { System } from '../../src/system/index.js';
import { inlineSystem, type Place, SMALL_STORE } from './inline.js';
import { keysIn, ringOf } from './rewrites.js';
import { noise, text } from './tree.js';
import { folderIn } from './scratch.js';

/** Collects garbage with small limits, immediately. */
export async function collectInline(
  place: Place,
  options: Partial<GcOptions> = {},
  system: System = inlineSystem(),
): Promise<GcReport> {
  return collectGarbage(system, openClientDirectory(system, place), {
    limits: SMALL_STORE.store,
    graceMs: 0,
    wasteRatio: 0.25,
    frames: { native: system.native, keys: undefined },
    isThorough: false,
    ...options,
  });
}

export function deleteInline(
  place: Place,
  sets: readonly number[],
  system: System = inlineSystem(),
): Promise<void> {
  return deleteSets(system, openClientDirectory(system, place), {
    limits: SMALL_STORE.store,
    sets,
    leastAgeMs: 0,
  });
}

/** Returns the tools that open the frames of a client that encrypts with the password of the tests. */
export async function frameTools(place: Place): Promise<FrameTools> {
  const system = inlineSystem();
  const keys = await keysIn(system, path.join(place.store, place.client));
  return {
    native: system.native,
    keys: keys === undefined ? undefined : ringOf(system, keys).contents,
  };
}

/** Groups lines of `dumpedHistory` by set number. */
export function bySet(reported: readonly string[]): Map<number, string[]> {
  const sets = new Map<number, string[]>();
  let current: string[] = [];
  for (const line of reported) {
    const found = /^set \{"set":(\d+),/.exec(line);
    if (found !== null) {
      current = [];
      sets.set(Number(found[1]), current);
    }
    current.push(line);
  }
  return sets;
}

/** Changes some files of a tree: new, changed, removed and moved ones, of small, medium and large size. */
export function changeTree(source: string, round: number, random: { next(): number }): void {
  fs.mkdirSync(source, { recursive: true });
  const pick = (count: number): number => Math.floor(random.next() * count);
  for (let change = 0; change < 12; change += 1) {
    const directory = folderIn(source, `d${pick(4)}`);
    const file = path.join(directory, `f${pick(12)}`);
    const what = pick(10);
    if (what < 5) fs.writeFileSync(file, text(round * 100 + change, 200 + pick(3000)));
    else if (what < 7) fs.rmSync(file, { force: true });
    else if (what < 8) fs.writeFileSync(file, noise(round * 100 + change, 40_000 + pick(30_000)));
    else if (what < 9) fs.writeFileSync(file, noise(round * 100 + change, 200_000));
    else fs.renameSync(directory, path.join(source, `e${round}-${change}`));
  }
  fs.writeFileSync(path.join(source, 'large'), noise(`large ${round}`, 1_150_000));
  fs.appendFileSync(path.join(source, 'grows'), noise(round, round === 1 ? 1_200_000 : 5000));
}
