// Pace: slow
/** `tardis-import` and the program of a repository: passwords, machines, a full TMPDIR and a second import, with a stub of restic. */
import fs from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, Running, run, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { runOnTerminal } from '../helpers/terminal.js';
import { until } from '../helpers/until.js';

backupsRunHere();

const PASSWORD = 'of the repository';
const ARCHIVES = ['anna', 'bert', 'anna'].map((hostname, index) => ({
  id: `${index}`.repeat(64),
  time: `2024-05-0${index + 1}T03:00:00Z`,
  hostname,
  paths: ['/tree'],
}));
const UNDATED = { id: '9'.repeat(64), time: '', hostname: 'anna', paths: ['/tree'] };

/** Lists snapshots for the right password, and restores a file that names the snapshot. `slow` waits, and `full` has no space. */
const STUB = `#!/bin/sh
here=$(dirname "$0")
[ -n "$RESTIC_PASSWORD" ] || { echo 'Fatal: an empty password is not allowed' >&2; exit 1; }
[ "$RESTIC_PASSWORD" = '${PASSWORD}' ] || { echo 'Fatal: wrong password or no key found' >&2; exit 12; }
case "$*" in
*snapshots*) exec cat "$here/list" ;;
*restore*)
  [ ! -e "$here/full" ] || { echo 'write tree/file: no space left on device' >&2; exit 1; }
  [ ! -e "$here/empty" ] || { rm "$here/empty"; exit 0; }
  mkdir -p tree other && echo "$*" >tree/file && echo x >other/file
  while [ -e "$here/slow" ]; do sleep 0.1; done ;;
*) exit 1 ;;
esac
`;

function stubLab(t: ExecutionContext) {
  const { at, place } = lab(t, []);
  fs.mkdirSync(at('bin'));
  fs.writeFileSync(at('bin/restic'), STUB, { mode: 0o755 });
  const list = (archives: readonly object[]): void =>
    fs.writeFileSync(at('bin/list'), JSON.stringify(archives));
  list(ARCHIVES);
  fs.writeFileSync(at('password'), `${PASSWORD}\n`);
  const env = { PATH: `${at('bin')}:${process.env['PATH']}`, XDG_STATE_HOME: at('state') };
  const words = [...place, '--create', `restic:${at('repository')}`];
  return {
    at,
    place,
    list,
    env: { env },
    words,
    withPassword: ['--source-password-file', at('password')],
  };
}

test('the machines of a repository are kept apart', async (t) => {
  const { place, env, words, withPassword } = stubLab(t);
  const mixed = exited(t, 1, await run('tardis-import', [...words, ...withPassword], env));
  t.is(codeIn(mixed), 'USAGE');
  t.regex(mixed.stderr, /several machines, "anna" \(2\), "bert" \(1\): .*--source-host/);
  const other = [...words, ...withPassword, '--source-host', 'berta'];
  t.regex(exited(t, 1, await run('tardis-import', other, env)).stderr, /no archives of "berta"/);
  const ours = [...words, ...withPassword, '--source-host', 'anna'];
  t.regex(await succeed('tardis-import', ours, env), /^2 of 2 states came\.$/m);
  const { sets } = JSON.parse(await succeed('lstardis', [...place, '--json'])) as {
    sets: { name: string }[];
  };
  t.deepEqual(
    sets.map(({ name }) => name),
    ['00000000 anna', '22222222 anna'],
  );
});

