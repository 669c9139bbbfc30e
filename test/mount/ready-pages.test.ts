/** Replies that the addon sends by itself: over a socket in place of /dev/fuse, beside a model of the references. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { type ListedTree, Op, placeOfNode } from '../../src/mount/index.js';
import { READY_BYTES, READY_PAGES, ReadyState } from '../../src/system/index.js';
import { HEAD_BYTES, KernelEnd, LOOK_MS, LOOKS } from '../helpers/kernel-end.js';
import { chooser } from '../helpers/random-tree.js';
import { pause } from '../helpers/until.js';

const ENTRY_BYTES = 160;
const DOTS_BYTES = 2 * ENTRY_BYTES;
/** Turns of the event loop within which a batch comes. */
const TURNS = 1000;
/** More turns than the steps of a listener between the last reply and the turn of the other thread. */
const TURNS_OF_WALK = 16;
const STATE_WORD = 3;
const PAGE_WORDS = 6;
const HEADER_BYTES = 40;
const REQUEST_BYTES = 80;
/** Directories from this number on are not what a test is about. */
const FAR_DIRECTORY = 100;
const ROOM = READY_BYTES - HEAD_BYTES - DOTS_BYTES;

class CountedTree implements ListedTree {
  lookups = 0;
  readonly lists: number[] = [];

  wasListed(directory: number): void {
    this.lists.push(directory);
  }
}

/** The node of a directory, in two halves. */
function nodeOf(directory: number): { low: number; high: number } {
  return { low: (directory << 24) >>> 0, high: (1 << 18) | (directory >>> 8) };
}

/** The requests of a kernel for listings, and the replies that are ready for them. */
class Lab extends KernelEnd {
  readonly ready = this.kernel.ready;
  readonly links = this.kernel.links;
  /** Directories of which JavaScript got the request. */
  readonly requested: number[] = [];
  readonly tree = new CountedTree();
  /** Calls without requests: the addon has sent replies, or the other thread's turn has ended. */
  calls = 0;
  /** Called with each batch, before it is read. */
  onBatch: () => void = () => undefined;

  constructor(t: ExecutionContext) {
    super(t, 2 * READY_BYTES);
  }

  protected override batch(memory: Buffer, offset: number, bytes: number): boolean {
    this.ready.count();
    if (bytes === 0) this.calls += 1;
    else this.onBatch();
    return super.batch(memory, offset, bytes);
  }

  protected note(low: number, high: number): void {
    this.requested.push(placeOfNode(low, high).directory);
  }

  offer(directory: number, entries: number): void {
    const { low: nodeLow, high: nodeHigh } = nodeOf(directory);
    this.ready.count();
    const room = this.ready.room()!;
    const bytes = DOTS_BYTES + entries * ENTRY_BYTES;
    room.bytes.fill(directory, 0, bytes);
    this.ready.offer({ tree: this.tree, directory, nodeLow, nodeHigh }, { bytes, entries });
  }

  /** Returns the bytes of the answer; undefined if JavaScript got the request. */
  list(directory: number, offset = 0, roomBytes = READY_BYTES): Promise<Buffer | undefined> {
    const request = Buffer.alloc(REQUEST_BYTES);
    request.writeUInt32LE(offset, 48);
    request.writeUInt32LE(roomBytes, 56);
    return this.send(Op.readdirplus, directory, request);
  }

  /** Lists directories until the other thread reads requests. */
  async walk(from: number): Promise<void> {
    for (const directory of [from, from + 1]) {
      this.offer(directory, 1);
      await this.list(directory);
    }
    // A listener whose time is up makes one step in each turn: it calls JavaScript, or lets the other thread read.
    for (let turn = 0; turn < TURNS_OF_WALK; turn += 1) await nextTurn();
  }

  /** Returns the bytes of the answer to a listing, which comes while this thread does nothing else. */
  listMeanwhile(directory: number): Buffer | undefined {
    const request = Buffer.alloc(REQUEST_BYTES);
    request.writeUInt32LE(READY_BYTES, 56);
    const reply = this.replyMeanwhile((look) => {
      if (look === 0) this.write(Op.readdirplus, directory, request);
    });
    return reply?.subarray(HEAD_BYTES);
  }

