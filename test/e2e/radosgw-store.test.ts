// Pace: slow
/** A store in a bucket of a real gateway, if this machine has one. */
import fs from 'node:fs';
import test from 'ava';
import { BucketLab } from '../helpers/bucket-lab.js';
import { codeIn } from '../helpers/codes.js';
import { NodeClient, startNode } from '../helpers/bucket-nodes.js';
import { backupsRunHere } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';
import { type Gateway, startGateway, whyNoGateway } from '../support/radosgw.js';
import { pause } from '../helpers/until.js';

backupsRunHere();

const why = whyNoGateway();
let gateway: Gateway | undefined;

test.before(async (t) => {
  t.timeout(240_000);
  if (why === undefined) gateway = await startGateway();
});
test.after.always(async () => gateway?.stop());

test('machines share a store in a bucket of a real gateway', async (t) => {
  if (gateway === undefined) return leaveOut(t, `left out: no real gateway (${why})`);
  const lab = new BucketLab(scratchInMemory(t), gateway.url);
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

test('servers on one bucket of a real gateway take over from each other', async (t) => {
  if (gateway === undefined) return leaveOut(t, `left out: no real gateway (${why})`);
  const lab = new BucketLab(scratchInMemory(t), gateway.url);
  lab.grow();
  const small = ['--config', lab.at('small.cfg')];
  fs.writeFileSync(small[1]!, '[Pipeline]\nCheckpointSize = 1M\n');
  const two = await startNode(t, lab, 'node-two', small);
  const me = new NodeClient(lab, 'far');
  await me.succeed(two.clientArgs, 'tardis', ['--create', lab.source]);
  for (const [round, signal] of (['SIGKILL', 'SIGSTOP'] as const).entries()) {
    const one = await startNode(t, lab, `node-one-${round}`, small);
    for (let file = 0; file < 100; file += 1) {
      fs.writeFileSync(`${lab.source}/much-${file}`, noise(1000 * round + file, 400_000));
    }
    const to = ['--server', `127.0.0.1:${one.port},127.0.0.1:${two.port}`, '--insecure-tcp'];
    const running = me.start(to, ['--timeout', '3', '--reconnect', '90', lab.source]);
    await one.running.until('session', () => one.running.stderr.includes('"session begins"'));
    await pause(500);
    const wasRunning = !running.hasEnded;
    one.running.signalGroup(signal);
    const { status, stderr } = await running.ended;
    t.is(status, 0, stderr);
    t.true(wasRunning, 'the backup was struck');
    one.running.signalGroup('SIGCONT');
    await one.stop();
    t.deepEqual(await me.restored(two.clientArgs), [], signal);
    const complete = (await me.sets(two.clientArgs)).filter(({ state }) => state === 'complete');
    t.is(complete.length, round + 2, signal);
  }
  await me.succeed(two.clientArgs, 'sonic', ['check', '--read-data']);
});
