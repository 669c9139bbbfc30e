/** The names that a backup saved, until they are printed. */
import fs from 'node:fs';
import test from 'ava';
import { SavedList } from '../../src/tools/index.js';
import { scratchInMemory } from '../helpers/scratch.js';

function printed(list: SavedList): string {
  const chunks: Buffer[] = [];
  list.print((chunk) => void chunks.push(chunk));
  list.close();
  return Buffer.concat(chunks).toString();
}

test('a long list is printed whole, in order, and leaves no file', (t) => {
  const folder = scratchInMemory(t);
  const usual = process.env['TMPDIR'];
  process.env['TMPDIR'] = folder; // only in this turn: other tests may run in this process
  const list = new SavedList(false);
  if (usual === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = usual;
  t.deepEqual(fs.readdirSync(folder), []);
  const count = 5000;
  for (let index = 0; index < count; index += 1) list.add(Buffer.from(`/home/me/file-${index}`));
  const lines = printed(list).split('\n');
  t.is(lines.pop(), '');
  t.is(lines.length, count);
  t.is(lines[0], '/home/me/file-0');
  t.is(lines.at(-1), `/home/me/file-${count - 1}`);
});

test('an empty list prints nothing', (t) => {
  t.is(printed(new SavedList(false)), '');
});

test('a name with a line end or an escape is one line, and in JSON it is exact', (t) => {
  const hostile = Buffer.from('/tmp/a\nb\u001b[2J');
  const list = new SavedList(false);
  list.add(hostile);
  const text = printed(list);
  t.is(text.split('\n').length, 2);
  t.false(text.includes('\u001b'));

  const json = new SavedList(true);
  const bytes = Buffer.from([0x2f, 0xff, 0x0a]);
  json.add(hostile);
  json.add(bytes);
  const [first, second] = printed(json)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { version: number; saved: { name?: string } });
  t.true(JSON.stringify(first).includes('\\n'));
  t.true(JSON.stringify(second).includes(bytes.toString('base64')), JSON.stringify(second));
});
