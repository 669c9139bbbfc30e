/** The headers of zip archives, read by APPNOTE's layout. `test/e2e` has archives that other programs unpack. */
import test from 'ava';
import {
  CentralDirectory,
  zipDescriptor,
  type ZipEntry,
  zipLocalHeader,
  ZipMethod,
} from '../../src/restore/index.js';

const MAX_UINT32 = 0xffff_ffff;
const SUMS = { crc: 0x12345678, sizeBytes: 5000, storedBytes: 4000 };

function entry(changes: Partial<ZipEntry> = {}): ZipEntry {
  return {
    name: Buffer.from('dir/file'),
    mode: 0o100640,
    uid: 1000,
    gid: 70_000,
    mtimeNs: 1_700_000_001_999_999_999n,
    method: ZipMethod.deflated,
    isStreamed: false,
    isLarge: false,
    ...changes,
  };
}

/** Returns the extra fields of a header by their ids. */
function extrasIn(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt16LE(at + 2);
    if (end > bytes.length) throw new Error('an extra field ends behind the header');
    found.set(bytes.readUInt16LE(at), bytes.subarray(at + 4, end));
    at = end;
  }
  return found;
}

function localOf(bytes: Buffer) {
  const nameEnd = 30 + bytes.readUInt16LE(26);
  const end = nameEnd + bytes.readUInt16LE(28);
  if (end !== bytes.length) throw new Error('the lengths of a header are wrong');
  return {
    signature: bytes.readUInt32LE(0),
    version: bytes.readUInt16LE(4),
    flags: bytes.readUInt16LE(6),
    method: bytes.readUInt16LE(8),
    time: bytes.readUInt16LE(10),
    date: bytes.readUInt16LE(12),
    crc: bytes.readUInt32LE(14),
    storedBytes: bytes.readUInt32LE(18),
    sizeBytes: bytes.readUInt32LE(22),
    name: bytes.toString('latin1', 30, nameEnd),
    extras: extrasIn(bytes.subarray(nameEnd, end)),
  };
}

async function centralOf(
  entries: readonly ZipEntry[],
  offset: number,
  end = offset,
): Promise<Buffer> {
  const directory = new CentralDirectory();
  for (const one of entries) await directory.add(one, SUMS, offset);
  const parts: Buffer[] = [];
  for await (const part of directory.all(end)) parts.push(part);
  return Buffer.concat(parts);
}

test('a header has the sums and sizes of a known content, and none of a streamed one', (t) => {
  t.like(localOf(zipLocalHeader(entry(), SUMS)), { ...SUMS, flags: 0, method: 8, version: 20 });
  const streamed = localOf(zipLocalHeader(entry({ isStreamed: true })));
  t.like(streamed, { flags: 8, crc: 0, sizeBytes: 0, storedBytes: 0 });
  const known = localOf(zipLocalHeader(entry({ isStreamed: true }), SUMS));
  t.is(known.crc, 0, 'the sum follows the content');
});

test('sizes that do not fit are in the field of zip64 only', (t) => {
  const sizeBytes = 5 * 2 ** 40;
  const large = localOf(zipLocalHeader(entry({ isLarge: true }), { ...SUMS, sizeBytes }));
  t.like(large, { version: 45, sizeBytes: MAX_UINT32, storedBytes: MAX_UINT32 });
  const sizes = large.extras.get(1)!;
  t.is(Number(sizes.readBigUInt64LE(0)), sizeBytes);
  t.is(Number(sizes.readBigUInt64LE(8)), SUMS.storedBytes);
  t.is(localOf(zipLocalHeader(entry(), SUMS)).extras.get(1), undefined);

  const descriptor = zipDescriptor(entry({ isLarge: true }), { ...SUMS, sizeBytes });
  t.is(descriptor.length, 24);
  t.is(Number(descriptor.readBigUInt64LE(16)), sizeBytes);
  t.is(zipDescriptor(entry(), SUMS).readUInt32LE(12), SUMS.sizeBytes);
});

test('a name is declared as UTF-8 only if it is, and is never changed', (t) => {
  for (const [name, flags] of [
    ['plain', 0],
    ['gr\u00fcn', 0x800],
  ] as const) {
    t.like(localOf(zipLocalHeader(entry({ name: Buffer.from(name) }))), { flags });
  }
  const latin = Buffer.from('gr\u00fcn', 'latin1');
  t.like(localOf(zipLocalHeader(entry({ name: latin }))), { flags: 0, name: 'gr\u00fcn' });
});

