/** Helpers that the tests of the native addon and of its reference share. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { EntryType, type Entry } from '../../src/model/index.js';
import { createFallback } from './native-reference.js';
import { loadNative, type NativeCalls, type OpenKindNumber } from '../../src/system/native.js';
import { rowOf } from './rows.js';

export interface NativeForms {
  /** Opens a path component by component. `openBeneath` does so on systems without openat2. */
  walkBeneath(rootFd: number, path: Buffer, kind: OpenKindNumber): number;
  /** Reads attributes through /proc, which `attributesAt` does before Linux 6.13. */
  attributesByPath(dirFd: number, name: Buffer, withTime: boolean, limitBytes: number): Buffer;
}

export const native = loadNative() as NativeCalls & NativeForms;
export const fallback = createFallback();
export const isRoot = process.getuid?.() === 0;
export const NATIVE_URL = new URL('../../src/system/native.js', import.meta.url).href;

export function openFolder(t: ExecutionContext, folder: string): number {
  const fd = native.openDirectory(Buffer.from(folder));
  t.teardown(() => native.close(fd));
  return fd;
}

export function rowLike(changes: Partial<Entry> = {}): Buffer {
  const owners = { uid: process.getuid!(), gid: process.getgid!() };
  return rowOf('row', { permissions: 0o640, ...owners, ...changes });
}

/** Returns the properties of an error that callers use. */
export function failing(call: () => unknown): { code: string; errno: number; syscall: string } {
  try {
    call();
  } catch (error) {
    const { code, errno, syscall, message } = error as NodeJS.ErrnoException;
    if (code === undefined || errno === undefined || syscall === undefined) throw error;
    if (!message.startsWith(`${code}: `) || !message.includes(`, ${syscall}`)) throw error;
    return { code, errno, syscall };
  }
  throw new Error('did not fail');
}

/** Runs a module in a separate process, with `native` loaded; returns its output. */
export function inChild(body: string, values: readonly string[], prefix = ''): string {
  const module = `import { loadNative } from ${JSON.stringify(NATIVE_URL)};
    import fs from 'node:fs';
    const native = loadNative();
    const values = process.argv.slice(1);
    ${body}`;
  const command = `${prefix} exec "$0" "$@"`;
  const child = spawnSync(
    '/bin/sh',
    ['-c', command, process.execPath, '--input-type=module', '-e', module, ...values],
    { encoding: 'utf8' },
  );
  if (child.status !== 0) throw new Error(`child failed: ${child.stderr}`);
  return child.stdout;
}

export function assertRowMatches(t: ExecutionContext, entry: Entry, file: Buffer): void {
  const stat = fs.lstatSync(file, { bigint: true });
  const types: [boolean, number][] = [
    [stat.isFile(), EntryType.file],
    [stat.isDirectory(), EntryType.directory],
    [stat.isSymbolicLink(), EntryType.symlink],
    [stat.isFIFO(), EntryType.fifo],
    [stat.isSocket(), EntryType.socket],
    [stat.isCharacterDevice(), EntryType.characterDevice],
    [stat.isBlockDevice(), EntryType.blockDevice],
  ];
  const isDevice = stat.isCharacterDevice() || stat.isBlockDevice();
  t.like(entry, {
    type: types.find(([is]) => is)![1] as Entry['type'],
    permissions: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    linkCount: Number(stat.nlink),
    sizeBytes: stat.isFile() ? Number(stat.size) : 0,
    mtimeNs: stat.mtimeNs,
    ctimeNs: stat.ctimeNs,
    birthTimeNs: stat.birthtimeNs,
    inode: stat.ino,
    device: isDevice ? stat.rdev : 0n,
  });
  const target = stat.isSymbolicLink() ? fs.readlinkSync(file, { encoding: 'buffer' }) : undefined;
  t.deepEqual(entry.linkTarget, target);
}

export async function makeAllKinds(t: ExecutionContext, folder: string): Promise<void> {
  fs.writeFileSync(path.join(folder, 'file'), 'content');
  fs.chmodSync(path.join(folder, 'file'), 0o4751);
  spawnSync('touch', ['-h', '-d', '1969-12-31 23:59:54.75 UTC', path.join(folder, 'file')]);
  fs.linkSync(path.join(folder, 'file'), path.join(folder, 'hard'));
  fs.mkdirSync(path.join(folder, 'sub'), { mode: 0o2750 });
  fs.symlinkSync('anywhere/at all', path.join(folder, 'link'));
  spawnSync('mkfifo', [path.join(folder, 'fifo')]);
  if (isRoot) spawnSync('mknod', [path.join(folder, 'device'), 'b', '7', '300']);
  const server = net.createServer().listen(path.join(folder, 'socket'));
  t.teardown(() => server.close());
  await once(server, 'listening');
}

/** Creates forty entries on each level: files, links and, down to `depth`, directories, with names of any bytes. */
export function makeTree(folder: Buffer, depth: number): void {
  for (let index = 0; index < 40; index += 1) {
    const name = randomBytes(1 + (index % 9)).map((byte) =>
      byte === 0 || byte === 0x2f ? 1 : byte,
    );
    const file = Buffer.concat([folder, Buffer.from(`/${index}`), name]);
    if (index % 10 === 0) fs.symlinkSync(randomBytes(20).toString('hex'), file);
    else if (index % 10 === 1 && depth > 0) {
      fs.mkdirSync(file);
      makeTree(file, depth - 1);
    } else fs.writeFileSync(file, randomBytes(index * 3), { mode: 0o600 + index });
  }
}
