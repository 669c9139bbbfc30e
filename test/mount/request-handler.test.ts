// Pace: slow
/** The file system by its requests and replies, with a kernel and a history of the test. */
import test from 'ava';
import {
  Access,
  type BackupSet,
  type History,
  type HistoryEntry,
} from '../../src/history/index.js';
import { EntryType, type EntryTypeNumber, packAttributes } from '../../src/model/index.js';
import {
  AttributeUse,
  Errno,
  RequestHandler,
  type Kernel,
  Op,
  ReadyFiles,
  ReadyPages,
} from '../../src/mount/index.js';
import { nodeSystem, READY_LINKS_BYTES } from '../../src/system/index.js';
import { RecordDecoder } from '../../src/contents/index.js';
import { historyEntryOf } from '../helpers/rows.js';
import { until } from '../helpers/until.js';

const ROOT = { low: 1, high: 0 };
const FILES = 5000;
const NOTHING = Buffer.alloc(0);

function entryOf(
  directory: number,
  name: string,
  type: EntryTypeNumber,
  more: Partial<HistoryEntry> = {},
): HistoryEntry {
  const ofRoot = { permissions: 0o755, uid: 0, gid: 0 };
  return historyEntryOf(name, { directory, type, ...ofRoot, ...more });
}

function setOf(set: number, name: string): BackupSet {
  const times = { openedAtMs: set * 1000, clientTimeMs: set * 1000, closedAtMs: set * 1000 };
  const marks = { tags: [], isLocked: false, title: '' } as unknown as BackupSet['marks'];
  const found = { stats: {}, marks, isDoubtful: false, isSealed: false };
  return { set, name, firstName: name, state: 'complete', ...times, ...found };
}

/** The number of a file that only root may read. */
const SECRET = 3;

/** A history of one root, `/root`: 5000 files, a directory, a link, and a file with attributes. */
class TestHistory {
  sets: BackupSet[] = [setOf(1, 'first')];
  listings = 0;
  access = new Access(undefined);
  private readonly entries: HistoryEntry[];

  constructor() {
    const attributes = packAttributes([
      { name: Buffer.from('user.a'), value: Buffer.from('value') },
    ]);
    this.entries = [
      ...Array.from({ length: FILES }, (_, n) =>
        entryOf(2, `f${String(n).padStart(5, '0')}`, EntryType.file, {
          permissions: n === SECRET ? 0o600 : 0o755,
        }),
      ),
      entryOf(2, 'g-dir', EntryType.directory, { childId: 3 }),
      entryOf(2, 'h-link', EntryType.symlink, { linkTarget: Buffer.from('f00001') }),
      entryOf(2, 'i-attributes', EntryType.file, { attributes }),
      entryOf(2, 'j-loop', EntryType.directory, { childId: 2 }),
      ...NO_NAMES.map((name) => entryOf(2, name, EntryType.file)),
    ];
  }

  asHistory(): History {
    const root = entryOf(1, '1', EntryType.directory, { childId: 2 });
    const history = {
      client: 'test',
      reports: {},
      isRemote: false,
      directory: undefined,
      contentKeys: undefined,
      access: this.access,
      sets: async () => this.sets,
      roots: async () => [{ root: 1, path: Buffer.from('/root'), directory: 2, device: 1 }],
      find: async () => root,
      list: async ({ directory, after, limit }: Parameters<History['list']>[0]) => {
        this.listings += 1;
        if (directory !== 2) return [];
        const from = this.entries.findIndex(({ name }) => Buffer.compare(name, after) > 0);
        return from < 0 ? [] : this.entries.slice(from, from + limit);
      },
      locate: async () => [],
      objects: () => ({ read: async () => 0, close: () => undefined }),
    };
    return history as unknown as History;
  }
}

/** Names that no file can have, after all others, and those under which they are shown. */
const NO_NAMES = ['k/../x', 'l\0m', `n${'o'.repeat(1024)}`];
const SHOWN_NAMES = ['k?..?x', 'l?m', `n${'o'.repeat(199)}`];

interface Node {
  readonly low: number;
  readonly high: number;
}

/** Sends requests one by one, and collects the replies. */
class Lab {
  readonly history;
  readonly forgotten: string[] = [];
  readonly ends: number[] = [];
  readonly ready = new ReadyPages();
  readonly logged: string[] = [];
  private readonly waiting = new Map<number, (reply: Buffer) => void>();
  private last = 0;
  private readonly files: RequestHandler;

