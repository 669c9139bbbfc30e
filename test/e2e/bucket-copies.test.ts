// Pace: long
/** `sonic copy` to servers over one bucket, which may die meanwhile. */
import fs from 'node:fs';
import test from 'ava';
import { ServedLab } from '../helpers/bucket-lab.js';
import { NodeClient, startNode } from '../helpers/bucket-nodes.js';
import { backupsRunHere, jsonLines, poolsStayAway, type Server } from '../helpers/commands.js';
import { noise } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

interface Copied {
  readonly clients: readonly { readonly sets: readonly number[]; readonly allSets: number }[];
}

test('a client is copied to servers over one bucket, and another one goes on when the first is killed', async (t) => {
  const strikes: (() => void)[] = [];
  const lab = await ServedLab.grown(t, {
    faultAt: ({ method, key }) => {
      const strike = method === 'PUT' && key.includes('/packs/') ? strikes.pop() : undefined;
      if (strike === undefined) return undefined;
      strike();
      return 'drop, apply later';
    },
  });
  const store = ['-D', lab.at('store')];
  const me = new NodeClient(lab, 'me');
  await me.succeed(store, 'tardis', ['--local', '--create', lab.source]);
  const accepting = ['--accept-copies'];
  const [one, two] = [
    await startNode(t, lab, 'one', accepting),
    await startNode(t, lab, 'two', accepting),
  ];
  const copy = async (to: readonly Server[], ...words: string[]) => {
    const target = to.map(({ port }) => `127.0.0.1:${port}`).join(',');
    const all = ['copy', '--to-server', target, '--insecure-tcp', '--json', ...words];
    const { sets, allSets } = jsonLines<Copied>(await me.succeed(store, 'sonic', all))[0]!
      .clients[0]!;
    return [sets, allSets];
  };
  t.deepEqual(await copy([one], '--create'), [[1], 1]);
  const puts = (): number =>
    lab.server.requests.filter(({ method, key }) => method === 'PUT' && key.includes('/c/me/'))
      .length;
  const before = puts();
  t.deepEqual(await copy([two]), [[], 1]);
  t.is(puts(), before, 'with nothing new, another server writes nothing either');
  t.deepEqual(await me.restored(two.clientArgs), []);
  lab.change(1);
  fs.writeFileSync(`${lab.source}/more`, noise(9, 3_000_000));
  await me.succeed(store, 'tardis', ['--local', lab.source]);
  strikes.push(() => void one.kill());
  t.deepEqual(await copy([one, two]), [[2], 2]);
  t.deepEqual(strikes, [], 'the first server was killed');
  lab.server.settle();
  t.deepEqual(await me.restored(two.clientArgs), []);
  await me.succeed(two.clientArgs, 'sonic', ['check', '--read-data']);
});
