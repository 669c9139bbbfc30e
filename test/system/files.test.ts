/** Errors of file calls. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { asTardisError } from '../../src/errors/index.js';
import {
  type FileStatus,
  guardDirectory,
  namesIn,
  nodeSystem,
  readStart,
  unlinkIfThere,
} from '../../src/system/index.js';
import { scratch, written } from '../helpers/scratch.js';

const { files } = nodeSystem();

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return asTardisError(error).message;
  }
  return '';
}

test('an error of a read or write names operation and file, as one of opening does', (t) => {
  const home = scratch(t);
  const file = written(home, 'file', 'x');
  const directory = files.open(home, 'directory');
  const reading = files.open(file, 'read');
  t.teardown(() => [directory, reading].forEach((fd) => files.close(fd)));
  const buffer = Buffer.alloc(1);
  t.is(
    messageOf(() => files.read(directory, buffer, 0, 1, 0)),
    `EISDIR: illegal operation on a directory, read '${home}'`,
  );
  t.is(
    messageOf(() => files.write(reading, buffer, 0)),
    `EBADF: bad file descriptor, write '${file}'`,
  );
  t.regex(
    messageOf(() => files.truncate(reading, 0)),
    new RegExp(`^E[A-Z]+: .*, ftruncate '${file}'$`),
  );
  t.regex(
    messageOf(() => files.open(`${file}.none`, 'read')),
    /^ENOENT: .*, open '.*\/file\.none'$/,
  );
});

test('a file that is closed is named no more', async (t) => {
  const file = path.join(scratch(t), 'file');
  const fd = files.open(file, 'create');
  files.close(fd);
  const message = messageOf(() => files.read(fd, Buffer.alloc(1), 0, 1, 0));
  t.false(message.includes(file), message);
});

test('a refused call means what its directory is used for, and whether it reads or writes', async (t) => {
  const home = scratch(t);
  const codeOf = (work: () => unknown): string => asTardisError(t.throws(work)).code;
  const one = '/sys/kernel'; // a place where nobody may create anything
  const attempt = (): void => files.makeDirectory(path.join(one, 'tardis-test'));
  t.is(codeOf(attempt), 'ACCESS_REFUSED');
  guardDirectory(one, one, 'cache');
  t.is(codeOf(attempt), 'CACHE_NOT_WRITABLE');
  guardDirectory(one, one);
  t.is(codeOf(attempt), 'STORE_NOT_WRITABLE');
  t.is(
    codeOf(() => files.open(path.join(one, 'tardis-test'), 'create')),
    'STORE_NOT_WRITABLE',
  );
  t.is(
    codeOf(() => files.unlink(path.join(one, 'notes'))),
    'STORE_NOT_WRITABLE',
  );
  // The directory itself counts, too, and a failure of an open file is one of its place.
  const file = written(home, 'file', '');
  t.is(
    codeOf(() => files.list(file)),
    'ACCESS_REFUSED',
  );
  guardDirectory(file);
  t.is(
    codeOf(() => files.list(file)),
    'STORE_UNSAFE',
  );
});

test('what another process deletes between a look and its use counts as missing', (t) => {
  const at = path.join(scratch(t), 'vanishing');
  const vanishing = {
    ...files,
    status: (name: string) => {
      const status = files.status(name);
      fs.rmSync(name, { recursive: true });
      return status;
    },
  };
  fs.writeFileSync(at, 'x');
  t.is(readStart(vanishing, at, 10), undefined);
  fs.writeFileSync(at, 'x');
  t.false(unlinkIfThere(vanishing, at));
  fs.mkdirSync(at);
  t.deepEqual(namesIn(vanishing, at), []);
});

test('a file that replaces a shorter one after the look is read whole', (t) => {
  const at = written(scratch(t), 'replaced', 'short');
  const status = (name: string): FileStatus | undefined => {
    const found = files.status(name);
    fs.writeFileSync(name, 'a longer one');
    return found;
  };
  t.is(readStart({ ...files, status }, at, 100)?.toString(), 'a longer one');
});
