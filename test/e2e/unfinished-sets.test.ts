// Pace: slow
/**
 * Sets of an encrypting client without a seal: a restore prints a warning, because a hostile server can mix their
 * entries.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { changeCatalog } from '../helpers/changed-catalog.js';
import { exited } from '../helpers/codes.js';
import { backup, backupsRunHere, run } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { differences, dir, file, look } from '../helpers/tree.js';
import { WebDoor } from '../helpers/web-door.js';

backupsRunHere();

const NOTHING_PROVES =
  /set 2 is not complete, so it has no seal: nothing proves which entries it has, and in which directories/;

async function prepared(t: ExecutionContext) {
  const {
    store,
    source,
    place: own,
    at,
  } = lab(t, [dir('one', [file('letter', 'of one')]), dir('two', [file('other', 'of two')])]);
  const place = [...own, '-F', at('secret')];
  fs.writeFileSync(at('secret'), 'the words of this test');
  await backup([...place, '--local', '--create', source]);
  fs.writeFileSync(at('tree', 'one', 'more'), 'more');
  await backup([...place, '--local', source]);
  // Each reader is another machine, which has seen no set yet.
  const newMachine = (name: string) => ({ env: { XDG_STATE_HOME: at(`state of ${name}`) } });
  const restore = (out: string, ...args: string[]) =>
    run('regenerate', [...place, ...args, '-o', at(out), source], newMachine(out));
  return { at, store, source, restore, place, newMachine };
}

/** Makes set 2 look as if its run was interrupted at the very end. A server can also claim this of a complete set. */
function breakOff(store: string): void {
  changeCatalog(store, (catalog) => {
    catalog.exec("UPDATE backup_sets SET state = 'unfinished' WHERE set_number = 2");
    catalog.exec('DELETE FROM set_seals WHERE set_number = 2');
  });
}

test('a set that was broken off is restored with a warning and status 3', async (t) => {
  const { at, store, source, restore } = await prepared(t);
  breakOff(store);
  t.regex(exited(t, 3, await restore('out', '-b', '2')).stderr, NOTHING_PROVES);
  t.deepEqual(differences(look(source), look(at('out', 'tree'))), []);
  exited(t, 0, await restore('first', '-b', '1'));
});

test('an entry that a server has copied to another directory is refused in a complete set, and warned of in another', async (t) => {
  const { at, store, restore, place, source, newMachine } = await prepared(t);
  changeCatalog(store, (catalog) => {
    const rows = catalog
      .prepare('SELECT DISTINCT directory_id FROM entries WHERE type = 1')
      .pluck()
      .all() as number[];
    const [from, to] = rows;
    const columns = 'last_set, type, flags, size_bytes, content_id, child_id, metadata';
    catalog.exec(
      `INSERT INTO entries (directory_id, name, first_set, ${columns})
       SELECT ${to}, name, first_set, ${columns} FROM entries WHERE directory_id = ${from}`,
    );
  });
  t.regex(exited(t, 3, await restore('complete', '-b', '2')).stderr, /\[NOT_AUTHENTIC\]/);
  t.false(fs.existsSync(at('complete', 'tree', 'two', 'letter')));
  breakOff(store);
  t.regex(exited(t, 3, await restore('out', '-b', '2')).stderr, NOTHING_PROVES);
  t.deepEqual(fs.readdirSync(at('out', 'tree', 'two')).length, 3, 'it is there');
  const listed = await run(
    'lstardis',
    [...place, '-b', '2', '-l', path.join(source, 'two')],
    newMachine('list'),
  );
  t.is(listed.status, 3, listed.stderr);
  t.regex(listed.stderr, NOTHING_PROVES);
  const strict = exited(t, 1, await restore('strict', '-b', '2', '--authenticate'));
  t.regex(strict.stderr, /\[NOT_PROVEN\]/);
  t.false(fs.existsSync(at('strict', 'tree', 'two', 'letter')));
});

test('tardis-web names a set that was broken off, and ends with status 3 if it showed it', async (t) => {
  const { at, store, source, newMachine } = await prepared(t);
  breakOff(store);
  for (const set of [1, 2]) {
    const expected = set === 1 ? 0 : 3;
    const door = await WebDoor.start(store, ['-F', at('secret')], newMachine(`web ${set}`));
    const url = `/api/v1/clients/me/sets/${set}/directory?path=${encodeURIComponent(source)}`;
    const answer = await door.request(url, { authorization: `Bearer ${door.programKey}` });
    t.is(answer.status, 200, answer.body);
    const { stderr } = exited(t, expected, await door.running.endedBy('SIGTERM'));
    t.is(NOTHING_PROVES.test(stderr), expected === 3, stderr);
  }
});
