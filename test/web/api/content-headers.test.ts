/** Types of contents by the names of their files: no content is sent as something that a browser runs. */
import test from 'ava';
import { typeOf } from '../../../src/web/api/index.js';

const UNKNOWN = 'application/octet-stream';

test('scripts and programs for a browser are sent as bytes of no known type', (t) => {
  for (const ending of ['ecma', 'es', 'js', 'mjs', 'cjs', 'wasm', 'JS']) {
    t.is(typeOf(Buffer.from(`/a/name.${ending}`)), UNKNOWN, ending);
  }
});

test('images and texts keep types that cannot run', (t) => {
  const expected: [name: string, type: string][] = [
    ['a.png', 'image/png'],
    ['a.txt', 'text/plain; charset=utf-8'],
    ['a.css', 'text/plain; charset=utf-8'],
    ['a.html', 'text/html'],
    ['a', UNKNOWN],
  ];
  for (const [name, type] of expected) t.is(typeOf(Buffer.from(name)), type);
});