  constructor(history = new TestHistory()) {
    this.history = history;
    const system = nodeSystem();
    const kernel: Kernel = {
      reply: ({ uniqueLow }, body, bodyBytes, data) => {
        const rest =
          data === undefined ? NOTHING : data.data.subarray(data.from, data.from + data.bytes);
        this.waiting.get(uniqueLow)!(Buffer.concat([body.subarray(16, bodyBytes), rest]));
      },
      fail: ({ uniqueLow }, errno) => {
        const failed = Buffer.alloc(4);
        failed.writeInt32LE(-errno);
        this.waiting.get(uniqueLow)!(failed);
      },
      forgetName: (_low, _high, name) => this.forgotten.push(name.toString()),
      noteEnd: (_low, _high, offset) => this.ends.push(offset),
      forgetEnds: () => this.ends.splice(0),
      ready: this.ready,
      files: new ReadyFiles(),
      links: Buffer.alloc(READY_LINKS_BYTES),
    };
    const more = {
      current: 'Current',
      checksAcls: false,
      log: (line: string) => this.logged.push(line),
    };
    const space = () => ({ blocks: 10, freeBlocks: 5, availableBlocks: 4, blockBytes: 4096 });
    const served = this.history.asHistory();
    const attributeUse = new AttributeUse(served);
    this.files = new RequestHandler({
      system,
      history: served,
      decoder: new RecordDecoder(system),
      kernel,
      space,
      attributeUse,
      ...more,
    });
  }

  send(opcode: number, node: Node, body: Buffer): Promise<Buffer> {
    this.last += 1;
    const request = Buffer.alloc(40 + body.length);
    request.writeUInt32LE(request.length, 0);
    request.writeUInt32LE(opcode, 4);
    request.writeUInt32LE(this.last, 8);
    request.writeUInt32LE(node.low, 16);
    request.writeUInt32LE(node.high, 20);
    body.copy(request, 40);
    const unique = this.last;
    return new Promise((resolve) => {
      this.waiting.set(unique, resolve);
      const memory = Buffer.alloc((request.length + 7) & ~7);
      request.copy(memory);
      this.files.batch(memory, 0, memory.length);
      memory.fill(0xee); // it is used for other requests from now on
    });
  }

  async lookup(parent: Node, name: string): Promise<Node> {
    const reply = await this.send(Op.lookup, parent, Buffer.from(`${name}\0`));
    if (reply.length === 4) throw new Error(String(reply.readInt32LE()));
    return { low: reply.readUInt32LE(0), high: reply.readUInt32LE(4) };
  }

  async walk(...names: string[]): Promise<Node> {
    let node: Node = ROOT;
    for (const name of names) node = await this.lookup(node, name);
    return node;
  }

  async readdir(opcode: number, node: Node, offset: number, bytes: number): Promise<Buffer> {
    const body = Buffer.alloc(40);
    body.writeBigUInt64LE(BigInt(offset), 8);
    body.writeUInt32LE(bytes, 16);
    return this.send(opcode, node, body);
  }

  /** Returns the names of a directory, read in replies of some bytes from an offset. */
  async names(opcode: number, node: Node, from: number, bytes: number): Promise<string[]> {
    const names: string[] = [];
    const skip = opcode === Op.readdirplus ? 128 : 0;
    for (let offset = from; ; ) {
      const reply = await this.readdir(opcode, node, offset, bytes);
      if (reply.length === 0) return names;
      for (let at = 0; at < reply.length; ) {
        const nameBytes = reply.readUInt32LE(at + skip + 16);
        offset = Number(reply.readBigUInt64LE(at + skip + 8));
        names.push(reply.toString('utf8', at + skip + 24, at + skip + 24 + nameBytes));
        at += (skip + 24 + nameBytes + 7) & ~7;
      }
    }
  }
}

