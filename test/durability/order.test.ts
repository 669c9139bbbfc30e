// Pace: long
/**
 * Tests of the trace checker: it reports every kind of fsync that is missing or comes after the answer, in every kind
 * of work. The checks after a power cut report missing fsyncs too.
 */
import path from 'node:path';
import test from 'ava';
import { SimulatedDisk } from '../support/simulated-disk.js';
import { type TracedAct, DiskTrace } from '../support/disk-trace.js';
import { tracedSystem } from '../support/traced-system.js';
import { RESTORE } from '../helpers/crash-restores.js';
import { crashAll, newGround, type Run, times } from '../helpers/crash-runs.js';
import { FIRST, SECOND, answeringBackup } from '../helpers/crash-scenarios.js';
import { recorded } from '../helpers/crash-sweep.js';
import { PURGE, PURGE_SHORT, REKEY, MAINTENANCE } from '../helpers/crash-maintenance.js';
import { ANSWER, OrderChecker } from '../helpers/durable-order.js';
import { inlineSystem } from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { ofThisRun } from '../helpers/share.js';

/**
 * Matches fsyncs that nothing relies on: those of files that are recreated when missing, and of an unfinished catalog.
 */
const NEEDLESS = /^sync(Directory)? (\.login.*|.*rekey\.db(-wal|-journal)?|.*\.new-(wal|journal))$/;

/**
 * Work that sends no answer while its catalog is open. Afterwards the catalog needs no log, so no answer relies on an
 * fsync of the log.
 */
const ANSWERING_AT_END: ReadonlySet<string> = new Set([PURGE.name, PURGE_SHORT.name, REKEY.name]);
const LOG = /^sync .*-wal$/;

/** Groups fsyncs by kind: the path without numbers and digests. Returns only kinds that make something durable. */
function kindsOf({ trace, scenario }: Run<unknown>): Map<string, Set<number>> {
  const kinds = new Map<string, Set<number>>();
  const covering = new Set<string>();
  const disk = new SimulatedDisk(trace.start);
  for (const act of trace.acts) {
    const isCovering = disk.apply(act);
    if (act.act !== 'sync' && act.act !== 'syncDirectory') continue;
    const what = (disk.pathOf(act.file) ?? 'nothing')
      .replace(/[0-9a-f]{64}$/, 'DIGEST')
      .replace(/\/[0-9a-f]{2}(?=\/|$)/g, '/XX')
      .replace(/\d{8}/, 'N');
    const kind = `${act.act} ${what}`;
    if (NEEDLESS.test(kind) || (LOG.test(kind) && ANSWERING_AT_END.has(scenario.name))) continue;
    if (isCovering) covering.add(kind);
    kinds.set(kind, (kinds.get(kind) ?? new Set()).add(act.at));
  }
  return new Map([...kinds].filter(([kind]) => covering.has(kind)));
}

/** Moves fsyncs behind the next answer (or to the end), which is too late for what they cover. */
function delayed(acts: readonly TracedAct[], late: ReadonlySet<number>): TracedAct[] {
  const result: TracedAct[] = [];
  let held: TracedAct[] = [];
  for (const act of acts) {
    if (late.has(act.at)) held.push(act);
    else result.push(act);
    if (act.act !== 'mark') continue;
    result.push(...held);
    held = [];
  }
  return result;
}

const SCENARIOS = [FIRST, SECOND, PURGE, ...MAINTENANCE];
for (const scenario of ofThisRun(SCENARIOS, ({ name }) => [String(name === FIRST.name)])) {
  test.serial(`every kind of sync is missed: ${scenario.name}`, async (t) => {
    const run = await recorded(t, scenario);
    const { acts } = run.trace;
    t.true(acts.some((act) => act.act === 'mark' && act.what.startsWith(ANSWER)));
    const kinds = kindsOf(run);
    t.true(kinds.size >= 2, [...kinds.keys()].join('\n'));
    for (const [kind, dropped] of kinds) {
      const without = acts.filter(({ at }) => !dropped.has(at));
      t.not(OrderChecker.check(run.trace, without).found.length, 0, `without "${kind}"`);
      const late = OrderChecker.check(run.trace, delayed(acts, dropped)).found;
      t.not(late.length, 0, `"${kind}" behind the answer`);
    }
    t.log([...kinds.keys()].join(', '));
  });
}

/** Enough states for one that shows the loss, in every run: the share does not make them fewer. */
const STATES = 120 / Math.min(1, times);

/** Kinds of fsyncs without which a power cut loses acknowledged data. */
const LOSING = [/^sync me\/packs\/N/, /^syncDirectory me\/packs$/, /^sync me\/tardis\.db-wal$/];

for (const pattern of ofThisRun(LOSING)) {
  test.serial(`a power cut shows that syncs are missing: ${pattern}`, async (t) => {
    const run = await recorded(t, FIRST);
    const dropped = new Set(
      [...kindsOf(run)].flatMap(([kind, at]) => (pattern.test(kind) ? [...at] : [])),
    );
    t.true(dropped.size > 0);
    const acts = run.trace.acts.filter(({ at }) => !dropped.has(at));
    const { wrong } = await crashAll(run, { acts, states: STATES, mostWrong: 1 });
    t.true(wrong.length > 0);
  });
}

test.serial('a power cut shows that a restore was not made durable', async (t) => {
  const run = await recorded(t, RESTORE);
  const acts = run.trace.acts.filter(({ act }) => act !== 'syncAll');
  const { wrong } = await crashAll(run, {
    acts,
    states: STATES / 2,
    from: acts.length - 1,
    mostWrong: 1,
  });
  t.true(wrong.length > 0);
});

test.serial('a session that forgets its syncs is found out', async (t) => {
  const ground = newGround(path.join(scratchInMemory(t), 'ground'));
  await FIRST.prepare(ground);
  const trace = new DiskTrace(ground.place.store);
  const system = tracedSystem(inlineSystem(), trace);
  const forgetful = { ...system, files: { ...system.files, sync: async () => undefined } };
  const answer = (what: string): void => trace.mark(`${ANSWER}${what}`);
  await answeringBackup({ ...forgetful, native: system.native }, ground, 'first', answer, {
    create: true,
  });
  const rules = new Set(OrderChecker.check(trace, trace.acts).found.map(({ rule }) => rule));
  t.true(rules.has('a commit record'), [...rules].join(', '));
  t.true(rules.has('the answer'), [...rules].join(', '));
  t.true(rules.has('the name me/format.json'), [...rules].join(', '));
});
