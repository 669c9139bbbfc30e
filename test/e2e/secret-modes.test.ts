// Pace: slow
/** Keys and password verifiers are readable by their owner only, whatever umask a store has. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { run, Server, succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';

const OPEN = ['--umask', '000'];
const WORD = '--password=gravel-Otter9-lamp';
const NEXT = '--newpassword=kelp-Sundry7-mulch';

/** Returns the modes of all files and directories below a directory, by name. */
function modesBelow(top: string): Map<string, string> {
  const names = fs.readdirSync(top, { recursive: true, encoding: 'utf8' });
  return new Map(
    names.map((name) => [name, (fs.lstatSync(path.join(top, name)).mode & 0o777).toString(8)]),
  );
}

test('key records, key files and sheets are readable by their owner alone, whatever the umask', async (t) => {
  const { place, source, store, at, written } = lab(t);
  const config = ['--local-config', written('cfg', '[Tardis]\nUmask = 000\n')];
  const save = [...place, '--local', ...config, source];
  const looked = (files: number): void => {
    const modes = modesBelow(store);
    const keys = [...modes].filter(([name]) => name.endsWith('.key'));
    t.is(keys.length, files, [...modes.keys()].join('\n'));
    for (const [name, mode] of keys) {
      t.is(mode, '600', name);
      t.is(modes.get(path.dirname(name)), '700', path.dirname(name));
    }
    t.is(modes.get('me'), '777', 'the umask is in force');
    t.is(modes.get('me/tardis.db'), '666');
  };
  await succeed('tardis', ['--create', WORD, ...save]);
  looked(2);
  const more = [...place, ...OPEN, WORD];
  const account = ['--add', 'reader', '--rights', 'list', NEXT];
  await succeed('sonic', ['account', ...more, ...account]);
  looked(4);
  fs.rmSync(path.join(store, 'me', 'packs', 'keys'), { recursive: true });
  await succeed('sonic', ['check', ...more]);
  fs.appendFileSync(path.join(source, 'two'), 'more');
  await succeed('tardis', [WORD, ...save]);
  looked(4);
  await succeed('sonic', ['keys', '--extract', '--keys', at('file.keys'), ...more]);
  await succeed('sonic', ['keys', '--pdf', at('sheet.pdf'), ...more]);
  const server = await Server.start(store, OPEN);
  try {
    t.is((await run('lstardis', [...server.clientArgs, '-C', 'nobody', WORD])).status, 12);
  } finally {
    await server.stop();
  }
  looked(5);
  for (const name of ['file.keys', 'sheet.pdf']) t.is(modesBelow(at()).get(name), '600');
  await succeed('sonic', ['account', ...more, '--remove', 'reader']);
  await succeed('sonic', ['rekey', '--yes', ...more]);
  looked(3);
});
