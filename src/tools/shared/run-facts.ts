/** Counts and bytes of the command that runs, for the record of its run. */
import type { RunNumbers } from '../../model/index.js';

let numbers: RunNumbers = {};
let isRun = true;

/** Adds counts and bytes to what the command has done: a copy of all clients notes those of each. */
export function noteNumbers(more: RunNumbers): void {
  const before: Readonly<Record<string, number>> = numbers;
  const sums = Object.entries(more).map(([name, count]) => [name, (before[name] ?? 0) + count]);
  numbers = { ...numbers, ...Object.fromEntries(sums) };
}

/** Declares that the command only shows something, so that it counts as no run. */
export function onlyShows(): void {
  isRun = false;
}

/** Returns what the command has done, and forgets it; undefined if it counts as no run. */
export function takeNumbers(): RunNumbers | undefined {
  const taken = isRun ? numbers : undefined;
  [numbers, isRun] = [{}, true];
  return taken;
}
