/** Retention rules that are stored with a client, and the message of a purge that deletes nothing. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, listedSets, run, Server, succeed } from '../helpers/commands.js';
import { scratchInMemory } from '../helpers/scratch.js';

backupsRunHere();

async function fourSets(t: ExecutionContext) {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  fs.mkdirSync(source);
  const place = ['-D', store, '-C', 'me'];
  for (let set = 1; set <= 4; set += 1) {
    fs.writeFileSync(path.join(source, 'changes'), `in set ${set}`);
    await backup([...place, '--local', ...(set === 1 ? ['--create'] : []), source]);
  }
  return { store, source, place };
}

test('sonic purge without a rule goes by the rules that are kept with the client', async (t) => {
  const { store, place } = await fourSets(t);
  const none = await run('sonic', ['purge', ...place, '--yes']);
  t.regex(none.stderr, /give rules for what to keep.*USAGE/);
  await succeed('sonic', ['setconfig', ...place, 'KeepLast', '2']);
  t.regex(
    await succeed('sonic', ['purge', ...place, '--preview']),
    /2 backup sets of 4 would be deleted/,
  );
  const given = await succeed('sonic', ['purge', ...place, '--keep-last', '3', '--preview']);
  t.regex(given, /1 backup set of 4 would be deleted/, 'a rule that is given counts alone');
  t.regex(await succeed('sonic', ['purge', ...place, '--yes']), /2 backup sets .* purged \(1-2\)/);
  t.deepEqual(
    (await listedSets(store, 'me')).map(({ set }) => set),
    [3, 4],
  );
});

test('a backup with --purge through a server reports why nothing went', async (t) => {
  const { store, source } = await fourSets(t);
  const server = await Server.start(store, []);
  t.teardown(() => server.kill());
  const printed = await succeed('tardis', [...server.clientArgs, '-C', 'me', '--purge', source]);
  t.regex(printed, /0 backup sets of "me" purged: without the right `purge`, rules count one set/);
  await server.stop();
});
