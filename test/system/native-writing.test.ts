import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { EntryType } from '../../src/model/index.js';
import { failedAttributes, MetadataOption } from '../../src/system/index.js';
import { failing, inChild, isRoot, native, openFolder, rowLike } from '../helpers/native.js';
import { scratch } from '../helpers/scratch.js';

test('a written file has the bytes and metadata of its row, also before 1970', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const content = randomBytes(100_000);
  const times = [0n, 1n, -1n, 1_700_000_000_999_999_999n, -1_000_000_000n, -86_400_000_000_001n];
  times.forEach((mtimeNs, index) => {
    const name = Buffer.from([0xff, index + 1]);
    const permissions = index % 2 === 0 ? 0o4755 : 0o400;
    const rows = Buffer.concat([rowLike(), rowLike({ mtimeNs, permissions })]);
    native.writeFileAt(fd, name, content, 10, 99_000, rows, rows.length / 2, 0);
    const file = Buffer.concat([Buffer.from(`${folder}/`), name]);
    const stat = fs.lstatSync(file, { bigint: true });
    t.is(stat.mtimeNs, mtimeNs);
    t.is(stat.atimeNs, mtimeNs);
    t.is(stat.mode & 0o7777n, BigInt(permissions));
    t.true(fs.readFileSync(file).equals(content.subarray(10, 99_010)));
  });
  native.writeFileAt(fd, Buffer.from('empty'), Buffer.alloc(0), 0, 0, rowLike(), 0, 0);
  t.is(fs.readFileSync(path.join(folder, 'empty')).length, 0);
});

test('writing never replaces a file nor follows a link', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  fs.writeFileSync(path.join(folder, 'taken'), 'mine');
  fs.symlinkSync('elsewhere', path.join(folder, 'link'));
  for (const name of ['taken', 'link']) {
    const data = Buffer.from('other');
    const write = (): Buffer | undefined =>
      native.writeFileAt(fd, Buffer.from(name), data, 0, 5, rowLike(), 0, 0);
    t.is(failing(write).code, 'EEXIST');
    t.is(failing(() => native.createFileAt(fd, Buffer.from(name))).code, 'EEXIST');
  }
  t.is(fs.readFileSync(path.join(folder, 'taken'), 'utf8'), 'mine');
  t.deepEqual(fs.readdirSync(folder).sort(), ['link', 'taken']);
});

test('a file that cannot be written whole is removed', (t) => {
  const folder = scratch(t);
  const output = inChild(
    `const fd = native.openDirectory(Buffer.from(values[0]));
     const row = Buffer.from(values[1], 'hex');
     try {
       native.writeFileAt(fd, Buffer.from('half'), Buffer.alloc(100000), 0, 100000, row, 0, 0);
     } catch (error) {
       process.stdout.write(error.code + ' ' + error.syscall);
     }`,
    [folder, rowLike().toString('hex')],
    'ulimit -f 8;',
  );
  t.is(output, 'EFBIG write');
  t.deepEqual(fs.readdirSync(folder), []);
});

test('root sets the owner of what it writes, anyone else only to themselves', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const [uid, gid] = isRoot ? [1234, 4321] : [process.getuid!(), process.getgid!()];
  const row = rowLike({ uid, gid, permissions: 0o6711 });
  const options = MetadataOption.setOwner;
  native.writeFileAt(fd, Buffer.from('file'), Buffer.alloc(0), 0, 0, row, 0, options);
  native.symlinkAt(fd, Buffer.from('link'), Buffer.from('x'), row, 0, options);
  native.makeDirectoryAt(fd, Buffer.from('sub'));
  const sub = openFolder(t, path.join(folder, 'sub'));
  native.setDirectoryMetadata(sub, row, 0, options);
  for (const name of ['file', 'link', 'sub']) {
    const stat = fs.lstatSync(path.join(folder, name), { bigint: true });
    const owner = [BigInt(uid), BigInt(gid)];
    t.deepEqual([stat.uid, stat.gid, stat.mtimeNs], [...owner, 1_700_000_000_123_456_789n], name);
    if (name !== 'link') t.is(stat.mode & 0o7777n, 0o6711n, name);
  }
  if (isRoot) return;
  const other = rowLike({ uid: uid + 1, gid });
  const refused = failedAttributes(native.setDirectoryMetadata(sub, other, 0, options));
  t.deepEqual(refused, [{ name: 'owner', code: 'EPERM' }]);
});