  /** Counts references once the other thread has noted that it sent them, while this one does nothing else. */
  countSent(): void {
    const words = new Int32Array(new SharedArrayBuffer(4));
    for (let look = 0; look < LOOKS && this.ready.isSending(this.tree); look += 1) {
      this.ready.count();
      Atomics.wait(words, 0, 0, LOOK_MS);
    }
  }

  readLink(directory: number): Promise<Buffer | undefined> {
    return this.send(Op.readlink, directory, Buffer.alloc(HEADER_BYTES));
  }

  forget(): void {
    this.kernel.forgetEnds();
  }

  async send(opcode: number, directory: number, request: Buffer): Promise<Buffer | undefined> {
    this.write(opcode, directory, request);
    return this.answer(directory + 1);
  }

  write(opcode: number, directory: number, request: Buffer = Buffer.alloc(REQUEST_BYTES)): void {
    this.request(request, { opcode, unique: directory + 1, ...nodeOf(directory) });
  }

  /** Sends bytes that are no request, and waits until the other thread, whose turn it is, has read them. */
  async waste(bytes: Buffer): Promise<void> {
    const { calls } = this;
    this.put(bytes);
    for (let look = 0; look < LOOKS && this.calls === calls; look += 1) await pause(LOOK_MS);
  }

  /** Returns the directories of the replies that are there. */
  repliedNow(): number[] {
    const replies = this.readNow() ?? Buffer.alloc(0);
    const found: number[] = [];
    for (let at = 0; at < replies.length; at += replies.readUInt32LE(at)) {
      found.push(replies.readUInt32LE(at + 8) - 1);
    }
    return found;
  }
}

test('a reply that is ready is sent once, and then the end of the directory', async (t) => {
  const lab = new Lab(t);
  lab.offer(5, 3);
  const reply = await lab.list(5);
  t.is(reply?.length, DOTS_BYTES + 3 * ENTRY_BYTES);
  t.true(reply!.every((byte) => byte === 5));
  t.is((await lab.list(5, 5))?.length, 0);
  lab.ready.count();
  t.is(lab.tree.lookups, 3);
  t.deepEqual(lab.tree.lists, [5]);
  t.deepEqual(lab.requested, []);
  t.is(await lab.list(5), undefined);
  t.deepEqual(lab.requested, [5]);
  t.is(lab.tree.lookups, 3);
});

test('JavaScript answers if it is another node, another offset, or no room', async (t) => {
  const lab = new Lab(t);
  lab.offer(5, 3);
  t.is(await lab.list(6), undefined);
  t.is(await lab.list(5, 1), undefined);
  t.is(await lab.list(5, 0, DOTS_BYTES + 3 * ENTRY_BYTES - 1), undefined);
  t.is(lab.tree.lookups, 0);
  t.truthy(await lab.list(5, 0, DOTS_BYTES + 3 * ENTRY_BYTES));
  lab.ready.count();
  lab.offer(6, 1);
  lab.ready.drop();
  t.is(await lab.list(6), undefined);
  t.is(lab.tree.lookups, 3);
});

test('a table with lengths that cannot be sends nothing', async (t) => {
  const lab = new Lab(t);
  const words = new Uint32Array(lab.ready.memory.buffer);
  for (const [index, bytes] of [0, HEAD_BYTES - 1, READY_BYTES + 1, 0xffff_ffff].entries()) {
    lab.offer(5, 3);
    words[index * 6 + 2] = bytes;
    t.is(await lab.list(5, 0, 0xffff_ffff), undefined, String(bytes));
  }
  t.is(lab.tree.lookups, 0);
});

