// Pace: slow
/** State files that a backup writes on its machine do not make the next run find changes. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, backupsRunHere, rest, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

test('a home that is unchanged sends nothing, though the memory of sets lies in it', async (t) => {
  const { place, source, written } = lab(t);
  const state = path.join(source, '.local', 'state');
  const env = { HOME: source, XDG_STATE_HOME: state };
  const save = [...place, '--local', '--password-file', written('password', 'word of pass\n')];
  await backup([...save, '--create', source], { env });
  t.true(fs.existsSync(path.join(state, 'tardis', 'seals')));
  await rest();
  await backup([...save, source], { env }); // saves the file by which this machine remembers the client
  await rest();
  for (const _ of [1, 2]) {
    const { progress } = await backup([...save, source], { env });
    t.is(progress.contentsSent, 0);
    t.is(progress.filesRead, 0);
    t.is(progress.listings, 0, 'no directory has changed');
  }
  for (const name of ['seals', 'backups', 'runs']) {
    const requested = ['--explain', path.join(state, 'tardis', name), ...save, source];
    const reason = new RegExp(`${name}: left out: .*each backup writes to it`);
    t.regex(await succeed('tardis', requested, { env }), reason);
  }
  const clients = path.join(state, 'tardis', 'clients');
  t.regex(await succeed('tardis', ['--explain', clients, ...save, source], { env }), /: kept/);
});
