/** Makes trees comparable that were restored one after the other. */
import type { look } from './tree.js';

type Tree = ReturnType<typeof look>;

const STARTED_NS = BigInt(Date.now()) * 1_000_000n;

/** Leaves out the journal, and times that nobody set. */
export function withoutMoments(tree: Tree): Tree {
  const kept = [...tree].filter(([name]) => !name.startsWith('.tardis-restore-'));
  return new Map(
    kept.map(([name, words]) => [
      name,
      words.replace(/ (\d+)ns/, (all, ns: string) => (BigInt(ns) >= STARTED_NS ? ' now' : all)),
    ]),
  );
}
