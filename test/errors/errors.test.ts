import test from 'ava';
import * as fc from 'fast-check';
import {
  asTardisError,
  ERROR_TABLE,
  type ErrorCode,
  fromSystem,
  fromWire,
  isErrorCode,
  TardisError,
  toWire,
} from '../../src/errors/index.js';

/** Returns the error after a structured clone in wire format, as a thread or a connection passes it on. */
function crossed(error: unknown): TardisError {
  return fromWire(structuredClone(toWire(error)));
}

function systemError(code: string, message = `${code}: it failed`): Error {
  return Object.assign(new Error(message), { code });
}

test('an error keeps code, message and context when it crosses a thread or the wire', (t) => {
  const context = { path: '/srv/store', freeBytes: 12, isReadOnly: false };
  const error = crossed(new TardisError('DISK_FULL', 'no room in /srv/store', context));
  t.true(error instanceof TardisError);
  t.is(error.code, 'DISK_FULL');
  t.is(error.message, 'no room in /srv/store');
  t.deepEqual(error.context, context);
  t.is(error.row, ERROR_TABLE.DISK_FULL);
});

test('every code of the table crosses, and has an exit status and guidance', (t) => {
  for (const [code, row] of Object.entries(ERROR_TABLE)) {
    if (!isErrorCode(code)) {
      t.fail(`${code} is not known to isErrorCode`);
      continue;
    }
    t.is(crossed(new TardisError(code, 'message')).code, code);
    t.true(row.exitStatus > 0 && row.exitStatus < 256, code);
    t.regex(row.guidance, /^[A-Z].*\.$/, code);
  }
});

test('what is no error in plain shape gives PROTOCOL_VIOLATION', (t) => {
  const hostile: unknown[] = [
    undefined,
    null,
    0,
    'DISK_FULL',
    [],
    {},
    { code: 'DISK_FULL' },
    { code: 'DISK_FULL', message: 7 },
    { code: 'NO_SUCH_CODE', message: 'message' },
    { code: 'toString', message: 'message' },
    { code: '__proto__', message: 'message' },
    { code: ['DISK_FULL'], message: 'message' },
  ];
  for (const value of hostile) {
    t.is(fromWire(value).code, 'PROTOCOL_VIOLATION', JSON.stringify(value));
  }
});

test('any value at all becomes an error whose context is plain', (t) => {
  const shape = fc.record(
    {
      code: fc.constantFrom('DISK_FULL', 'nonsense'),
      message: fc.anything(),
      context: fc.anything(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(fc.anything(), shape), (value) => {
      const error = fromWire(value);
      return (
        isErrorCode(error.code) &&
        Object.values(error.context).every((item) =>
          ['string', 'number', 'boolean'].includes(typeof item),
        )
      );
    }),
  );
  t.pass();
});

test('the text of a peer is cut to a bearable length', (t) => {
  const long = 'x'.repeat(100_000);
  const keys = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`key${i}`, long]));
  const error = fromWire({ code: 'IO_FAILED', message: long, context: keys });
  t.true(error.message.length < 5000);
  t.true(JSON.stringify(error.context).length < 50_000);
});

test('a peer cannot set a prototype through the context', (t) => {
  const context: unknown = JSON.parse('{"__proto__": {"isAdmin": true}, "constructor": "x"}');
  const error = fromWire({ code: 'IO_FAILED', message: 'message', context });
  t.is(Object.getPrototypeOf(error.context), Object.prototype);
  t.is(error.context['isAdmin'], undefined);
});

test('errors of the system and of SQLite become ours, with the original code', (t) => {
  const expected: Record<string, ErrorCode> = {
    ENOSPC: 'DISK_FULL',
    EDQUOT: 'DISK_FULL',
    SQLITE_FULL: 'DISK_FULL',
    EROFS: 'ACCESS_REFUSED',
    SQLITE_BUSY_SNAPSHOT: 'CLIENT_BUSY',
    SQLITE_CORRUPT_VTAB: 'CATALOG_DAMAGED',
    EIO: 'IO_FAILED',
  };
  for (const [code, ours] of Object.entries(expected)) {
    const original = systemError(code);
    const error = fromSystem(original, 'writing pack 7');
    t.is(error?.code, ours, code);
    t.is(error?.message, `writing pack 7: ${original.message}`);
    t.is(error?.context['cause'], code);
    t.is(error?.cause, original);
    t.is(crossed(original).code, ours, code);
  }
});

test('an unknown error is a bug: INTERNAL, with its stack in the context', (t) => {
  const original = new TypeError('x is not a function');
  const error = crossed(original);
  t.is(error.code, 'INTERNAL');
  t.is(error.message, 'x is not a function');
  t.is(error.context['stack'], original.stack);
  t.is(ERROR_TABLE[error.code].kind, 'bug');
});

test('anything may be thrown', (t) => {
  t.is(fromSystem(systemError('ERR_INVALID_ARG_TYPE')), undefined);
  t.is(asTardisError(systemError('ERR_INVALID_ARG_TYPE')).code, 'INTERNAL');
  t.is(asTardisError('a string').message, 'a string');
  t.is(asTardisError(undefined).code, 'INTERNAL');
  const ours = new TardisError('USAGE', 'no such option');
  t.is(asTardisError(ours), ours);
});
