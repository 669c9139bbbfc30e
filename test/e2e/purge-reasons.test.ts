// Pace: slow
/** Retention rules that are stored with a client, and the message of a purge that deletes nothing. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, listedSets, run, Server, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

async function fourSets(t: ExecutionContext) {
  const { store, source, place } = lab(t, []);
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
  const server = await Server.during(t, store, []);
  const printed = await succeed('tardis', [...server.clientArgs, '-C', 'me', '--purge', source]);
  t.regex(printed, /0 backup sets of "me" purged: without the right `purge`, rules count one set/);
  await server.stop();
});

const numbersIn = async (store: string): Promise<number[]> =>
  (await listedSets(store, 'me')).map(({ set }) => set);

test('a purge by a tag that no set has deletes nothing, and names the tags that there are', async (t) => {
  const { store, place } = await fourSets(t);
  await succeed('sonic', ['tag', ...place, '--add', 'important', '2']);
  for (const rules of [[], ['--keep-last', '1'], ['--before', 'tomorrow']]) {
    const args = ['purge', ...place, '--keep-tag', 'imporant', ...rules, '--yes'];
    const { status, stderr } = await run('sonic', args);
    t.is(status, 1);
    const expected =
      rules.length === 0 ? /USAGE/ : /no set of "me" has .* imporant.* important.*NO_SUCH_TAG/s;
    t.regex(stderr, expected, rules.join(' '));
    t.deepEqual(await numbersIn(store), [1, 2, 3, 4]);
  }
  await succeed('sonic', ['setconfig', ...place, 'KeepTags', 'imporant']);
  await succeed('sonic', ['setconfig', ...place, 'KeepLast', '3']);
  const kept = await run('sonic', ['purge', ...place, '--yes']);
  t.regex(kept.stderr, /warning: no set of "me" has the tag imporant/, 'may be for later sets');
  t.deepEqual(await numbersIn(store), [2, 3, 4]);
  await succeed('sonic', ['setconfig', ...place, 'KeepTags', 'important, later']);
  const replaced = /stored KeepTags, so these tags keep nothing: important, later; add --keep-tag/;
  const seen = await run('sonic', ['purge', ...place, '--keep-last', '1', '--preview']);
  t.regex(seen.stderr, replaced);
  const rules = ['--keep-last', '1', '--keep-tag', 'important', '--yes'];
  const purged = await run('sonic', ['purge', ...place, ...rules]);
  t.regex(purged.stderr, /these tags keep nothing: later; add/);
  t.deepEqual(await numbersIn(store), [2, 4]);
});

test('KeepTags of a server only add to its other rules, and one that no set has is named', async (t) => {
  const { store, place, source } = await fourSets(t);
  const config = `${store}.cfg`;
  fs.writeFileSync(config, '[Tardis]\nKeepTags = imporant\nLeastAge = 0\n');
  await backup([...place, '--local', '--purge', '--local-config', config, source]);
  t.deepEqual(await numbersIn(store), [1, 2, 3, 4, 5], 'the usual rules of a server still count');
  fs.appendFileSync(config, 'KeepDaily = 1\nPurgeInterval = 1\n');
  const server = await Server.during(t, store, ['--config', config]);
  const named = /"tags":\["imporant"\],"msg":"no set of this client has a tag in KeepTags"/;
  await server.running.until('warning', () => named.test(server.running.stderr));
  await server.stop();
  t.true((await numbersIn(store)).length < 5);
});