test('the references of random walks are those in the replies that were sent', async (t) => {
  const lab = new Lab(t);
  const choose = chooser(20);
  /** Entries of the replies that are ready, by directory. */
  const ready = new Map<number, number>();
  /** The directories whose replies were made ready last. */
  const order: number[] = [];
  let [lookups, sent] = [0, 0];
  for (let step = 0; step < 5000; step += 1) {
    const directory = choose(3 * READY_PAGES);
    const act = choose(600);
    if (act === 0) {
      lab.ready.drop();
      ready.clear();
    } else if (act < 400) {
      if (ready.has(directory)) continue;
      const entries = choose(Math.floor(ROOM / ENTRY_BYTES) + 1);
      lab.offer(directory, entries);
      ready.set(directory, entries);
      order.push(directory);
      const oldest = order.length > READY_PAGES ? order.shift()! : undefined;
      if (oldest !== undefined && !order.includes(oldest)) ready.delete(oldest);
    } else {
      const entries = ready.get(directory);
      const reply = await lab.list(directory);
      t.is(reply?.length, entries === undefined ? undefined : DOTS_BYTES + entries * ENTRY_BYTES);
      ready.delete(directory);
      lookups += entries ?? 0;
      sent += entries === undefined ? 0 : 1;
      if (act > 590) lab.tree.lookups -= lookups; // the kernel forgets all of them
      if (act > 590) lookups = 0;
    }
    lab.countSent(); // the other thread notes what it sent after the reply has come
    lab.ready.count();
    if (lab.tree.lookups !== lookups) t.is(lab.tree.lookups, lookups, `step ${step}`);
  }
  t.true(sent > 100);
  t.is(lab.tree.lists.length, sent);
});

test('after some replies JavaScript counts them and can make more', async (t) => {
  const lab = new Lab(t);
  for (let directory = 1; directory <= 20; directory += 1) lab.offer(directory, 1);
  for (let directory = 1; directory <= 20; directory += 1) t.truthy(await lab.list(directory));
  t.true(lab.tree.lookups >= 8);
  lab.ready.count();
  t.is(lab.tree.lookups, 20);
});

test('a room with a reply that was sent and is not counted is not used again', async (t) => {
  const lab = new Lab(t);
  for (let directory = 1; directory <= READY_PAGES; directory += 1) lab.offer(directory, 1);
  t.truthy(await lab.list(1));
  t.is(lab.ready.room(), undefined);
  lab.ready.count();
  t.truthy(lab.ready.room());
  t.is(lab.tree.lookups, 1);
});

test('the target of a link that was packed is returned for its node only', async (t) => {
  const lab = new Lab(t);
  const { low, high } = nodeOf(5);
  const at = ((BigInt(high) << 8n) | BigInt(low >>> 24)) * 37n;
  const place = Number((at + BigInt(low) + (BigInt(high) << 32n)) % 256n) * 256;
  lab.links.writeUInt32LE(low, place);
  lab.links.writeUInt32LE(high, place + 4);
  for (const bytes of [0, 9, 244]) {
    lab.links.writeUInt32LE(bytes, place + 8);
    lab.links.fill(0x74, place + 12, place + 12 + bytes);
    t.deepEqual(await lab.readLink(5), Buffer.alloc(bytes, 0x74));
  }
  lab.links.writeUInt32LE(245, place + 8);
  t.is(await lab.readLink(5), undefined, 'a length that cannot be');
  lab.links.writeUInt32LE(9, place + 8);
  t.is(await lab.readLink(5 + 256), undefined, 'the place in the table is the same');
  lab.forget();
  t.is(await lab.readLink(5), undefined);
});

test('between pieces of work what is ready is sent, and the rest comes with the next batch', async (t) => {
  const lab = new Lab(t);
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt32LE(READY_BYTES, 56);
  for (const directory of [5, 6]) lab.offer(directory, 1);
  for (const directory of [5, 7, 6]) {
    lab.write(Op.readdirplus, directory, bytes);
    lab.ready.answer();
  }
  t.deepEqual(lab.repliedNow(), [5, 6], 'in this turn of the event loop');
  t.deepEqual(lab.requested, []);
  for (let turn = 0; turn < TURNS && lab.requested.length < 1; turn += 1) await nextTurn();
  t.deepEqual(lab.requested, [7]);
  t.is(lab.tree.lookups, 2);
  t.deepEqual(lab.repliedNow(), [7]);
});

test('a batch that JavaScript reads is not overwritten', async (t) => {
  const lab = new Lab(t);
  let isFirst = true;
  lab.onBatch = () => {
    if (isFirst) lab.write(Op.readdirplus, 6);
    isFirst = false;
    lab.ready.answer();
  };
  lab.write(Op.readdirplus, 5);
  for (let turn = 0; turn < TURNS && lab.requested.length < 2; turn += 1) await nextTurn();
  t.deepEqual(lab.requested, [5, 6]);
  t.deepEqual(lab.repliedNow(), [5, 6]);
});

