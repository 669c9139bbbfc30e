/** Errors of a block whose `using` then fails to close something. */
import test from 'ava';
import {
  asTardisError,
  causeCode,
  isDiskFull,
  systemCode,
  TardisError,
  toWire,
} from '../../src/errors/index.js';

function closing(error: Error): Disposable {
  return {
    [Symbol.dispose]() {
      throw error;
    },
  };
}

function failing(first: Error | undefined, ...closings: Error[]): unknown {
  try {
    const [one, other] = closings.map(closing);
    using _one = one;
    using _other = other;
    if (first !== undefined) throw first;
  } catch (error) {
    return error;
  }
  return undefined;
}

const full = (): Error => Object.assign(new Error('no space'), { code: 'ENOSPC' });

test('the first error is reported, whatever fails to be closed after it', (t) => {
  const first = new TardisError('NOT_AUTHENTIC', 'forged', { set: 3 });
  for (const closings of [[full()], [full(), new Error('a bug')]]) {
    const thrown = failing(first, ...closings);
    t.not(thrown, first);
    t.is(asTardisError(thrown), first);
    t.like(toWire(thrown), { code: 'NOT_AUTHENTIC', message: 'forged', context: { set: 3 } });
    t.is(systemCode(thrown), undefined);
    t.false(isDiskFull(thrown));
  }
  const thrown = failing(full(), new TardisError('INTERNAL', 'late'));
  t.is(systemCode(thrown), 'ENOSPC');
  t.is(causeCode(thrown), 'ENOSPC');
  t.true(isDiskFull(thrown));
  t.is(asTardisError(thrown).code, 'DISK_FULL');
});

test('a failure of closing alone is reported as it is', (t) => {
  const error = full();
  t.is(failing(undefined, error), error);
  t.is(
    asTardisError(failing(undefined, full(), new TardisError('TIMED_OUT', 'late'))).code,
    'TIMED_OUT',
  );
});

test('an error that only looks like one of closing is left as it is', (t) => {
  const named = Object.assign(new Error('x'), { name: 'SuppressedError' });
  t.is(asTardisError(named).code, 'INTERNAL');
  const plain = { name: 'SuppressedError', suppressed: full() };
  t.is(systemCode(plain), undefined);
});
