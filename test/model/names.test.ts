import test from 'ava';
import * as fc from 'fast-check';
import {
  displayName,
  joinPath,
  jsonName,
  lastComponent,
  splitPath,
} from '../../src/model/index.js';
import { anyName } from '../helpers/rows.js';

const bytes = (...values: number[]): Buffer => Buffer.from(values);

test('a name is shown as text, and what is none byte by byte', (t) => {
  const shown: [Buffer, string][] = [
    [Buffer.from('plain name.txt'), 'plain name.txt'],
    [Buffer.from('Zürich – 東京 \u{1f4be}'), 'Zürich – 東京 \u{1f4be}'],
    [bytes(0x61, 0xff, 0x62), 'a\\xffb'],
    [bytes(0xc3, 0x28), '\\xc3('],
    [Buffer.from('a\nb\tc\x1b[31m\x7f'), 'a\\x0ab\\x09c\\x1b[31m\\x7f'],
    [Buffer.from('\u0085\u009b31m'), '\\x85\\x9b31m'],
    [bytes(0xff, 0x0a), '\\xff\\x0a'],
    [Buffer.alloc(0), ''],
  ];
  for (const [name, text] of shown) t.is(displayName(name), text);
});

test('nothing that is shown controls a terminal', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (name) => {
      // eslint-disable-next-line no-control-regex
      return !/[\u0000-\u001f\u007f-\u009f]/u.test(displayName(name));
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test('JSON has the name as text, and its bytes where the text is not the name', (t) => {
  t.deepEqual(jsonName(Buffer.from('Zürich\n')), { name: 'Zürich\n' });
  t.deepEqual(jsonName(bytes(0x61, 0xff)), { name: 'a\\xff', nameBytes: 'Yf8=' });
  fc.assert(
    fc.property(anyName, (name) => {
      const { name: text, nameBytes } = JSON.parse(JSON.stringify(jsonName(name))) as {
        name: string;
        nameBytes?: string;
      };
      const back = nameBytes === undefined ? Buffer.from(text) : Buffer.from(nameBytes, 'base64');
      return back.equals(name);
    }),
    { numRuns: 500 },
  );
});

test('paths are joined and split by their bytes', (t) => {
  const join = (directory: string, name: string): string =>
    joinPath(Buffer.from(directory), Buffer.from(name)).toString();
  t.is(join('/a', 'b'), '/a/b');
  t.is(join('/', 'b'), '/b');
  t.is(join('', 'b'), 'b');
  t.is(join('a/', 'b'), 'a/b');
  const parts = (path: string): string[] => splitPath(Buffer.from(path)).map(String);
  t.deepEqual(parts('/a//b/./c/'), ['a', 'b', 'c']);
  t.deepEqual(parts(''), []);
  t.deepEqual(parts('/'), []);
  t.deepEqual(parts('.'), []);
  t.deepEqual(parts('../a/..'), ['..', 'a', '..'], 'what leads up is the caller’s to refuse');
  t.is(lastComponent(Buffer.from('/a/b/')).toString(), 'b');
  t.is(lastComponent(Buffer.from('/')).length, 0);
  fc.assert(
    fc.property(fc.array(anyName, { maxLength: 6 }), (names) => {
      let path: Buffer = Buffer.from('/');
      for (const name of names) path = joinPath(path, name);
      t.deepEqual(splitPath(path), names);
    }),
  );
});
