// Pace: slow
/** A store is copied to another place, as docs/server/moving.md describes. */
import { execFileSync } from 'node:child_process';
import test from 'ava';
import { backup, backupsRunHere, succeed } from '../helpers/commands.js';
import { lab, restoredBy } from '../helpers/lab.js';

backupsRunHere();

test('a copied store is listed, sound, restored, and gone on with, also from a machine without memory', async (t) => {
  const { store, source, at } = lab(t);
  const word = '--password=of a test';
  await backup(['-D', store, '-C', 'me', '--local', '--create', word, source]);
  execFileSync('cp', ['-a', store, at('moved')]);
  const place = ['-D', at('moved'), '-C', 'me', word];
  t.regex(await succeed('sonic', ['clients', '-D', at('moved')]), /^me +1 +1 .*encrypted +good$/m);
  await succeed('sonic', ['check', '--read-data', ...place]);
  const fresh = { env: { XDG_STATE_HOME: at('state of a new machine') } };
  t.deepEqual(await restoredBy(place, source, at('out'), fresh), []);
  const next = await backup([...place, '--local', source], fresh);
  t.is(next.set, 2);
  t.is(next.progress.contentsSent, 0);
});
