/** Failures to read a file of a store: some concern the file, others only the network or the process. */
import test from 'ava';
import { asTardisError } from '../../src/errors/index.js';
import { unreadable, unreadableObject } from '../../src/store/index.js';

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: a failure, read`), { code });
}

test('a disk that does not give a file, and a file that is refused, are known by its name', (t) => {
  for (const code of ['EIO', 'EUCLEAN', 'EACCES', 'EPERM']) {
    const found = unreadable(failure(code), 'packs/00000001.pack');
    t.is(unreadableObject(found), 'packs/00000001.pack', code);
    t.regex(asTardisError(found).message, /^packs\/00000001\.pack cannot be read: E/);
  }
});

test('a network that is away, and a process without means, prove nothing about the file', (t) => {
  for (const code of ['ESTALE', 'ETIMEDOUT', 'ENOTCONN', 'EHOSTDOWN', 'EBADF', 'EMFILE']) {
    const found = unreadable(failure(code), 'packs/00000001.pack');
    t.is(unreadableObject(found), undefined, code);
    t.regex(asTardisError(found).message, /packs\/00000001\.pack/, code);
  }
  const absent = failure('ENOENT');
  t.is(unreadable(absent, 'packs/00000001.pack'), absent);
});
