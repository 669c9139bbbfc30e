/** Runs a scenario with all its crash points as a test. */
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { crashAll, type CrashReport, record, type Run, type Scenario } from './crash-runs.js';
import { OrderChecker } from './durable-order.js';
import { scratchInMemory } from './scratch.js';
import { seed } from './seed.js';

/** Records a run in a folder of its own. Fails if an answer or an act preceded a sync that it needs. */
export async function recorded<T>(t: ExecutionContext, scenario: Scenario<T>): Promise<Run<T>> {
  const run = await record(scenario, path.join(scratchInMemory(t), 'ground'));
  const { found } = OrderChecker.check(run.trace, run.trace.acts);
  t.deepEqual(found, [], 'told, or relied on, before its sync');
  return run;
}

/** Checks a scenario after a power cut at any crash point. */
export async function sweep<T>(t: ExecutionContext, scenario: Scenario<T>): Promise<CrashReport> {
  const report = await crashAll(await recorded(t, scenario));
  t.deepEqual(report.wrong, []);
  t.log(`${report.points} crash points, ${report.states} states of the disk (seed ${seed})`);
  return report;
}
