/** Headers of tar archives as the standard defines them. That tar can read them is tested end to end. */
import test from 'ava';
import {
  TAR_BLOCK_BYTES,
  tarEnd,
  type TarEntry,
  tarHeader,
  tarPadding,
  TarType,
} from '../../src/restore/index.js';

const BASE: TarEntry = {
  type: TarType.file,
  path: Buffer.from('a/file'),
  permissions: 0o644,
  uid: 1000,
  gid: 100,
  sizeBytes: 5,
  mtimeNs: 1_400_000_000n * 1_000_000_000n,
};

/** Returns the records of the extended header by key; undefined if there is no extended header. */
function records(entry: Partial<TarEntry>): Map<string, Buffer> | undefined {
  const header = tarHeader({ ...BASE, ...entry });
  if (header.length === TAR_BLOCK_BYTES) return undefined;
  const size = Number.parseInt(header.toString('latin1', 124, 135), 8);
  const found = new Map<string, Buffer>();
  for (let at = TAR_BLOCK_BYTES; at < TAR_BLOCK_BYTES + size; ) {
    const length = Number(/^\d+/.exec(header.toString('latin1', at, at + 12))![0]);
    const record = header.subarray(at, at + length);
    if (record.at(-1) !== 0x0a) throw new Error('a record does not end where it says');
    const equals = record.indexOf('=');
    const key = record.toString('latin1', String(length).length + 1, equals);
    found.set(key, record.subarray(equals + 1, -1));
    at += length;
  }
  return found;
}

test('what fits into the old header has no other', (t) => {
  const header = tarHeader(BASE);
  t.is(header.length, TAR_BLOCK_BYTES);
  const field = (at: number, bytes: number): string => header.toString('latin1', at, at + bytes);
  t.is(field(0, 7), 'a/file\u0000');
  t.is(field(100, 8), '0000644\u0000');
  t.is(field(108, 8), '0001750\u0000');
  t.is(field(124, 12), '00000000005\u0000');
  t.is(Number.parseInt(field(136, 11), 8), 1_400_000_000);
  t.is(field(156, 1), '0');
  t.is(field(257, 8), 'ustar\u000000');
  const sum = Number.parseInt(field(148, 6), 8);
  header.fill(0x20, 148, 156);
  t.is(
    header.reduce((total, byte) => total + byte, 0),
    sum,
  );
});

test('a long path is split where it can be, else written in full', (t) => {
  const short = Buffer.from(`${'d'.repeat(120)}/${'f'.repeat(90)}`);
  t.is(records({ path: short }), undefined);
  const header = tarHeader({ ...BASE, path: short });
  t.is(header.toString('latin1', 0, 90), 'f'.repeat(90));
  t.is(header.toString('latin1', 345, 465), 'd'.repeat(120));
  for (const path of [`${'d'.repeat(200)}/f`, 'x'.repeat(101), `${'d/'.repeat(2000)}f`]) {
    t.deepEqual(
      records({ path: Buffer.from(path) })
        ?.get('path')
        ?.toString(),
      path,
    );
  }
  const directory = { type: TarType.directory, path: Buffer.from('d'.repeat(100)) };
  t.is(records(directory)?.get('path')?.toString(), `${'d'.repeat(100)}/`);
});

test('names that are no ASCII are written in full, those that are no UTF-8 as bytes', (t) => {
  t.deepEqual([...records({ path: Buffer.from('ä') })!.keys()], ['path']);
  const odd = Buffer.of(0x66, 0xff, 0x0a);
  const found = records({ path: odd, linkPath: odd, type: TarType.symlink })!;
  t.deepEqual([...found.keys()], ['hdrcharset', 'path', 'linkpath']);
  t.deepEqual(found.get('path'), odd);
  t.is(found.get('hdrcharset')!.toString(), 'BINARY');
});

test('numbers beyond the old header are written in full', (t) => {
  for (const [entry, key, wanted] of [
    [{ sizeBytes: 2 ** 33 - 1 }, 'size', undefined],
    [{ sizeBytes: 2 ** 33 }, 'size', '8589934592'],
    [{ uid: 2 ** 21 - 1 }, 'uid', undefined],
    [{ uid: 2 ** 32 - 2, gid: 2 ** 21 }, 'uid', '4294967294'],
    [{ gid: 2 ** 21 }, 'gid', '2097152'],
    [{ mtimeNs: 1n }, 'mtime', '0.000000001'],
    [{ mtimeNs: 1_500_000_000_120_000_000n }, 'mtime', '1500000000.12'],
    [{ mtimeNs: -1_500_000_000n }, 'mtime', '-1.5'],
    [{ mtimeNs: -1_000_000_000n }, 'mtime', '-1'],
    [{ mtimeNs: 2n ** 34n * 1_000_000_000n }, 'mtime', '17179869184'],
  ] as const) {
    t.is(records(entry)?.get(key)?.toString(), wanted, `${key} ${String(wanted)}`);
  }
});

test('the length of a record counts its own digits', (t) => {
  for (let bytes = 80; bytes < 120; bytes += 1) {
    const value = Buffer.alloc(bytes, 0x76);
    t.deepEqual(
      records({ extended: [['SCHILY.xattr.user.x', value]] })?.get('SCHILY.xattr.user.x'),
      value,
    );
  }
});

test('contents and the archive are padded', (t) => {
  t.deepEqual(
    [0, 1, 511, 512, 513].map((bytes) => tarPadding(bytes).length),
    [0, 511, 1, 0, 511],
  );
  for (const bytes of [0, 512, 10_240, 9728, 1024 * 1024]) {
    const end = tarEnd(bytes);
    t.is((bytes + end.length) % 10_240, 0);
    t.true(end.length >= 1024);
  }
});
