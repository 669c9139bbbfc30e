// Pace: slow
/** Keys and passwords are not changed under a session, and an account gets no keys that were replaced meanwhile. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { codeIn } from '../helpers/codes.js';
import { backupsRunHere, run, Running, succeed, poolsStayAway } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { noise } from '../helpers/tree.js';
import { ROOT } from '../tidy/house.js';

backupsRunHere();
poolsStayAway();

/** Made before any backup begins: the tests run at once, and one that makes noise keeps the others from watching. */
const LARGE = noise(1, 24 << 20);
/** With it, to send the large file takes seconds. */
const SLOW = ['--bandwidth-limit', '8M'];
const PASSWORD = 'the first words of the owner';

for (const kind of ['encrypting', 'plain'] as const) {
  test(`no keys are changed while a backup runs: ${kind}`, async (t) => {
    const { place, source, store, written } = lab(t);
    const password = ['--password-file', written('password', PASSWORD)];
    const next = ['--newpassword-file', written('next', 'the next words of the owner')];
    const own = kind === 'plain' ? [] : password;
    await succeed('tardis', [...place, ...own, '--local', '--create', source]);
    fs.writeFileSync(path.join(source, 'large'), LARGE);
    const lock = path.join(store, 'me', 'lock');
    const backup = new Running('tardis', [...place, ...own, ...SLOW, '--local', source]);
    const isHeld = (): boolean => spawnSync('flock', ['-n', lock, 'true']).status === 1;
    await backup.until('the session has the client', isHeld);
    backup.signalGroup('SIGSTOP');
    const commands =
      kind === 'plain'
        ? [
            ['setpass', ...place, ...password],
            ['encrypt', ...place, ...password, '--yes'],
          ]
        : [
            ['chpass', ...place, ...password, ...next],
            ['rotate', ...place, ...password],
            ['rekey', ...place, ...password, '--yes'],
          ];
    for (const args of commands) {
      const refused = await run('sonic', args);
      t.is(codeIn(refused), 'CLIENT_BUSY', `${args[0]}: ${refused.stderr}`);
      t.is(refused.status, 11);
    }
    t.deepEqual(fs.readdirSync(store), ['me'], 'nothing was begun');
    backup.signalGroup('SIGCONT');
    const { status, stderr } = await backup.ended;
    t.is(status, 0, stderr);
    await succeed('sonic', commands[0]!);
  });
}

test('an account gets no keys that were replaced while its password was typed', async (t) => {
  const { at, place, source, store, written } = lab(t);
  const password = ['--password-file', written('password', PASSWORD)];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  const words = [...place, ...password].map((word) => `'${word}'`).join(' ');
  written(
    'asked',
    `#!/bin/sh\n'${ROOT}/bin/sonic' rotate ${words} >&2 && echo words of the account\n`,
  );
  const add = ['account', ...place, ...password, '--add', 'phone', '--rights', 'list'];
  const refused = await run('sonic', [...add, '--newpassword-prog', `sh '${at('asked')}'`]);
  t.is(codeIn(refused), 'CLIENT_BUSY', refused.stderr);
  t.false(fs.existsSync(path.join(store, 'me', 'accounts', 'phone')));
  const next = ['--newpassword-file', written('next', 'words of the account')];
  await succeed('sonic', [...add, ...next]);
});

test('a reader whose password prompt meets a rewrite with other keys goes on, or says to run it again', async (t) => {
  const { at, place, source, written } = lab(t);
  const password = ['--password-file', written('password', PASSWORD)];
  await succeed('tardis', [...place, ...password, '--local', '--create', source]);
  const rekey = `'${ROOT}/bin/sonic' rekey ${[...place, ...password].map((word) => `'${word}'`).join(' ')} --yes`;
  written(
    'once',
    `#!/bin/sh\ntest -e '${at('met')}' || ${rekey} >&2; >'${at('met')}'; echo '${PASSWORD}'\n`,
  );
  written('always', `#!/bin/sh\n${rekey} >&2; echo '${PASSWORD}'\n`);
  for (const args of [[...place], ['-D', at('store'), '-C', 'me', source]]) {
    fs.rmSync(at('met'), { force: true });
    await succeed('lstardis', [...args, '--password-prog', `sh '${at('once')}'`]);
  }
  const refused = await run('lstardis', [...place, '--password-prog', `sh '${at('always')}'`]);
  t.is(codeIn(refused), 'CLIENT_BUSY', refused.stderr);
  t.notRegex(refused.stderr, /remove /);
  await succeed('lstardis', [...place, ...password]);
});
