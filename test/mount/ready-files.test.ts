/** Contents that the addon sends by itself: over a socket in place of /dev/fuse. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { MAX_READY_BYTES, Op, ReadyFiles } from '../../src/mount/index.js';
import {
  READY_FILE_ROOM,
  READY_FILE_WORDS,
  READY_FILES,
  ReadyState,
} from '../../src/system/index.js';
import { KernelEnd, LOOKS } from '../helpers/kernel-end.js';
import { chooser } from '../helpers/random-tree.js';

const REQUEST_BYTES = 80;
const STATE_WORD = 4;
const HIGH = 7;

/** Content of a file: bytes that differ from file to file, and along the file. */
function contentOf(node: number, bytes: number): Buffer {
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 1) content[at] = node * 31 + (at >> 3);
  return content;
}

function offer(files: ReadyFiles, node: number, bytes: number): boolean {
  const data = Buffer.concat([Buffer.alloc(3), contentOf(node, bytes), Buffer.alloc(3)]);
  return files.offer({ nodeLow: node, nodeHigh: HIGH }, { data, from: 3, bytes });
}

function stateOf(files: ReadyFiles, row: number): number {
  return new Uint32Array(files.memory.buffer)[row * READY_FILE_WORDS + STATE_WORD]!;
}

function setState(files: ReadyFiles, row: number, state: number): void {
  new Uint32Array(files.memory.buffer)[row * READY_FILE_WORDS + STATE_WORD] = state;
}

/** The requests of a kernel for contents, and the contents that are ready for them. */
class Lab extends KernelEnd {
  readonly files = this.kernel.files;
  /** Nodes of which JavaScript got the request. */
  readonly requested: number[] = [];
  private unique = 0;

  constructor(t: ExecutionContext) {
    super(t, READY_FILE_ROOM);
  }

  protected note(low: number): void {
    this.requested.push(low);
  }

  /** Returns the bytes of a part of a file; undefined if JavaScript got the request. */
  read(node: number, from: number, bytes: number): Promise<Buffer | undefined> {
    return this.answer(this.requestFor(node, from, bytes));
  }

  /** Returns what `read` does, while this thread does nothing else. */
  readMeanwhile(node: number, from: number, bytes: number): Buffer | undefined {
    return this.answerMeanwhile(this.requestFor(node, from, bytes));
  }

  /** Sends a request, and returns its number. */
  private requestFor(node: number, from: number, bytes: number): number {
    const request = Buffer.alloc(REQUEST_BYTES);
    this.unique += 1;
    request.writeBigUInt64LE(BigInt(from), 48);
    request.writeUInt32LE(bytes, 56);
    this.request(request, { opcode: Op.read, unique: this.unique, low: node, high: HIGH });
    return this.unique;
  }

  /** Waits until the thread that has sent a content has noted it, and returns the node of the file. */
  async sent(): Promise<number | undefined> {
    for (let look = 0; look < LOOKS; look += 1) {
      const isSending = Array.from({ length: READY_FILES }, (_none, row) => row).some(
        (row) => stateOf(this.files, row) === ReadyState.sending,
      );
      if (!isSending) break;
      await nextTurn();
    }
    return this.files.takeSent()?.nodeLow;
  }
}

test('a content that is ready is sent in any parts, until its end was sent', async (t) => {
  const lab = new Lab(t);
  const wanted = contentOf(5, 10_000);
  t.true(offer(lab.files, 5, wanted.length));
  t.deepEqual(await lab.read(5, 0, 4096), wanted.subarray(0, 4096));
  t.is(await lab.sent(), undefined);
  t.deepEqual(await lab.read(5, 100, 50), wanted.subarray(100, 150));
  t.deepEqual(await lab.read(5, 4096, 131_072), wanted.subarray(4096));
  t.is(await lab.sent(), 5);
  t.is(await lab.sent(), undefined);
  t.is(await lab.read(5, 0, 4096), undefined);
  t.deepEqual(lab.requested, [5]);
});

test('a request behind the end of a content gets no bytes', async (t) => {
  const lab = new Lab(t);
  t.true(offer(lab.files, 5, 100));
  t.is((await lab.read(5, 2 ** 40, 4096))?.length, 0);
  t.deepEqual(lab.requested, []);
});

test('JavaScript gets requests for other files, and for those that were dropped', async (t) => {
  const lab = new Lab(t);
  t.true(offer(lab.files, 5, 100));
  t.is(await lab.read(6, 0, 4096), undefined);
  lab.files.drop();
  t.is(await lab.read(5, 0, 4096), undefined);
  t.deepEqual(lab.requested, [6, 5]);
});