test('a directory is read in any pieces, from any offset, with and without attributes', async (t) => {
  const lab = new Lab();
  const root = await lab.walk('first', 'root');
  const wanted = [
    '.',
    '..',
    ...Array.from({ length: FILES }, (_, n) => `f${String(n).padStart(5, '0')}`),
    'g-dir',
    'h-link',
    'i-attributes',
    'j-loop',
    ...SHOWN_NAMES,
  ];
  for (const opcode of [Op.readdir, Op.readdirplus]) {
    for (const bytes of [512, 4096, 65_536]) {
      t.deepEqual(await lab.names(opcode, root, 0, bytes), wanted);
    }
    for (const from of [1, 2, 3, 2047, 2048, 2049, 2050, 2051, 4098, FILES, wanted.length]) {
      t.deepEqual(await lab.names(opcode, root, from, 4096), wanted.slice(from), String(from));
    }
  }
});

test('a listing has the inode number that stat shows, of the directory of a set and in one', async (t) => {
  const lab = new Lab();
  const listed = async (node: Node): Promise<Map<string, bigint>> => {
    const reply = await lab.readdir(Op.readdir, node, 0, 1 << 20);
    const inodes = new Map<string, bigint>();
    for (let at = 0; at < reply.length; ) {
      const bytes = reply.readUInt32LE(at + 16);
      inodes.set(reply.toString('utf8', at + 24, at + 24 + bytes), reply.readBigUInt64LE(at));
      at += (24 + bytes + 7) & ~7;
    }
    return inodes;
  };
  // The attributes of a node begin at byte 40 of the reply to LOOKUP, with the inode number.
  const shown = async (parent: Node, name: string): Promise<bigint> =>
    (await lab.send(Op.lookup, parent, Buffer.from(`${name}\0`))).readBigUInt64LE(40);
  const [set, root] = [await lab.walk('first'), await lab.walk('first', 'root')];
  const [top, inSet, inRoot] = [await listed(ROOT), await listed(set), await listed(root)];
  t.is(top.get('first'), await shown(ROOT, 'first'));
  t.is(inSet.get('root'), await shown(set, 'root'));
  t.is(inRoot.get('f00001'), await shown(root, 'f00001'));
  t.deepEqual([inSet.get('.'), inRoot.get('.')], [top.get('first'), inSet.get('root')]);
  t.is(inRoot.get('..'), top.get('first'));
});

test('an offset that no directory has is behind its end, and a name that is too long is refused', async (t) => {
  const lab = new Lab();
  const root = await lab.walk('first', 'root');
  t.is((await lab.readdir(Op.readdir, root, 2 ** 32 + 5, 4096)).length, 0);
  t.true((await lab.readdir(Op.readdir, root, 5, 4096)).length > 0);
  const tooLong = { message: String(-Errno.ENAMETOOLONG) };
  await t.throwsAsync(lab.lookup(root, 'n'.repeat(256)), tooLong);
  t.deepEqual(await lab.lookup(root, 'n'.repeat(255)), { low: 0, high: 0 });
});

test('each page of a root takes one question to the history', async (t) => {
  const lab = new Lab();
  const root = await lab.walk('first', 'root');
  const names = await lab.names(Op.readdirplus, root, 0, 65_536);
  t.is(lab.history.listings, Math.ceil((names.length - 2) / 512));
});

test('names are found, and those that are not are remembered as missing', async (t) => {
  const lab = new Lab();
  const root = await lab.walk('first', 'root');
  const one = await lab.lookup(root, 'f04321');
  t.deepEqual(await lab.lookup(root, 'f04321'), one);
  t.deepEqual(await lab.lookup(root, 'nothing'), { low: 0, high: 0 });
  const missing = await lab.send(Op.lookup, root, Buffer.from('zzz\0'));
  t.true(missing.readUInt32LE(16) > 1_000_000); // seconds for which the kernel keeps that
  const target = await lab.send(Op.readlink, await lab.lookup(root, 'h-link'), NOTHING);
  t.is(target.toString(), 'f00001');
  await t.throwsAsync(lab.lookup(one, 'below-a-file'), { message: String(-Errno.ENOTDIR) });
});

test('a file that may not be read is refused, also after a file beside it was read', async (t) => {
  const history = new TestHistory();
  history.access = new Access({ uid: 1000, gids: new Set([1000]) });
  const lab = new Lab(history);
  const root = await lab.walk('first', 'root');
  const read = async (name: string): Promise<Buffer> => {
    const range = Buffer.alloc(40);
    range.writeUInt32LE(4096, 16);
    return lab.send(Op.read, await lab.lookup(root, name), range);
  };
  t.is((await read('f00002')).length, 0, 'an empty file');
  t.is((await read('f00003')).readInt32LE(0), -Errno.EACCES);
  t.is((await read('f00004')).length, 0);
});

