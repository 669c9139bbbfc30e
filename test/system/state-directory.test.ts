/** The directory in which this machine remembers clients never depends on the working directory. */
import { spawnSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';

const MODULE = new URL('../../src/system/index.js', import.meta.url).href;

/** Returns the path of a state file, for a process with these variables. */
function placeWith(HOME: string, XDG_STATE_HOME: string): string {
  const program = `console.log((await import(${JSON.stringify(MODULE)})).statePath('file'))`;
  const args = ['--input-type=module', '-e', program];
  const env = { ...process.env, HOME, XDG_STATE_HOME };
  return spawnSync(process.execPath, args, { env, encoding: 'utf8' }).stdout.trim();
}

test('an empty HOME, and paths that are not absolute, put the memory into no current directory', (t) => {
  const own = path.join(os.userInfo().homedir, '.local/state/tardis/file');
  t.is(placeWith('', ''), own);
  t.is(placeWith('here', 'there'), own);
  t.is(placeWith('/home/of/it', ''), '/home/of/it/.local/state/tardis/file');
  t.is(placeWith('/home/of/it', '/given'), '/given/tardis/file');
});
