/** A store in a bucket of a real gateway, if this machine has one. */
import test from 'ava';
import { BucketLab } from '../helpers/bucket-lab.js';
import { codeIn } from '../helpers/codes.js';
import { scratch } from '../helpers/tree.js';
import { type Gateway, startGateway, whyNoGateway } from '../support/radosgw.js';

const why = whyNoGateway();
let gateway: Gateway | undefined;

test.before(async (t) => {
  t.timeout(240_000);
  if (why === undefined) gateway = await startGateway();
});
test.after.always(async () => gateway?.stop());

test('machines share a store in a bucket of a real gateway', async (t) => {
  if (gateway === undefined) {
    t.log(`left out: no real gateway (${why})`);
    t.pass();
    return;
  }
  const lab = new BucketLab(scratch(t), gateway.url);
  lab.grow();
  await lab.backUp('one', ['--create']);
  let done = 1;
  for (let round = 1; round <= 2; round += 1) {
    lab.change(round);
    const at = (machine: string) => lab.run(machine, 'tardis', ['--local', lab.source]);
    for (const outcome of await Promise.all([at('one'), at('two')])) {
      if (outcome.status === 0) done += 1;
      else t.is(codeIn(outcome), 'STORE_TAKEN', outcome.stderr);
    }
  }
  const complete = (await lab.sets('three')).filter(({ state }) => state === 'complete');
  t.is(complete.length, done);
  await lab.backUp('two');
  t.deepEqual(await lab.restored('three'), []);
  t.is((await lab.run('three', 'sonic', ['check', '--read-data'])).status, 0);
});
