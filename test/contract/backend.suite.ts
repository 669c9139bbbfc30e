/** Tests of the contract in src/store/backends/backend.ts, for every implementation. */
import test, { type ExecutionContext } from 'ava';
import type { Backend, ObjectWriter } from '../../src/store/index.js';
import { rejectedCode, thrownCode } from '../helpers/codes.js';
import { filled, objectReaderSuite } from './object-reader.suite.js';

const SOME_MANY = 150;

/** Returns all bytes of an object. */
async function contentOf(backend: Backend, name: string): Promise<Buffer> {
  const bytes = await backend.size(name);
  const target = Buffer.alloc((bytes ?? 0) + 10);
  const got = await backend.read(name, 0, target, target.length);
  return target.subarray(0, got);
}

function write(writer: ObjectWriter, ...texts: string[]): ObjectWriter {
  for (const text of texts) writer.append(Buffer.from(text));
  return writer;
}

/** Declares the tests. `make` returns an empty backend for one test. */
export function backendSuite(make: (t: ExecutionContext) => Backend): void {
  creatingSuite(make);
  stagingSuite(make);
  readingSuite(make);
  objectReaderSuite(async (t, packs) => filled(make(t), packs));
  namesSuite(make);
}

function creatingSuite(make: (t: ExecutionContext) => Backend): void {
  test('an object grows by what is appended, and reports its size', async (t) => {
    const backend = make(t);
    const writer = backend.create('packs/1');
    t.is(writer.sizeBytes, 0);
    t.is(await backend.size('packs/1'), 0);
    write(writer, 'one', '', 'three');
    t.is(writer.sizeBytes, 8);
    await writer.sync();
    t.is(await backend.size('packs/1'), 8);
    write(writer, '!');
    await writer.sync();
    writer.close();
    t.is((await contentOf(backend, 'packs/1')).toString(), 'onethree!');
  });

  test('a name that is taken cannot be created again, and keeps its bytes', async (t) => {
    const backend = make(t);
    const first = write(backend.create('packs/1'), 'first');
    t.is(
      thrownCode(() => backend.create('packs/1')),
      'EEXIST',
    );
    write(first, '+').close();
    t.is(
      thrownCode(() => backend.create('packs/1')),
      'EEXIST',
    );
    t.is((await contentOf(backend, 'packs/1')).toString(), 'first+');
  });

  test('a buffer that was appended may be used again', async (t) => {
    const backend = make(t);
    const buffer = Buffer.from('aaaa');
    const created = backend.create('packs/1');
    const staged = backend.stage();
    for (const writer of [created, staged]) writer.append(buffer);
    buffer.fill('b');
    for (const writer of [created, staged]) writer.append(buffer);
    buffer.fill('c');
    staged.publish('packs/2');
    for (const writer of [created, staged]) writer.close();
    t.is((await contentOf(backend, 'packs/1')).toString(), 'aaaabbbb');
    t.is((await contentOf(backend, 'packs/2')).toString(), 'aaaabbbb');
  });

  test('what was appended can be read back, short at the end', (t) => {
    const backend = make(t);
    for (const writer of [backend.create('packs/1'), backend.stage()]) {
      write(writer, 'abc', 'defg');
      const target = Buffer.alloc(10, '.');
      t.is(writer.readBack(2, target, 3), 3);
      t.is(target.toString(), 'cde.......');
      t.is(writer.readBack(5, target, 10), 2);
      t.is(target.toString(), 'fge.......');
      t.is(writer.readBack(7, target, 10), 0);
      t.is(writer.sizeBytes, 7);
      writer.close();
    }
  });
}

function stagingSuite(make: (t: ExecutionContext) => Backend): void {
  test('a staged object has its name once it is published', async (t) => {
    const backend = make(t);
    const writer = write(backend.stage(), 'staged');
    t.is(await backend.size('ab/cd/object'), undefined);
    t.is(await rejectedCode(backend.read('ab/cd/object', 0, Buffer.alloc(1), 1)), 'ENOENT');
    writer.publish('ab/cd/object');
    await writer.sync();
    writer.close();
    t.is((await contentOf(backend, 'ab/cd/object')).toString(), 'staged');
  });

  test('the start of a staged object can be replaced; nothing else changes', async (t) => {
    const backend = make(t);
    const writer = write(backend.stage(), '----', 'body', 'more');
    writer.replaceStart(Buffer.from('head'));
    t.is(writer.sizeBytes, 12);
    write(writer, '!');
    const target = Buffer.alloc(20);
    t.is(target.toString('latin1', 0, writer.readBack(0, target, 20)), 'headbodymore!');
    writer.replaceStart(Buffer.from('HE'));
    writer.publish('ab/cd/object');
    writer.close();
    t.is((await contentOf(backend, 'ab/cd/object')).toString(), 'HEadbodymore!');
  });

  test('publishing on a taken name fails and replaces nothing', async (t) => {
    const backend = make(t);
    const first = write(backend.stage(), 'first');
    first.publish('ab/cd/object');
    first.close();
    const second = write(backend.stage(), 'second');
    t.is(
      thrownCode(() => second.publish('ab/cd/object')),
      'EEXIST',
    );
    t.is((await contentOf(backend, 'ab/cd/object')).toString(), 'first');
    second.publish('ab/cd/other');
    second.close();
    t.is((await contentOf(backend, 'ab/cd/object')).toString(), 'first');
    t.is((await contentOf(backend, 'ab/cd/other')).toString(), 'second');
  });

  test('a staged object that was not published is gone when it is closed', async (t) => {
    const backend = make(t);
    const kept = write(backend.stage(), 'kept');
    const refused = write(backend.stage(), 'refused');
    write(backend.create('packs/1'), 'taken').close();
    t.is(
      thrownCode(() => refused.publish('packs/1')),
      'EEXIST',
    );
    for (const writer of [write(backend.stage(), 'dropped'), refused]) {
      await writer.sync();
      writer.close();
    }
    kept.publish('packs/2');
    kept.close();
    t.deepEqual(await backend.list('incoming/'), []);
    t.deepEqual(await backend.list('packs/'), ['packs/1', 'packs/2']);
  });

  test('several staged objects do not disturb each other', async (t) => {
    const backend = make(t);
    const writers = Array.from({ length: 5 }, () => backend.stage());
    for (let round = 0; round < 3; round += 1) {
      writers.forEach((writer, index) => write(writer, String(index)));
    }
    writers.forEach((writer, index) => writer.publish(`packs/${index}`));
    for (const writer of writers) writer.close();
    for (let index = 0; index < 5; index += 1) {
      t.is((await contentOf(backend, `packs/${index}`)).toString(), String(index).repeat(3));
    }
  });

  test('a writer may be closed twice', async (t) => {
    const backend = make(t);
    const published = write(backend.stage(), 'published');
    published.publish('packs/2');
    for (const writer of [backend.create('packs/1'), published, backend.stage()]) {
      writer.close();
      t.notThrows(() => writer.close());
    }
    t.deepEqual(await backend.list('packs/'), ['packs/1', 'packs/2']);
  });
}

