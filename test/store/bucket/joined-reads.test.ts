/** Few requests fetch what many small reads of an object ask for, and the bytes are the same. */
import test from 'ava';
import { JoinedReads } from '../../../src/store/index.js';
import { noise } from '../../helpers/tree.js';

const KIB = 1 << 10;
const MIB = 1 << 20;

class Objects {
  readonly requested: {
    readonly name: string;
    readonly position: number;
    readonly bytes: number;
  }[] = [];
  failing = false;
  readonly bytes = noise(7, 12 * MIB);
  readonly reads = new JoinedReads(async (name, position, target, bytes) => {
    this.requested.push({ name, position, bytes });
    await new Promise((resolve) => setImmediate(resolve));
    if (this.failing) throw new Error('away');
    return this.bytes.copy(target, 0, position, position + bytes);
  });

  async read(position: number, bytes: number, name = 'a'): Promise<boolean> {
    const target = Buffer.alloc(bytes);
    const got = await this.reads.read(name, position, target, bytes);
    const wanted = this.bytes.subarray(position, position + bytes);
    return got === wanted.length && target.subarray(0, got).equals(wanted);
  }

  get requestedBytes(): number {
    return this.requested.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

test('neighbours are fetched together, in ranges that grow', async (t) => {
  const objects = new Objects();
  for (let at = 0; at < objects.bytes.length; at += 40 * KIB)
    t.true(await objects.read(at, 40 * KIB));
  // 64 KiB, 128 KiB, …, 2 MiB, and then 4 MiB each; the last one is known to be the end
  t.is(objects.requested.length, 9);
  t.true(objects.requested.every(({ bytes }) => bytes <= 4 * MIB));
});

test('neighbours that are read at once share their ranges', async (t) => {
  const objects = new Objects();
  const reads = Array.from({ length: 24 }, (_, index) =>
    objects.read(index * 512 * KIB, 512 * KIB),
  );
  t.true((await Promise.all(reads)).every(Boolean));
  t.is(objects.requested.length, 6);
  t.is(objects.requestedBytes, 512 * KIB + MIB + 2 * MIB + 3 * 4 * MIB);
});

test('a long run has its next range before it needs it', async (t) => {
  const objects = new Objects();
  let at = 0;
  for (; at < 5 * MIB; at += 512 * KIB) t.true(await objects.read(at, 512 * KIB));
  const before = objects.requested.at(-1)!;
  t.is(before.position + before.bytes, 11.5 * MIB);
  t.true(at < before.position);
});

test('pieces apart from each other are fetched almost exactly', async (t) => {
  const objects = new Objects();
  for (const at of [8 * MIB, 2 * MIB, 5 * MIB, 11 * MIB]) t.true(await objects.read(at, 200 * KIB));
  t.is(objects.requestedBytes, 4 * 200 * KIB);
  t.true(await objects.read(100, 8, 'b'));
  t.is(objects.requested.at(-1)?.bytes, 64 * KIB);
});

test('a read across several ranges and behind the end has its bytes', async (t) => {
  const objects = new Objects();
  t.true(await objects.read(0, 10));
  t.true(await objects.read(60 * KIB, 200 * KIB));
  t.true(await objects.read(objects.bytes.length - 10, 100));
  t.true(await objects.read(objects.bytes.length, 5));
});

test('what is kept is bounded, and what was read long ago is fetched again', async (t) => {
  const objects = new Objects();
  for (let at = 0; at < 12; at += 2) t.true(await objects.read(at * MIB, 64 * KIB, 'first'));
  for (let at = 0; at < 12; at += 3) {
    for (const name of ['b', 'c', 'd']) t.true(await objects.read(at * MIB, 3 * MIB, name));
  }
  const before = objects.requested.length;
  t.true(await objects.read(0, 64 * KIB, 'first'));
  t.is(objects.requested.length, before + 1);
});

test('a range that could not be fetched is fetched again by the next read', async (t) => {
  const objects = new Objects();
  objects.failing = true;
  await t.throwsAsync(objects.read(0, 10), { message: 'away' });
  objects.failing = false;
  t.true(await objects.read(0, 10));
});

test('memory that is used again is not that of a read which still waits', async (t) => {
  const size = 4 * MIB;
  const contents = new Map(['a', 'b', 'c', 'd', 'e'].map((name) => [name, noise(name, 2 * size)]));
  let arrive = (): void => undefined;
  const late = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const reads = new JoinedReads(async (name, position, target, bytes) => {
    if (name === 'a' && position === 0) await late;
    return contents.get(name)!.copy(target, 0, position, position + bytes);
  });
  await reads.read('a', size, Buffer.alloc(size), size);
  const target = Buffer.alloc(2 * size);
  const whole = reads.read('a', 0, target, 2 * size);
  // Its second half is here, and is forgotten for these.
  for (const name of ['b', 'c', 'd', 'e']) await reads.read(name, 0, Buffer.alloc(size), size);
  arrive();
  t.is(await whole, 2 * size);
  t.true(target.equals(contents.get('a')!));
});

test('pieces that are expected are fetched together, and nothing else', async (t) => {
  const objects = new Objects();
  const places = Array.from({ length: 100 }, (_, n) => n * 60 * KIB);
  const far = 11 * MIB;
  const expected = [...places, far].map((position) => ({ object: 'a', position, bytes: 58 * KIB }));
  objects.reads.expect(expected.toReversed());
  for (const at of [...places, far]) t.true(await objects.read(at, 58 * KIB));
  // Two requests of at most 4 MiB for the neighbours, and one for the piece that is apart.
  t.is(objects.requested.length, 3);
  t.true(objects.requested.every(({ bytes }) => bytes <= 4 * MIB));
  t.is(objects.requested.at(-1)?.bytes, 58 * KIB);
  t.true(objects.requestedBytes <= 101 * 58 * KIB * 1.05);
});

test('pieces with longer gaps are fetched apart, except for gaps that cost less than a request', async (t) => {
  const objects = new Objects();
  const pieces = (from: number, stepBytes: number, bytes: number) =>
    Array.from({ length: 10 }, (_, n) => ({ object: 'a', position: from + n * stepBytes, bytes }));
  const apart = pieces(0, 100 * KIB, 90 * KIB);
  const near = pieces(4 * MIB, 4 * KIB, KIB);
  objects.reads.expect(apart);
  objects.reads.expect(near);
  for (const { position, bytes } of [...apart, ...near])
    t.true(await objects.read(position, bytes));
  t.is(objects.requested.length, apart.length + 1);
  t.is(objects.requestedBytes, 10 * 90 * KIB + 37 * KIB);
});

test('pieces that make room before they are read are given to those who announced them', async (t) => {
  const objects = new Objects();
  const names = Array.from({ length: 8 }, (_, n) => `object-${n}`);
  const given = new Map<string, boolean>();
  const pieces = names.flatMap((object) =>
    [0, 1, 2, 3].map((n) => ({
      object,
      position: n * MIB,
      bytes: MIB,
      dropped: (data: Buffer) => {
        const isRight = data.equals(objects.bytes.subarray(n * MIB, (n + 1) * MIB));
        given.set(`${object} ${n}`, isRight);
      },
    })),
  );
  objects.reads.expect(pieces);
  for (const name of names) t.true(await objects.read(2 * MIB, MIB, name));
  for (const name of names) t.true(await objects.read(0, MIB, name));
  // Every range is fetched once from where it was read first; those that are still in memory are given to nobody.
  t.true(given.size > 0);
  t.true([...given.values()].every(Boolean));
  t.false([...given.keys()].some((key) => key.endsWith(' 2')));
});

test('pieces that are announced later are not fetched with earlier ones, and then fetched again', async (t) => {
  const objects = new Objects();
  const names = ['a', 'b', 'c'];
  const pieces = (from: number) =>
    names.flatMap((object) =>
      Array.from({ length: 12 }, (_, n) => ({
        object,
        position: n * MIB + from,
        bytes: 400 * KIB,
      })),
    );
  const [first, second] = [pieces(0), pieces(600 * KIB)];
  objects.reads.expect(first);
  objects.reads.expect(second);
  for (const { object, position, bytes } of [...first, ...second]) {
    t.true(await objects.read(position, bytes, object));
  }
  t.is(objects.requestedBytes, (first.length + second.length) * 400 * KIB);
});

test('memory of ranges that are dropped is freed at once', async (t) => {
  const bytes = noise(7, 4 * MIB);
  const targets: Uint8Array[] = [];
  const reads = new JoinedReads(async (_name, position, target, wanted) => {
    targets.push(target);
    return bytes.copy(target, 0, position, position + wanted);
  });
  const size = 3 * MIB;
  for (let at = 0; at < 40; at += 1) {
    reads.expect([{ object: `object-${at}`, position: 0, bytes: size }]);
    const target = Buffer.alloc(size);
    t.is(await reads.read(`object-${at}`, 0, target, size), size);
    t.true(target.equals(bytes.subarray(0, size)));
  }
  t.is(targets.length, 40);
  const held = targets.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  t.true(held <= 16 * MIB, `${held}`);
});

test('a long piece that is expected is fetched in ranges, up to its end', async (t) => {
  const objects = new Objects();
  objects.reads.expect([{ object: 'a', position: 100, bytes: 9 * MIB }]);
  for (let at = 0; at < 9 * MIB; at += 512 * KIB) t.true(await objects.read(100 + at, 512 * KIB));
  t.deepEqual(
    objects.requested.map(({ bytes }) => bytes),
    [4 * MIB, 4 * MIB, MIB],
  );
});

test('pieces that are expected are read right in any order, at once, and more than once', async (t) => {
  const objects = new Objects();
  const places = Array.from({ length: 60 }, (_, n) => n * 200 * KIB);
  const pieces = places.map((position) => ({ object: 'a', position, bytes: 150 * KIB }));
  objects.reads.expect([...pieces, ...pieces]);
  const order = places.map((_, n) => places[(n * 7) % places.length]!);
  const reads = [...order, ...places].map((at) => objects.read(at, 150 * KIB));
  t.true((await Promise.all(reads)).every(Boolean));
});

test('of the pieces that are expected, the oldest are forgotten', async (t) => {
  const objects = new Objects();
  const many = Array.from({ length: 16_384 }, (_, n) => ({ object: 'b', position: n, bytes: 1 }));
  objects.reads.expect([{ object: 'a', position: 0, bytes: 10 }]);
  objects.reads.expect(many);
  t.true(await objects.read(0, 10));
  t.is(objects.requested.at(-1)?.bytes, 64 * KIB);
  t.true(await objects.read(0, 1, 'b'));
  t.is(objects.requested.at(-1)?.bytes, 16_384);
});

test('expected pieces without room wait for it, and are then fetched with their neighbours', async (t) => {
  const bytes = noise(7, 4 * MIB);
  const sizes: number[] = [];
  let [coming, most] = [0, 0];
  const reads = new JoinedReads(async (name, position, target, wanted) => {
    sizes.push(wanted);
    coming += wanted;
    most = Math.max(most, coming);
    await new Promise((resolve) => setImmediate(resolve));
    coming -= wanted;
    if (name === 'lost') throw new Error('away');
    return bytes.copy(target, 0, position, position + wanted);
  });
  const names = ['lost', ...Array.from({ length: 10 }, (_, at) => `object-${at}`)];
  const pieces = names.flatMap((object) =>
    [0, 1, 2, 3].map((at) => ({ object, position: at * MIB, bytes: MIB })),
  );
  reads.expect(pieces);
  const read = async ({ object, position }: { object: string; position: number }) => {
    const target = Buffer.alloc(MIB);
    const got = await reads.read(object, position, target, MIB).catch(() => 0);
    return got === MIB && target.equals(bytes.subarray(position, position + MIB));
  };
  const results = await Promise.all(pieces.map(read));
  t.deepEqual(
    results,
    pieces.map(({ object }) => object !== 'lost'),
  );
  t.deepEqual(
    sizes,
    names.map(() => 4 * MIB),
  );
  t.is(most, 16 * MIB);
});