test('in a walk what is ready is sent while JavaScript is busy, and counted afterwards', async (t) => {
  const lab = new Lab(t);
  await lab.walk(1);
  lab.countSent();
  t.is(lab.tree.lookups, 2);
  lab.offer(3, 5);
  t.is(lab.listMeanwhile(3)?.length, DOTS_BYTES + 5 * ENTRY_BYTES);
  t.is(lab.tree.lookups, 2);
  lab.countSent();
  t.is(lab.tree.lookups, 7);
  t.deepEqual(lab.requested, []);
});

test('a request that JavaScript must answer ends the turn of the other thread', async (t) => {
  const lab = new Lab(t);
  for (let round = 0; round < 20; round += 1) {
    await lab.walk(10 * round + 1);
    t.is(await lab.list(10 * round + 3), undefined);
    t.is(await lab.readLink(10 * round + 4), undefined);
  }
  t.is(lab.requested.length, 40);
  lab.ready.count();
  t.is(lab.tree.lookups, 40);
});

test('requests behind the one that ended the turn are kept, also if that one becomes ready', async (t) => {
  const lab = new Lab(t);
  await lab.walk(1);
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt32LE(READY_BYTES, 56);
  lab.write(Op.readdirplus, 3, bytes);
  // Once this thread answers, the turn has ended. A socket may join requests, of which only the first is seen.
  const reply = lab.replyMeanwhile((look) => {
    lab.offer(FAR_DIRECTORY + look, 1);
    lab.write(Op.readdirplus, FAR_DIRECTORY + look, bytes);
    lab.ready.answer();
  });
  if (reply === undefined) throw new Error('the turn does not end');
  lab.offer(3, 1);
  lab.write(Op.readdirplus, 5, bytes);
  lab.ready.answer();
  for (let turn = 0; turn < TURNS && !lab.requested.includes(5); turn += 1) await nextTurn();
  t.deepEqual(
    lab.repliedNow().filter((directory) => directory < FAR_DIRECTORY),
    [3, 5],
    'by the addon or by JavaScript',
  );
});

test('what is no request ends the turn of the other thread, and harms nobody', async (t) => {
  const lab = new Lab(t);
  const choose = chooser(21);
  for (let round = 0; round < 200; round += 1) {
    await lab.walk(10 * round + 1);
    await lab.waste(Buffer.alloc(1 + choose(HEADER_BYTES - 1), choose(256)));
    lab.offer(10 * round + 3, 1);
    t.is((await lab.list(10 * round + 3))?.length, DOTS_BYTES + ENTRY_BYTES, `round ${round}`);
  }
});

test('a request that is cut off is left to JavaScript', async (t) => {
  const lab = new Lab(t);
  const choose = chooser(22);
  for (let round = 0; round < 200; round += 1) {
    await lab.walk(10 * round + 1);
    lab.offer(10 * round + 3, 1);
    const opcode = [Op.readdirplus, Op.readdir, Op.getxattr, Op.listxattr][choose(4)]!;
    const bytes = HEADER_BYTES + choose(8);
    t.is(await lab.send(opcode, 10 * round + 3, Buffer.alloc(bytes)), undefined, `round ${round}`);
  }
  t.is(lab.requested.length, 200);
});

test('a reply that is being sent is neither taken back nor used again', (t) => {
  const lab = new Lab(t);
  const words = new Uint32Array(lab.ready.memory.buffer);
  for (let directory = 1; directory <= READY_PAGES; directory += 1) lab.offer(directory, 1);
  t.false(lab.ready.isSending(lab.tree));
  words[STATE_WORD] = ReadyState.sending;
  lab.ready.drop();
  t.is(lab.ready.room(), undefined);
  t.true(lab.ready.isSending(lab.tree));
  t.false(lab.ready.isSending(new CountedTree()));
  words[STATE_WORD] = ReadyState.sent;
  t.true(lab.ready.isSending(lab.tree));
  lab.ready.count();
  t.is(lab.tree.lookups, 1);
  t.false(lab.ready.isSending(lab.tree));
  t.is(words[PAGE_WORDS + STATE_WORD], ReadyState.free, 'all others are taken back');
});
