// Pace: slow
/** Roots that are no longer backed up: data of theirs that only deleted sets had is removed, and they may return. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, jsonLines, rest, run, succeed } from '../helpers/commands.js';
import { restoredBy, lab } from '../helpers/lab.js';
import { differences, dir, file, look, makeTree, noise, sizeOf } from '../helpers/tree.js';

backupsRunHere();

const SECRET_BYTES = 600_000;

function twoRoots(t: ExecutionContext, more: readonly string[] = []) {
  const { at, place: client } = lab(t, []);
  const place = [...client, ...more];
  makeTree(at('one'), [file('stays', 'what stays')]);
  makeTree(at('two'), [
    file('secret', noise(1, SECRET_BYTES)),
    dir('below', [file('deep', 'deep'), dir('deeper', [file('deepest', 'deepest')])]),
  ]);
  const save = (...names: string[]) => {
    const create = fs.existsSync(at('store')) ? [] : ['--create'];
    return backup([...place, '--local', ...create, ...names.map((name) => at(name))]);
  };
  const sonic = (verb: string, ...args: string[]): Promise<string> =>
    succeed('sonic', [verb, ...place, ...args]);
  const isSame = async (set: string, name: string): Promise<void> => {
    t.deepEqual(await restoredBy([...place, '-b', set], at(name), at(`out-${set}-${name}`)), []);
  };
  const soundness = async (): Promise<void> => {
    t.regex(await sonic('check', '--read-data'), /No damage found/);
    await sonic('rebuild');
    t.regex(await sonic('check', '--read-data'), /No damage found/, 'after a rebuild');
  };
  return { at, place, save, sonic, isSame, soundness, client: at('store', 'me') };
}

interface Reported {
  readonly firstSet: number;
  readonly lastSet?: number;
  readonly goneSince?: number;
}

for (const [kind, word] of [
  ['plain', []],
  ['encrypting', ['--password=of a test']],
] as const) {
  test(`deleting the only set of a root frees what it held, and the root may come back: ${kind}`, async (t) => {
    const { at, save, sonic, isSame, soundness, client } = twoRoots(t, word);
    await save('one', 'two');
    await save('one');
    await save('one');
    const full = sizeOf(client);
    t.regex(await sonic('delete', '1', '--yes'), /[1-9]\d* contents? removed/);
    t.true(sizeOf(client) < full - SECRET_BYTES, `${sizeOf(client)} of ${full} bytes`);
    await soundness();
    // The root returns with fewer files: none of the earlier ones may appear again.
    fs.rmSync(at('two', 'below', 'deeper'), { recursive: true });
    await save('one', 'two');
    await isSame('4', 'two');
    await soundness();
    await isSame('4', 'two');
    await isSame('2', 'one');
  });

  test(`a root that comes back goes on from what a listed set still shows of it: ${kind}`, async (t) => {
    const { at, save, sonic, isSame, soundness, place } = twoRoots(t, word);
    await rest();
    await save('one', 'two');
    const was = look(at('two'));
    fs.writeFileSync(at('two', 'second'), noise(2, SECRET_BYTES));
    fs.writeFileSync(at('two', 'below', 'deep'), 'deep, and changed');
    await save('one', 'two');
    await save('one');
    await sonic('delete', '2', '--yes');
    const { progress } = await save('one', 'two');
    t.true(progress.filesRead < 4, 'what set 1 shows is not read again');
    await isSame('4', 'two');
    await soundness();
    await isSame('4', 'two');
    await succeed('regenerate', [...place, '-b', '1', '-o', at('old'), at('two')]);
    t.deepEqual(differences(was, look(at('old', 'two'))), []);
  });

  test(`versions end with the last set that has their root: ${kind}`, async (t) => {
    const { at, save, place } = twoRoots(t, word);
    const reported = async (...args: string[]): Promise<Reported[]> => {
      const shown = await succeed('lstardis', [...place, '--json', ...args]);
      return jsonLines<Reported>(shown).map(({ firstSet, lastSet, goneSince }) => ({
        firstSet,
        ...(lastSet === undefined ? {} : { lastSet }),
        ...(goneSince === undefined ? {} : { goneSince }),
      }));
    };
    const secret = at('two', 'secret');
    await save('one', 'two');
    await save('one');
    for (const requested of [['--find', 'secret'], [secret]]) {
      t.deepEqual(await reported(...requested), [{ firstSet: 1, lastSet: 1 }], requested.join(' '));
    }
    const preview = await succeed('sonic', ['forget-path', ...place, '--preview', secret]);
    t.regex(preview, /1 version in 1 set would be deleted/);
    t.notRegex(preview, /newest set/);
    await save('one', 'two');
    // The set in between has other roots, so it does not end the version.
    t.deepEqual(await reported(secret), [{ firstSet: 1 }]);
    t.deepEqual(await reported('--find', 'secret'), [{ firstSet: 1 }]);
    const again = await succeed('sonic', ['forget-path', ...place, '--preview', secret]);
    t.regex(again, /1 version in 2 sets would be deleted/);
    t.regex(again, /The newest set has it/);
  });
}

test('a path that was a single file, then in a directory, is in the sets that had it', async (t) => {
  const { at, save, place } = twoRoots(t);
  await save(path.join('two', 'secret'));
  await save('two');
  await save('one');
  const shown = await succeed('lstardis', [...place, '--json', at('two', 'secret')]);
  const spans = jsonLines<Reported>(shown).map(({ firstSet, lastSet }) => [firstSet, lastSet]);
  t.deepEqual(spans, [[1, 2]]);
  t.is((await run('lstardis', [...place, '-b', '3', at('two', 'secret')])).status, 1);
});