function readingSuite(make: (t: ExecutionContext) => Backend): void {
  test('what is appended while others read is seen by the next reader', async (t) => {
    const backend = make(t);
    const writer = write(backend.create('packs/1'), 'one');
    t.is((await contentOf(backend, 'packs/1')).toString(), 'one');
    write(writer, 'two');
    t.is((await contentOf(backend, 'packs/1')).toString(), 'onetwo');
    writer.close();
  });

  test('many objects are read in turn', async (t) => {
    const backend = make(t);
    for (let index = 0; index < SOME_MANY; index += 1) {
      write(backend.create(`packs/${index}`), `content ${index}`).close();
    }
    for (let round = 0; round < 2; round += 1) {
      for (let index = 0; index < SOME_MANY; index += 1) {
        t.is((await contentOf(backend, `packs/${index}`)).toString(), `content ${index}`);
      }
    }
  });

  test('there is no object until there is one, and none after it was removed', async (t) => {
    const backend = make(t);
    const read = (): Promise<number> => backend.read('packs/1', 0, Buffer.alloc(1), 1);
    t.is(await rejectedCode(read()), 'ENOENT');
    t.is(await backend.size('packs/1'), undefined);
    write(backend.create('packs/1'), 'first').close();
    t.is(await read(), 1);
    await backend.remove('packs/1');
    t.is(await rejectedCode(read()), 'ENOENT');
    t.is(await backend.size('packs/1'), undefined);
    write(backend.create('packs/1'), 'second').close();
    t.is((await contentOf(backend, 'packs/1')).toString(), 'second');
  });

  test('an object that is shortened ends there, and is never made longer', async (t) => {
    const backend = make(t);
    t.is(await rejectedCode(backend.shorten('packs/1', 0)), 'ENOENT');
    write(backend.create('packs/1'), 'a pack with an end').close();
    t.is(await backend.read('packs/1', 0, Buffer.alloc(4), 4), 4);
    await backend.shorten('packs/1', 6);
    t.is(await backend.size('packs/1'), 6);
    t.is((await contentOf(backend, 'packs/1')).toString(), 'a pack');
    await backend.shorten('packs/1', 100);
    t.is(await backend.size('packs/1'), 6);
  });

  test('removing what is not there is fine', async (t) => {
    const backend = make(t);
    t.is(await rejectedCode(backend.remove('packs/1')), undefined);
    t.is(await rejectedCode(backend.remove('no/such/place')), undefined);
    write(backend.create('packs/1'), 'x').close();
    await backend.remove('packs/1');
    t.is(await rejectedCode(backend.remove('packs/1')), undefined);
  });

  test('a backend can be closed at any time, and twice', async (t) => {
    const backend = make(t);
    backend.close();
    write(backend.create('packs/1'), 'x').close();
    await contentOf(backend, 'packs/1');
    backend.close();
    t.notThrows(() => backend.close());
  });
}

function namesSuite(make: (t: ExecutionContext) => Backend): void {
  test('names below a prefix are listed, sorted', async (t) => {
    const backend = make(t);
    t.deepEqual(await backend.list('packs/'), []);
    for (const name of ['10', '9', 'a', '1', 'B']) backend.create(`packs/${name}`).close();
    backend.create('packsx/1').close();
    t.deepEqual(
      await backend.list('packs/'),
      ['1', '10', '9', 'B', 'a'].map((name) => `packs/${name}`),
    );
    await backend.remove('packs/9');
    t.deepEqual(await backend.list('packsx/'), ['packsx/1']);
    t.false((await backend.list('packs/')).includes('packs/9'));
  });

  test('a list has objects however deep, and nothing that is none', async (t) => {
    const backend = make(t);
    for (const name of ['ab/cd/2', 'ab/cd/1', 'ab/ce/3', 'ac/cd/4']) {
      const writer = backend.stage();
      writer.publish(name);
      writer.close();
    }
    t.deepEqual(await backend.list('ab/'), ['ab/cd/1', 'ab/cd/2', 'ab/ce/3']);
    t.deepEqual(await backend.list('ab/cd/'), ['ab/cd/1', 'ab/cd/2']);
    await backend.remove('ab/ce/3');
    t.deepEqual(await backend.list('ab/'), ['ab/cd/1', 'ab/cd/2']);
  });
}
