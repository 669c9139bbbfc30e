/**
 * The checker of traces finds what it is for: without the syncs of one kind, or with them behind the answer,
 * every kind of work is found out. And so do the checks after a power cut.
 */
import path from 'node:path';
import test from 'ava';
import { SimulatedDisk, type TracedAct, tracedSystem, DiskTrace } from '../../src/system/index.js';
import { RESTORE } from '../helpers/crash-restores.js';
import { crashAll, newGround, type Run, times } from '../helpers/crash-runs.js';
import { FIRST, SECOND, tellingBackup } from '../helpers/crash-scenarios.js';
import { recorded } from '../helpers/crash-sweep.js';
import { PURGE, REKEY, TENDING } from '../helpers/crash-tending.js';
import { ANSWER, OrderChecker } from '../helpers/durable-order.js';
import { inlineSystem } from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';

/** What nobody relies on: what is made anew when it is missing, and a catalog that is not finished. */
const NEEDLESS = /^sync(Directory)? (\.login.*|.*rekey\.db(-wal|-journal)?|.*\.new-(wal|journal))$/;

/** Nothing is told while these have their catalog open, and then its file alone is the catalog. */
const TELLING_AT_END: ReadonlySet<string> = new Set([PURGE.name, REKEY.name]);
const LOG = /^sync .*-wal$/;

/** Syncs by their kind, which is what is synced, with numbers and digests left out. Only kinds that cover something. */
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
    if (NEEDLESS.test(kind) || (LOG.test(kind) && TELLING_AT_END.has(scenario.name))) continue;
    if (isCovering) covering.add(kind);
    kinds.set(kind, (kinds.get(kind) ?? new Set()).add(act.at));
  }
  return new Map([...kinds].filter(([kind]) => covering.has(kind)));
}

/** The syncs come behind the next answer (or the end): what they cover came too late. */
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

for (const scenario of [FIRST, SECOND, PURGE, ...TENDING]) {
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

/** Kinds of syncs without which a power cut loses what was promised. */
const LOSING = [/^sync me\/packs\/N/, /^syncDirectory me\/packs$/, /^sync me\/tardis\.db-wal$/];

for (const pattern of LOSING) {
  test.serial(`a power cut shows that syncs are missing: ${pattern}`, async (t) => {
    const run = await recorded(t, FIRST);
    const dropped = new Set(
      [...kindsOf(run)].flatMap(([kind, at]) => (pattern.test(kind) ? [...at] : [])),
    );
    t.true(dropped.size > 0);
    const acts = run.trace.acts.filter(({ at }) => !dropped.has(at));
    const { wrong } = await crashAll(run, { acts, states: 120 / Math.min(1, times) });
    t.true(wrong.length > 0);
  });
}

test.serial('a power cut shows that a restore was not made durable', async (t) => {
  const run = await recorded(t, RESTORE);
  const acts = run.trace.acts.filter(({ act }) => act !== 'syncAll');
  const { wrong } = await crashAll(run, {
    acts,
    states: 60 / Math.min(1, times),
    from: acts.length - 1,
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
  await tellingBackup({ ...forgetful, native: system.native }, ground, 'first', answer, {
    create: true,
  });
  const rules = new Set(OrderChecker.check(trace, trace.acts).found.map(({ rule }) => rule));
  t.true(rules.has('a commit record'), [...rules].join(', '));
  t.true(rules.has('the answer'), [...rules].join(', '));
  t.true(rules.has('the name me/format.json'), [...rules].join(', '));
});
