/** Servers that did not answer are passed over for a while. */
import test from 'ava';
import { SilentServers } from '../../src/client/index.js';
import type { Address } from '../../src/system/index.js';

const at = (port: number): Address => ({ kind: 'tcp', host: '127.0.0.1', port });

test('silent servers come last, each address once, until their time is over', (t) => {
  let nowMs = 0;
  const silent = new SilentServers({ nowMs: () => 0, monotonicMs: () => nowMs });
  t.deepEqual(silent.inOrder([at(2), at(1), at(2), at(3)]), [at(2), at(1), at(3)]);
  silent.note(at(2));
  t.deepEqual(silent.inOrder([at(2), at(1), at(2), at(3)]), [at(1), at(3), at(2)]);
  nowMs = 14_000;
  silent.note(at(2)); // it is tried again although it stays silent
  t.true(silent.has(at(2)));
  nowMs = 15_000;
  t.false(silent.has(at(2)));
  silent.note(at(2));
  t.true(silent.has(at(2)));
  silent.clear();
  t.false(silent.has(at(2)));
});