test('a password comes from the environment, a file or the terminal, once for all programs', async (t) => {
  const { env, words, withPassword } = stubLab(t);
  const dry = [...words, '--source-host', 'anna', '--dry-run'];
  const wrong = { env: { ...env.env, RESTIC_PASSWORD: 'another one' } };
  t.is(codeIn(exited(t, 12, await run('tardis-import', dry, wrong))), 'LOGIN_FAILED');
  await succeed('tardis-import', [...dry, ...withPassword], wrong);
  const right = { env: { ...env.env, RESTIC_PASSWORD: PASSWORD } };
  await succeed('tardis-import', dry, right);
  const all = [...words, '--source-host', 'anna'];
  const { status, shown } = await runOnTerminal('tardis-import', all, [`${PASSWORD}\n`], env.env);
  t.is(status, 0, shown);
  t.regex(shown, /^Password of .*repository: /);
  t.regex(shown, /reading state 2 of 2/);
  t.is([...shown.matchAll(/Password/g)].length, 1, shown);
  const stopped = await runOnTerminal('tardis-import', dry, ['\x03'], env.env);
  t.is(stopped.status, 130, stopped.shown);
  t.regex(stopped.shown, /INTERRUPTED/);
});

test('a snapshot without a date is named, by a dry run too', async (t) => {
  const { list, env, words, withPassword } = stubLab(t);
  list([...ARCHIVES, UNDATED, { ...UNDATED, hostname: 'bert' }]);
  const ours = [...words, ...withPassword, '--source-host', 'anna'];
  const named = /1 of 3 states left out:\n.*99999999 anna: it has no date\n$/;
  t.regex((await run('tardis-import', [...ours, '--dry-run'], env)).stderr, named);
  t.regex(exited(t, 3, await run('tardis-import', ours, env)).stderr, named);
});

test('a full TMPDIR ends an import, which damages no source', async (t) => {
  const { at, env, words, withPassword } = stubLab(t);
  fs.writeFileSync(at('bin/full'), '');
  const all = [...words, ...withPassword, '--source-host', 'anna'];
  const { stderr } = exited(t, 1, await run('tardis-import', all, env));
  t.regex(stderr, /\(TMPDIR\) is full: cannot restore .*no space left.* \[TEMPORARY_FULL\]/);
  fs.rmSync(at('bin/full'));
  t.regex(await succeed('tardis-import', all, env), /^2 of 2 states came\.$/m);
});

test('of two imports at once into a client, one comes', async (t) => {
  const { at, env, words, withPassword, list } = stubLab(t);
  const all = [...words, ...withPassword, '--source-host', 'anna'];
  list([ARCHIVES[0]!]);
  await succeed('tardis-import', all, env);
  list(ARCHIVES);
  fs.writeFileSync(at('bin/slow'), '');
  const first = new Running('tardis-import', all, env);
  await until(() => fs.existsSync(at('store/.import-me.lock')));
  const { stderr } = exited(t, 11, await run('tardis-import', all, env));
  t.regex(stderr, /another import into the client "me" is running \[CLIENT_BUSY\]/);
  fs.rmSync(at('bin/slow'));
  t.is((await first.ended).status, 0);
  t.false(fs.existsSync(at('store/.import-me.lock')));
  t.is(await succeed('tardis-import', all, env), '');
});

test('all of a snapshot comes if not each of its paths is known, an odd name too, and an empty one is named', async (t) => {
  const { at, env, place, words, withPassword, list } = stubLab(t);
  const [first, , third] = ARCHIVES;
  list([
    { ...first!, paths: ['tree', '/other'] },
    { ...third!, hostname: 'an\tna', paths: ['/../../other', '/tree'] },
    { ...third!, hostname: 'an\tna', id: '3'.repeat(64), time: '2024-05-04T03:00:00Z' },
  ]);
  const all = [...words, ...withPassword];
  await succeed('tardis-import', [...all, '--source-host', 'anna'], env);
  await succeed('lstardis', [...place, '/tree/file', '/other/file']);
  fs.writeFileSync(at('bin/empty'), '');
  const odd = [...all, '--source-host', 'an\tna'];
  const { stderr, stdout } = exited(t, 3, await run('tardis-import', odd, env));
  t.regex(stderr, /1 of 2 states left out:\n.*2222: it is empty\n$/);
  t.regex(stdout, /\(33333333 an\\x09na \([0-9a-f]{8}\)\) is complete/);
  await succeed('lstardis', [...place, '/tree/file']);
});