test('a row with a place outside of the memory sends nothing', async (t) => {
  const lab = new Lab(t);
  const words = new Uint32Array(lab.files.memory.buffer);
  const places = [
    [READY_FILE_ROOM, 1],
    [READY_FILE_ROOM - 99, 100],
    [0xffff_ffff, 0xffff_ffff],
    [0, READY_FILE_ROOM + 1],
  ] as const;
  for (const [at, bytes] of places) {
    t.true(offer(lab.files, 5, 100));
    const row = lab.requested.length;
    words[row * READY_FILE_WORDS + 2] = at;
    words[row * READY_FILE_WORDS + 3] = bytes;
    t.is(await lab.read(5, 0, 4096), undefined, `${at} ${bytes}`);
    lab.files.drop();
    words[row * READY_FILE_WORDS + 2] = 0;
  }
  t.is(lab.requested.length, places.length);
});

test('in a walk contents are sent while JavaScript is busy', async (t) => {
  const lab = new Lab(t);
  for (let node = 1; node <= 40; node += 1) t.true(offer(lab.files, node, 1000 + node));
  // A listener whose time is up makes one step in each turn: it calls JavaScript, or lets the other thread read.
  for (const node of [1, 2, 3])
    t.deepEqual(await lab.read(node, 0, 4096), contentOf(node, 1000 + node));
  for (let turn = 0; turn < 16; turn += 1) await nextTurn();
  for (let node = 4; node <= 40; node += 1) {
    t.deepEqual(lab.readMeanwhile(node, 0, 4096), contentOf(node, 1000 + node));
  }
  t.is(await lab.sent(), 40);
  t.deepEqual(lab.requested, []);
  t.is(await lab.read(41, 0, 4096), undefined, 'a request for JavaScript ends the turn');
  t.deepEqual(lab.requested, [41]);
});

test('the queue has a bound, and contents before one that was sent leave it', (t) => {
  const files = new ReadyFiles();
  t.false(offer(files, 1, MAX_READY_BYTES + 1));
  t.false(offer(files, 1, 0));
  for (let node = 0; node < 4; node += 1) t.true(offer(files, node, MAX_READY_BYTES));
  t.false(offer(files, 4, 1));
  setState(files, 2, ReadyState.sent);
  t.deepEqual(files.takeSent(), { nodeLow: 2, nodeHigh: HIGH });
  t.is(files.takeSent(), undefined);
  for (let node = 4; node < 7; node += 1) t.true(offer(files, node, MAX_READY_BYTES));
  t.false(offer(files, 7, 1));
  files.drop();
  for (let node = 0; node < READY_FILES; node += 1) t.true(offer(files, node, 10));
  t.false(offer(files, READY_FILES, 10));
});

test('a content that is being sent keeps its place when it is dropped', (t) => {
  const files = new ReadyFiles();
  t.true(offer(files, 1, 100));
  t.true(offer(files, 2, 100));
  setState(files, 0, ReadyState.sending);
  files.drop();
  t.deepEqual([stateOf(files, 0), stateOf(files, 1)], [ReadyState.dropped, ReadyState.free]);
  t.true(offer(files, 3, 100));
  const words = new Uint32Array(files.memory.buffer);
  t.is(words[2 * READY_FILE_WORDS + 2], 200, 'behind both');
  setState(files, 0, ReadyState.free);
  setState(files, 2, ReadyState.sent);
  t.is(files.takeSent()?.nodeLow, 3);
  t.true(offer(files, 4, 100));
  t.is(words[3 * READY_FILE_WORDS + 2], 0);
});

test('random walks get the bytes of each file, whatever is sent, passed over or dropped', (t) => {
  const files = new ReadyFiles();
  const choose = chooser(21);
  const words = new Uint32Array(files.memory.buffer);
  /** The contents in the queue, in their order. */
  let queue: { readonly node: number; readonly row: number; readonly bytes: number }[] = [];
  let [row, offers] = [0, 0];
  for (let node = 1; node < 4000; node += 1) {
    const bytes = 1 + choose(choose(4) === 0 ? MAX_READY_BYTES : 20_000);
    if (offer(files, node, bytes)) {
      queue.push({ node, row, bytes });
      row = (row + 1) % READY_FILES;
      offers += 1;
    }
    const act = choose(40);
    if (act === 0) {
      files.drop();
      queue = [];
    } else if (act < 20 && queue.length > 0) {
      const at = choose(Math.min(queue.length, 3));
      const { node: read, row: of, bytes: size } = queue[at]!;
      const from = READY_FILES * READY_FILE_WORDS * 4 + words[of * READY_FILE_WORDS + 2]!;
      t.is(Buffer.compare(files.memory.subarray(from, from + size), contentOf(read, size)), 0);
      setState(files, of, ReadyState.sent);
      t.is(files.takeSent()?.nodeLow, read);
      queue = queue.slice(at + 1);
    }
  }
  t.true(offers > 300);
});