test('a directory that leads back to one above it is shown without attributes', async (t) => {
  const lab = new Lab();
  const root = await lab.walk('first', 'root');
  await t.throwsAsync(lab.lookup(root, 'j-loop'), { message: String(-Errno.EIO) });
});

test('attributes are listed and read, and a room that is too small is refused', async (t) => {
  const lab = new Lab();
  const root = await lab.walk('first', 'root');
  const node = await lab.lookup(root, 'i-attributes');
  const sized = (bytes: number, name = ''): Buffer => {
    const body = Buffer.alloc(8 + name.length + 1);
    body.writeUInt32LE(bytes, 0);
    body.write(name, 8);
    return body;
  };
  t.is((await lab.send(Op.listxattr, node, sized(100))).toString(), 'user.a\0');
  t.is((await lab.send(Op.listxattr, node, sized(0))).readUInt32LE(0), 7);
  t.is((await lab.send(Op.getxattr, node, sized(100, 'user.a'))).toString(), 'value');
  const failures = [sized(100, 'user.b'), sized(3, 'user.a')];
  const found = [];
  for (const body of failures) found.push((await lab.send(Op.getxattr, node, body)).readInt32LE(0));
  t.deepEqual(found, [-Errno.ENODATA, -Errno.ERANGE]);
});

test('what would change something is refused, and unknown requests are left to the kernel', async (t) => {
  const lab = new Lab();
  const root = await lab.walk('first', 'root');
  for (const opcode of [Op.mkdir, Op.unlink, Op.write, Op.setattr, Op.create, Op.setxattr]) {
    t.is((await lab.send(opcode, root, Buffer.alloc(16))).readInt32LE(0), -Errno.EROFS);
  }
  for (const opcode of [Op.open, Op.opendir, 999]) {
    t.is((await lab.send(opcode, root, Buffer.alloc(16))).readInt32LE(0), -Errno.ENOSYS);
  }
});

test('a new set appears, and in a deleted one everything is stale', async (t) => {
  const lab = new Lab();
  const inside = await lab.walk('first', 'root');
  lab.history.sets = [setOf(1, 'first'), setOf(2, 'second')];
  await until(async () => (await lab.names(Op.readdir, ROOT, 0, 4096)).includes('second'));
  t.deepEqual(lab.forgotten, ['Current', 'Current']); // it leads to another set
  lab.history.sets = [setOf(2, 'second')];
  await until(async () => !(await lab.names(Op.readdir, ROOT, 0, 4096)).includes('first'));
  t.true(lab.forgotten.includes('first'));
  const stale = await lab.send(Op.lookup, inside, Buffer.from('f00001\0'));
  t.is(stale.readInt32LE(0), -Errno.ESTALE);
});

test('a tree is not dropped before the references in replies that were sent are counted', async (t) => {
  const lab = new Lab();
  const node = await lab.walk('first', 'root');
  const listed = { lookups: 0, wasListed: () => undefined };
  const place = { tree: listed, directory: 1, nodeLow: node.low, nodeHigh: node.high };
  lab.ready.room();
  lab.ready.offer(place, { bytes: 0, entries: 7 });
  const one = Buffer.alloc(8);
  one.writeBigUInt64LE(2n); // the set and its root
  void lab.send(Op.forget, node, one);
  const state = 12;
  lab.ready.memory.writeUInt32LE(2, state); // the addon has sent it since
  await new Promise(setImmediate);
  t.is(listed.lookups, 7);
  const stale = await lab.send(Op.getattr, node, Buffer.alloc(16));
  t.is(stale.readInt32LE(0), -Errno.ESTALE, 'a tree without references is dropped');
});

test('a name that no file can have is an entry that cannot be read, and the log names its directory', async (t) => {
  const lab = new Lab();
  const root = await lab.walk('first', 'root');
  for (const name of SHOWN_NAMES) {
    await t.throwsAsync(lab.lookup(root, name), { message: String(-Errno.EIO) }, name);
  }
  await new Promise(setImmediate);
  t.is(lab.logged.length, SHOWN_NAMES.length);
  t.regex(lab.logged[0]!, /^\/first\/root: .* an invalid name: k\/\.\.\/x \[CATALOG_DAMAGED\]$/);
  t.truthy(await lab.lookup(root, 'f00001'));
});
