/** Checks a client after a power cut with the real code. */
import fs from 'node:fs';
import path from 'node:path';
import { Catalog } from '../../src/store/catalog/index.js';
import { StoreWriter } from '../../src/store/writer/index.js';
import { rebuildCatalog } from '../../src/maintenance/rebuild/index.js';
import { isClientDirectory, openClientDirectory } from '../../src/store/index.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import type { Crash, Ground } from './crash-runs.js';
import { backupInline, inlineSystem, type Place, SMALL_STORE } from './inline.js';
import { dumpedHistory } from './rewrites.js';

/** The entries of each set, by its name, with their contents but without the first and last set of each version. */
export type History = ReadonlyMap<string, readonly string[]>;

/** Prefix of an answer that promises a set. */
export const SET_CLOSED = 'set ';
/** Name of the set that the next run makes. */
export const NEXT_SET = 'next';

const realSystem = nodeSystem();

export async function historyIn(place: Place, system?: System): Promise<History> {
  return grouped(await dumpedHistory(place, system)).sets;
}

/** Returns the number of the last checkpoint in a catalog; 0 if there is none. */
export function lastCommit(place: Place, system: System = realSystem): number {
  const file = path.join(place.store, place.client, 'tardis.db');
  if (!fs.existsSync(file)) return 0;
  const catalog = Catalog.openForReading(system, file);
  try {
    return catalog.state.readCommitPoint().commit;
  } finally {
    catalog.close();
  }
}

interface Grouped {
  readonly sets: History;
  /** Names of the complete sets. */
  readonly complete: ReadonlySet<string>;
}

function grouped(lines: readonly string[]): Grouped {
  const sets = new Map<string, string[]>();
  const complete = new Set<string>();
  let current: string[] = [];
  for (const line of lines) {
    if (line.startsWith('set ')) {
      const { name, state } = JSON.parse(line.slice(4)) as { name: string; state: string };
      current = [];
      sets.set(name, current);
      if (state === 'complete') complete.add(name);
    } else if (/^\d+ /.test(line)) {
      current.push(line.replace(/^\d+ /, '').replace(/,\d*,\d*$/, ''));
    }
  }
  return { sets, complete };
}

/** Returns what is wrong with the sets found; all promised ones must be complete. */
function compare(
  found: Grouped,
  truth: History,
  promised: readonly string[],
  when: string,
): string[] {
  const wrong = promised
    .filter((name) => !found.complete.has(name))
    .map((name) => `${when}: the set "${name}" is gone`);
  for (const name of found.complete) {
    const wanted = truth.get(name);
    const lines = found.sets.get(name)!;
    if (wanted === undefined || wanted.join('\n') === lines.join('\n')) continue;
    const first = wanted.findIndex((line, index) => line !== lines[index]);
    wrong.push(`${when}: "${name}" differs: ${wanted[first]} is ${lines[first]}`);
  }
  return wrong;
}

export interface StoreCheck {
  readonly truth: History;
  /** Sets that existed before. */
  readonly before: readonly string[];
  /** Checkpoints that existed before; undefined if they are not counted. */
  readonly commits?: number;
  /** The next run after the interruption; makes the set `next` with the content of the set `like`. */
  readonly next?: (ground: Ground, system: System | undefined) => Promise<void>;
  readonly like: string;
  /** The system of all that reads and writes the store afterwards; the real one by default. */
  readonly system?: System;
}

/** Checks a client's store: reading, recovery, rebuilding, and the next backup. */
export async function checkStore(crash: Crash, check: StoreCheck): Promise<string[]> {
  const { ground, answered } = crash;
  const { place } = ground;
  const { truth, system = realSystem } = check;
  const promised = [...check.before];
  for (const answer of answered.answers) {
    if (answer.startsWith(SET_CLOSED)) promised.push(answer.slice(SET_CLOSED.length));
  }
  if (!isClientDirectory(system, path.join(place.store, place.client))) {
    if (answered.answers.length > 0 || promised.length > 0) return ['the client is gone'];
    return crash.isThorough ? goOn(crash, check, promised) : [];
  }
  const wrong: string[] = [];
  if (promised.length > 0) {
    wrong.push(
      ...compare(grouped(await dumpedHistory(place, system)), truth, promised, 'as it is'),
    );
  }
  const store = await StoreWriter.open(system, openClientDirectory(system, place), LIMITS);
  const { commit } = store.catalog.state.readCommitPoint();
  store.close();
  const promisedCommit = check.commits === undefined ? 0 : check.commits + answered.commits;
  if (commit < promisedCommit) wrong.push(`commit ${promisedCommit} is gone, not ${commit}`);
  const recovered = await dumpedHistory(place, system);
  wrong.push(...compare(grouped(recovered), truth, promised, 'recovered'));
  if (crash.isThorough) wrong.push(...(await goOn(crash, check, promised)));
  const before = crash.isThorough ? await dumpedHistory(place, system) : recovered;
  const report = await rebuildCatalog(system, openClientDirectory(system, place));
  if (report.damagedRecords > 0) wrong.push(`${report.damagedRecords} damaged records`);
  const rebuilt = await dumpedHistory(place, system);
  if (rebuilt.join('\n') !== before.join('\n')) wrong.push('a rebuild tells something else');
  return wrong;
}

const LIMITS = SMALL_STORE.store;

/** The next run needs no manual help, and leaves nothing unfinished. */
async function goOn(
  { ground }: Crash,
  { truth, next, like, system }: StoreCheck,
  promised: readonly string[],
): Promise<string[]> {
  await (next ?? backUpNext)(ground, system);
  const found = grouped(await dumpedHistory(ground.place, system));
  const wrong = compare(found, truth, [...promised, NEXT_SET], 'after the next run');
  const unfinished = [...found.sets.keys()].filter((name) => !found.complete.has(name));
  if (unfinished.length > 0) wrong.push(`unfinished: ${unfinished.join(', ')}`);
  if (found.sets.get(NEXT_SET)?.join('\n') !== truth.get(like)?.join('\n')) {
    wrong.push('the next run saved something else');
  }
  return wrong;
}

async function backUpNext({ place, source }: Ground, system?: System): Promise<void> {
  const create = !isClientDirectory(realSystem, path.join(place.store, place.client));
  const inline = inlineSystem({ catalogSteps: system?.catalogSteps });
  await backupInline(inline, place, [source], { create, setName: NEXT_SET });
}