test('a new entry gets its owner and group where its directory gives it another group', (t) => {
  const folder = scratch(t);
  const [user, group] = [process.getuid!(), process.getgid!()];
  const other = isRoot ? 4321 : (process.getgroups!().find((one) => one !== group) ?? group);
  fs.chownSync(folder, user, other);
  fs.chmodSync(folder, 0o2755); // new entries get the group of the directory
  const fd = openFolder(t, folder);
  for (const [uid, gid] of [
    [user, group],
    [user, other],
    [isRoot ? 1234 : user, other],
  ] as const) {
    const row = rowLike({ uid, gid, permissions: 0o6711 });
    const options = MetadataOption.setOwner;
    native.writeFileAt(fd, Buffer.from('file'), Buffer.alloc(0), 0, 0, row, 0, options);
    native.symlinkAt(fd, Buffer.from('link'), Buffer.from('x'), row, 0, options);
    const fifo = rowLike({ type: EntryType.fifo, uid, gid, permissions: 0o6711 });
    native.makeNodeAt(fd, Buffer.from('fifo'), fifo, 0, options);
    for (const name of ['file', 'link', 'fifo']) {
      const file = path.join(folder, name);
      const stat = fs.lstatSync(file);
      t.deepEqual([stat.uid, stat.gid], [uid, gid], name);
      if (name !== 'link') t.is(stat.mode & 0o7777, 0o6711, name);
      fs.unlinkSync(file);
    }
  }
});

test('an owner that may not be set is reported, or forgiven, and the entry stays', (t) => {
  const folder = scratch(t);
  fs.chmodSync(folder, 0o777);
  const output = inChild(
    `if (process.getuid() === 0) process.seteuid(65534);
     const fd = native.openDirectory(Buffer.from(values[0]));
     const row = Buffer.from(values[1], 'hex');
     const codes = [];
     for (const options of [1, 3]) {
       for (const make of [
         () => native.writeFileAt(fd, Buffer.from('file'), Buffer.alloc(9), 0, 9, row, 0, options),
         () => native.symlinkAt(fd, Buffer.from('link'), Buffer.from('x'), row, 0, options),
       ]) {
         codes.push(make()?.toString().split('\\0').slice(0, 2).join(' ') ?? 'done');
       }
       codes.push(fs.readdirSync(values[0]).length);
       for (const name of fs.readdirSync(values[0])) {
         if (options === 1) fs.unlinkSync(values[0] + '/' + name);
       }
     }
     process.stdout.write(codes.join());`,
    [folder, rowLike({ uid: 12345, gid: 12345, permissions: 0o6755 }).toString('hex')],
  );
  t.is(output, 'EPERM owner,EPERM owner,2,done,done,2');
  const stat = fs.lstatSync(path.join(folder, 'file'), { bigint: true });
  t.is(stat.mode & 0o7777n, 0o755n, 'no program runs as the user who restored it');
  t.is(stat.mtimeNs, 1_700_000_000_123_456_789n);
});

test('a file can be streamed and finished', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const file = native.createFileAt(fd, Buffer.from('file'));
  t.is(fs.fstatSync(file).mode & 0o7777, 0o600);
  fs.writeSync(file, 'one');
  fs.writeSync(file, 'two');
  native.finishFile(file, rowLike(), 0, 0);
  native.close(file);
  const stat = fs.lstatSync(path.join(folder, 'file'), { bigint: true });
  t.is(stat.mtimeNs, 1_700_000_000_123_456_789n);
  t.is(stat.mode & 0o7777n, 0o640n);
  t.is(fs.readFileSync(path.join(folder, 'file'), 'utf8'), 'onetwo');
});

test('names are made, linked, renamed and removed', (t) => {
  const folder = scratch(t);
  const fd = openFolder(t, folder);
  const name = (text: string): Buffer => Buffer.from(text);
  native.makeDirectoryAt(fd, name('sub'));
  t.is(fs.lstatSync(path.join(folder, 'sub')).mode & 0o7777, 0o700);
  const sub = openFolder(t, path.join(folder, 'sub'));
  const target = Buffer.from([0x2f, 0xff, 0x20]);
  native.symlinkAt(fd, name('link'), target, rowLike({ mtimeNs: -7n }), 0, 0);
  const link = path.join(folder, 'link');
  t.deepEqual(fs.readlinkSync(link, { encoding: 'buffer' }), target);
  t.is(fs.lstatSync(link, { bigint: true }).mtimeNs, -7n);
  native.linkAt(fd, name('link'), sub, name('hard'));
  t.is(fs.lstatSync(path.join(folder, 'sub/hard')).ino, fs.lstatSync(link).ino);
  native.renameAt(sub, name('hard'), fd, name('moved'));
  t.deepEqual(fs.readdirSync(path.join(folder, 'sub')), []);
  native.exchangeAt(fd, name('moved'), fd, name('sub'));
  t.true(fs.lstatSync(path.join(folder, 'sub')).isSymbolicLink());
  t.true(fs.lstatSync(path.join(folder, 'moved')).isDirectory());
  native.exchangeAt(fd, name('moved'), fd, name('sub'));
  t.is(failing(() => native.exchangeAt(fd, name('moved'), fd, name('none'))).code, 'ENOENT');
  native.unlinkAt(fd, name('moved'));
  native.unlinkAt(fd, name('link'));
  t.deepEqual(fs.readdirSync(folder), ['sub']);
  t.is(failing(() => native.unlinkAt(fd, name('sub'))).code, 'EISDIR');
  t.is(failing(() => native.makeDirectoryAt(fd, name('sub'))).code, 'EEXIST');
});
