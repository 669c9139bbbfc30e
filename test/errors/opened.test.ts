/** Closing in reverse order of what a function has opened, unless it was handed over. */
import test from 'ava';
import { Opened } from '../../src/errors/index.js';

test('what was opened is closed in reverse order, though a step fails', (t) => {
  const closed: string[] = [];
  const failure = new Error('the failure to report');
  const error = t.throws(() => {
    using opened = new Opened();
    opened.add('first', (one) => closed.push(one));
    opened.add('second', () => {
      throw new Error('cannot be closed');
    });
    t.is(
      opened.add('third', (one) => closed.push(one)),
      'third',
    );
    throw failure;
  });
  t.is(error, failure);
  t.deepEqual(closed, ['third', 'first']);
});

test('what was handed over is closed by its owner, once', (t) => {
  const closed: string[] = [];
  const open = (): Opened => {
    using opened = new Opened();
    opened.add('one', (one) => closed.push(one));
    return opened.move();
  };
  const owner = open();
  t.deepEqual(closed, []);
  owner[Symbol.dispose]();
  owner[Symbol.dispose]();
  t.deepEqual(closed, ['one']);
});
