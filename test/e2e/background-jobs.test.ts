// Pace: slow
/**
 * Background jobs: a server checks and clears up a client's store in a thread of its own, for accounts with the right
 * to do so.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, jsonLines, run, Server, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { file, noise, sizeOf } from '../helpers/tree.js';

backupsRunHere();

async function served(t: ExecutionContext, more: readonly string[]) {
  const {
    store,
    source,
    place: own,
    at,
  } = lab(
    t,
    Array.from({ length: 40 }, (_, n) => file(`f${n}`, noise(n, 50_000))),
  );
  const secret = at('secret');
  const place = [...own, '-F', secret];
  fs.writeFileSync(secret, 'of a test 4711\n');
  await backup([...place, ...more, '--local', '--create', source]);
  for (let n = 0; n < 30; n += 1) fs.rmSync(path.join(source, `f${n}`));
  await backup([...place, '--local', source]);
  for (const [name, rights] of [
    ['tidier', 'read,list,purge'],
    ['looker', 'list'],
  ] as const) {
    const own = ['--add', name, '--rights', rights, '--newpassword-file', secret];
    await succeed('sonic', ['account', ...place, ...own]);
  }
  const config = at('config');
  fs.writeFileSync(config, '[Tardis]\nGcInterval = 0\nRemoveAfter = 0\nLeastAge = 0\n');
  const server = await Server.during(t, store, ['--config', config]);
  const as = (name: string): string[] => [
    ...server.clientArgs,
    '-C',
    'me',
    '-F',
    secret,
    '--account',
    name,
  ];
  return { store, source, place, as, packs: path.join(store, 'me', 'packs') };
}

function turnOver(packs: string): void {
  const pack = path.join(packs, '00000001.pack');
  const bytes = fs.readFileSync(pack);
  bytes[Math.floor(bytes.length / 5)]! ^= 1;
  fs.writeFileSync(pack, bytes);
}

for (const [what, more] of [
  ['that encrypts', []],
  ['that does not encrypt', ['--no-crypt']],
] as const) {
  test(`a check through a server finds what one beside the store does: a client ${what}`, async (t) => {
    const { place, as, packs, source } = await served(t, more);
    const far = ['check', ...as('tidier'), '--read-data', '--json'];
    t.like(jsonLines(await succeed('sonic', far))[0], { isClean: true, isOpened: more.length > 0 });
    turnOver(packs);
    const there = await run('sonic', [...far, '--no-mark']);
    t.is(there.status, 3, there.stderr);
    const here = await run('sonic', ['check', ...place, '--read-data', '--json', '--no-mark']);
    const findings = ({ stdout }: { stdout: string }): unknown[] =>
      jsonLines(stdout)
        .filter(({ finding }) => finding !== 'end')
        // A check that has the keys words the reason differently, so `why` is compared for versions only.
        .map(({ why, ...line }) =>
          JSON.stringify(line['finding'] === 'version' ? { ...line, why } : line),
        )
        .sort();
    t.true(findings(here).length > 1);
    t.deepEqual(findings(there), findings(here));
    t.true(there.stdout.includes(path.join(source, 'f')), 'names are opened');
    const marked = await run('sonic', ['check', ...as('tidier'), '--read-data=100%']);
    t.regex(marked.stdout, /Marked as damaged: the next backup sends again/);
    t.regex((await run('sonic', ['check', ...as('looker')])).stderr, /NOT_PERMITTED/);
    await succeed('sonic', [
      'check',
      ...as('tidier'),
      '--read-data=1/3',
      '--read-data-age',
      '1',
    ]).catch((error: unknown) => t.regex(String(error), /cannot be restored/));
  });
}

test('unneeded data is freed through a server, by an account with the right to delete', async (t) => {
  const { as, packs, place } = await served(t, ['--no-crypt']);
  await succeed('sonic', ['delete', '1', '--yes', ...as('tidier')]);
  const before = sizeOf(packs);
  t.regex((await run('sonic', ['orphans', ...as('looker')])).stderr, /NOT_PERMITTED/);
  t.like(jsonLines(await succeed('sonic', ['orphans', ...as('tidier'), '--json']))[0], {
    isDone: true,
    contents: 30,
  });
  await succeed('sonic', ['orphans', ...as('tidier')]);
  t.true(sizeOf(packs) < before / 2, `${sizeOf(packs)} of ${before} bytes`);
  t.regex(await succeed('sonic', ['check', '--read-data', ...place]), /No damage found/);
});
