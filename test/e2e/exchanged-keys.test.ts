// Pace: slow
/**
 * The key record of another client in the place of one's own. The record is intact, so that alone may not make any
 * command accept it.
 */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { lab, restoredBy } from '../helpers/lab.js';

backupsRunHere();

const SECRET = 'gravel-Otter9-lamp';
const RECORD = path.join('keys', '00000001.key');
const COPY = path.join('packs', RECORD);

for (const [place, other] of [
  [RECORD, COPY],
  [COPY, RECORD],
] as const) {
  test(`another client's key record as ${place} is named by a check, and replaces no record`, async (t) => {
    const { at, source, store } = lab(t);
    const env = { XDG_STATE_HOME: at('state') };
    const args = (client: string): string[] => ['-D', store, '-C', client, `--password=${SECRET}`];
    for (const client of ['me', 'other']) {
      await succeed('tardis', [...args(client), '--local', '--create', source], { env });
    }
    const home = (...names: string[]): string => path.join(store, 'me', ...names);
    const right = fs.readFileSync(home(other));
    t.deepEqual(fs.readFileSync(home(place)), right);
    fs.copyFileSync(path.join(store, 'other', place), home(place));
    const checked = await run('sonic', ['check', '-D', store, '-C', 'me'], { env });
    t.is(checked.status, 3);
    t.true(checked.stdout.includes('keys: packs/keys/00000001.key is not the record'));
    fs.writeFileSync(path.join(source, 'later'), 'later');
    await run('tardis', [...args('me'), '--local', source], { env });
    await run('sonic', ['rebuild', ...args('me')], { env });
    t.deepEqual(fs.readFileSync(home(other)), right, 'the right one is still there');
    fs.copyFileSync(home(other), home(place));
    await succeed('tardis', [...args('me'), '--local', source], { env });
    t.deepEqual(await restoredBy([...args('me')], source, at('back'), { env }), []);
  });
}
