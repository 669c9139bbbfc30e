// Pace: slow
/** Control characters in a store's data about its sets never reach a terminal, as text or as JSON. */
import test from 'ava';
import { plainPackr } from '../../src/system/msgpack/index.js';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { backup, backupsRunHere, run, succeed, type Tool } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { file } from '../helpers/tree.js';

backupsRunHere();

/** Terminal commands, in C0 and C1, and a character that reverses the direction of text. */
const ESCAPES = ['\u001b]0;x\u0007', '\u009b2J', '\u202e'];
const OBEYED = /[\p{Cc}\u202a-\u202e]/u;

test('states and figures of sets, and names in JSON, hold nothing that a terminal obeys', async (t) => {
  const { store, source, place } = lab(t, [file(`name ${ESCAPES[1]!} ${ESCAPES[2]!}`, 'content')]);
  await backup([...place, '--local', '--create', source]);
  const commands: readonly (readonly [Tool, readonly string[]])[] = [
    ['lstardis', place],
    ['lstardis', [...place, '-l']],
    ['lstardis', [...place, '--json']],
    ['lstardis', [...place, '--json', '--recurse', source]],
    ['sonic', ['list', ...place]],
    ['sonic', ['list', ...place, '--json']],
    ['sonic', ['info', ...place, '1']],
    ['sonic', ['info', ...place, '--json', '1']],
    ['sonic', ['files', ...place, '1']],
    ['sonic', ['files', ...place, '--json', '1']],
    ['sonic', ['stats', ...place, '--json']],
    ['tardiff', [...place, '-r', '--json', '-b', '1', source]],
  ];
  const named = await succeed('lstardis', [...place, '--json', '--recurse', source]);
  const { name } = JSON.parse(named.split('\n')[0]!) as { name: string };
  t.true(name.includes(ESCAPES[1]!) && name.includes(ESCAPES[2]!), 'the name is what it was');
  for (const escape of ESCAPES) {
    const stats = plainPackr().pack({
      [`bytes${escape}`]: 1,
      entries: escape,
      scannedBytes: escape,
    });
    changeCatalog(store, (catalog) => {
      catalog
        .prepare('UPDATE backup_sets SET state = ?, stats = ?')
        .run(`complete${escape}`, stats);
    });
    for (const [tool, words] of commands) {
      const { stdout, stderr } = await run(tool, words);
      const shown = `${tool} ${words.join(' ')}`;
      t.false(OBEYED.test(stdout.replaceAll('\n', '')), `${shown}: ${JSON.stringify(stdout)}`);
      t.false(OBEYED.test(stderr.replaceAll('\n', '')), `${shown}: ${JSON.stringify(stderr)}`);
      t.notRegex(stderr, /INTERNAL|USAGE/, shown);
    }
  }
});

test('a name of 100 MB in a store ends no command by force', async (t) => {
  const { store, source, place, at } = lab(t, [file('long', 'long'), file('other', 'other')]);
  await backup([...place, '--local', '--create', source]);
  changeCatalog(store, (catalog) => {
    catalog
      .prepare(`UPDATE entries SET name = ? WHERE name = CAST('long' AS BLOB)`)
      .run(Buffer.alloc(100_000_000, 1));
  });
  const output = at('out');
  for (const [tool, words] of [
    ['lstardis', [...place, source]],
    ['lstardis', [...place, '--json', source]],
    ['regenerate', [...place, '-o', output, source]],
    ['sonic', ['files', ...place]],
    ['sonic', ['check', ...place]],
  ] as const) {
    const { status, signal, stderr } = await run(tool, words);
    t.true(
      signal === null && [0, 3].includes(status ?? -1),
      `${tool} ${words.join(' ')}: ${status}`,
    );
    t.notRegex(stderr, /INTERNAL|FATAL/);
  }
});