test('owners and times are exact, and a time that readers disagree about is left out', (t) => {
  const { extras } = localOf(zipLocalHeader(entry()));
  t.is(extras.get(0x5455)!.readInt32LE(1), 1_700_000_001);
  const owners = extras.get(0x7875)!;
  t.is(owners.readUInt32LE(2), 1000);
  t.is(owners.readUInt32LE(7), 70_000);
  for (const mtimeNs of [-1n, -(10n ** 18n), 2n ** 31n * 1_000_000_000n, 2n ** 63n - 1n]) {
    t.is(localOf(zipLocalHeader(entry({ mtimeNs }))).extras.get(0x5455), undefined, `${mtimeNs}`);
  }
});

test('a year that the format lacks becomes its first or last moment', (t) => {
  const of = (mtimeNs: bigint) => localOf(zipLocalHeader(entry({ mtimeNs })));
  const first = { time: 0, date: (1 << 5) | 1 };
  for (const mtimeNs of [0n, -(2n ** 63n)]) t.like(of(mtimeNs), first);
  t.like(of(2n ** 63n - 1n), { date: (127 << 9) | (12 << 5) | 31 });
  const inYear = of(BigInt(Date.UTC(2024, 5, 15)) * 1_000_000n).date;
  t.is(1980 + (inYear >> 9), 2024);
  t.is((inYear >> 5) & 15, 6);
});

test('the central directory has types and permissions, and where each entry begins', async (t) => {
  const directory = entry({ name: Buffer.from('dir/'), mode: 0o040755 });
  const all = await centralOf([entry(), directory], 77, 500);
  t.is(all.readUInt32LE(0), 0x02014b50);
  t.is(all.readUInt32LE(38) >>> 16, 0o100640);
  t.is(all.readUInt32LE(38) & 0xffff, 0);
  t.is(all.readUInt32LE(42), 77);
  const second = 46 + all.readUInt16LE(28) + all.readUInt16LE(30);
  t.is(all.readUInt32LE(second + 38) & 0xffff, 0x10, 'a directory for DOS');
  const end = all.subarray(-22);
  t.is(end.readUInt32LE(0), 0x06054b50);
  t.is(end.readUInt16LE(10), 2);
  t.is(end.readUInt32LE(12), all.length - 22);
  t.is(end.readUInt32LE(16), 500);
});

test('an archive over 4 GiB has an end of zip64, and other ones have none', async (t) => {
  const far = await centralOf([entry()], 2 ** 33, 2 ** 34);
  const extraAt = 46 + far.readUInt16LE(28);
  t.is(far.readUInt32LE(42), MAX_UINT32);
  t.is(
    Number(
      extrasIn(far.subarray(extraAt, extraAt + far.readUInt16LE(30)))
        .get(1)!
        .readBigUInt64LE(0),
    ),
    2 ** 33,
  );
  const record = far.subarray(-98, -42);
  t.is(record.readUInt32LE(0), 0x06064b50);
  t.is(Number(record.readBigUInt64LE(48)), 2 ** 34);
  t.is(far.subarray(-22).readUInt32LE(16), MAX_UINT32);
  t.is((await centralOf([entry()], 77, MAX_UINT32 - 1)).indexOf('PK\u0006\u0006'), -1);
  t.not((await centralOf([entry()], 77, MAX_UINT32)).indexOf('PK\u0006\u0006'), -1);
});

test('an archive with over 65,534 entries has an end of zip64, which has their number', async (t) => {
  const directory = new CentralDirectory();
  Reflect.set(directory, 'entries', 65_533); // to add so many takes too long
  for (const count of [65_534, 65_535]) {
    await directory.add(entry(), SUMS, 0);
    const parts: Buffer[] = [];
    for await (const part of directory.all(0)) parts.push(part);
    const end = Buffer.concat(parts);
    const record = end.subarray(-98, -42);
    t.is(record.readUInt32LE(0) === 0x06064b50, count === 65_535);
    if (count === 65_535) t.is(Number(record.readBigUInt64LE(24)), count);
    t.is(end.subarray(-22).readUInt16LE(10), count);
  }
});
