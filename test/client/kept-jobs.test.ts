/** A runner of jobs that one backup keeps for the next one. */
import path from 'node:path';
import test from 'ava';
import type { JobRunner } from '../../src/workers/index.js';
import { backupInline, inlineSystem, restoreInline } from '../helpers/inline.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { differences, file, look, makeTree, noise } from '../helpers/tree.js';

test('a runner is kept by a backup that succeeds, and forgets what that has sent', async (t) => {
  const system = inlineSystem();
  const home = scratchInMemory(t);
  const at = (part: string): string => path.join(home, part);
  makeTree(at('tree'), [file('small', 'x'), file('large', noise('large', 3_000_000))]);
  const closed = new Set<JobRunner>();
  const taken: JobRunner[] = [];
  let kept: JobRunner | undefined;
  const options = {
    create: true,
    wrapJobs: (jobs: JobRunner): JobRunner => {
      const runner = kept ?? jobs;
      kept = undefined;
      taken.push(runner);
      const close = jobs.close.bind(jobs);
      jobs.close = () => {
        closed.add(jobs);
        return close();
      };
      return runner;
    },
    keepJobs: (jobs: JobRunner): void => {
      kept = jobs;
    },
  };
  for (const name of ['one', 'other']) {
    const place = { store: at(name), client: 'me' };
    await backupInline(system, place, [at('tree')], options);
    const output = at(`out of ${name}`);
    t.deepEqual(await restoreInline(system, place, { paths: [at('tree')], output }), []);
    t.deepEqual(differences(look(at('tree')), look(path.join(output, 'tree'))), []);
  }
  t.is(taken[1], taken[0]);
  t.is(kept, taken[0]);
  const nowhere = { store: at('one'), client: 'nobody' };
  await t.throwsAsync(backupInline(system, nowhere, [at('tree')], { ...options, create: false }));
  t.is(kept, undefined);
  t.true(closed.has(taken[0]!));
});
