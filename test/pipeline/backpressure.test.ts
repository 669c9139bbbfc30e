// Pace: slow
/** A peer that answers late, never, or with a failure. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { Codec } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { Wanted } from '../../src/transport/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { FakePeer, type PeerCall } from '../helpers/fake-peer.js';
import { systemWith } from '../helpers/jobs.js';
import { contentOf, settle, startPipeline } from '../helpers/pipelines.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';

const { native } = nodeSystem();
const MIB = 1 << 20;
/** No compression, so that bytes of contents and bytes of records can be compared. */
const PLAIN = { compression: { codec: Codec.none, level: 1 } };

/** Writes files of noise into several directories. */
function makeTree(folder: string, directories: number, files: number, bytes: number): void {
  const random = seededRandom(directories + files);
  const noise = random.bytes(bytes + 4);
  for (let directory = 0; directory < directories; directory += 1) {
    const at = folderIn(folder, `directory ${directory}`);
    for (let file = 0; file < files; file += 1) {
      noise.writeInt32LE(directory * files + file, 0);
      fs.writeFileSync(path.join(at, `file ${file}`), noise.subarray(0, bytes));
    }
  }
}

/** Answers that wait until the test releases them, all at once or one by one. */
class Gate {
  isOpen = false;
  private readonly waiting: (() => void)[] = [];

  get waitingCount(): number {
    return this.waiting.length;
  }

  pass(): Promise<void> | void {
    if (this.isOpen) return undefined;
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  letOne(): void {
    this.waiting.shift()?.();
  }

  open(): void {
    this.isOpen = true;
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

/** Waits until no further call reaches the gate. */
async function untilQuiet(gate: Gate): Promise<void> {
  for (let seen = -1; seen !== gate.waitingCount; ) {
    seen = gate.waitingCount;
    await settle(20);
  }
}

test('what the server has not received never passes the budget', async (t) => {
  const folder = scratchInMemory(t);
  makeTree(folder, 10, 25, 8000); // 2 MB
  const peer = new FakePeer();
  const gate = new Gate();
  peer.beforeAnswer = (call) => (call === 'parcel' ? gate.pass() : undefined);
  const budgetBytes = MIB;
  const { pipeline, done } = startPipeline(folder, peer, { ...PLAIN, budgetBytes });
  let rounds = 0;
  const state = { isOver: false };
  void done.then(() => (state.isOver = true));
  while (!state.isOver) {
    await untilQuiet(gate);
    t.true(peer.unreceivedBytes <= budgetBytes);
    rounds += 1;
    gate.letOne();
    await settle(1);
  }
  gate.open();
  await done;
  await settle();
  t.true(peer.unreceivedPeak > budgetBytes / 2, `${peer.unreceivedPeak}: it is made use of`);
  t.true(peer.unreceivedPeak <= budgetBytes, `${peer.unreceivedPeak}`);
  t.true(pipeline.budget.bytes.usedPeak <= budgetBytes);
  t.true(rounds > 20, `${rounds}`);
  t.is(peer.contents.size, 250);
  t.is(pipeline.budget.bytes.used, 0);
});

test('the walk stops while the server stalls, and the backup completes when the server continues', async (t) => {
  const folder = scratchInMemory(t);
  makeTree(folder, 60, 150, 200); // 9000 files
  const peer = new FakePeer();
  const gate = new Gate();
  peer.beforeAnswer = (call) => (call === 'parcel' ? gate.pass() : undefined);
  const settings = { ...PLAIN, budgetBytes: 200_000, budgetItems: 500, parcelBytes: 10_000 };
  const { pipeline, done } = startPipeline(folder, peer, settings);
  await untilQuiet(gate);
  const { entries, isWalkDone } = pipeline.progress;
  const sent = peer.rows.size;
  t.false(isWalkDone);
  t.true(entries < 9000, `${entries} entries seen`);
  t.true(peer.unreceivedBytes <= settings.budgetBytes);
  await settle(500);
  t.is(pipeline.progress.entries, entries, 'the walk stands');
  t.is(peer.rows.size, sent);
  gate.open();
  await done;
  t.is(peer.rows.size, 9060);
  t.is(peer.contents.size, 9000);
  t.is(peer.finished.size, 61);
  t.deepEqual([pipeline.budget.bytes.used, pipeline.budget.items.used], [0, 0]);
});

test('a huge directory of empty files is sent as the budget allows', async (t) => {
  const folder = scratchInMemory(t);
  for (let file = 0; file < 12_000; file += 1) fs.writeFileSync(path.join(folder, `${file}`), '');
  const peer = new FakePeer();
  const gate = new Gate();
  peer.beforeAnswer = (call) => (call === 'parcel' ? gate.pass() : undefined);
  // The rows take the memory, about 80 bytes for each file.
  const { pipeline, done } = startPipeline(folder, peer, { ...PLAIN, budgetBytes: 400_000 });
  await untilQuiet(gate);
  t.true(peer.rows.size > 0 && peer.rows.size < 8000, `${peer.rows.size} rows sent`);
  t.true(pipeline.budget.bytes.used <= 400_000);
  gate.open();
  await done;
  t.is(peer.rows.size, 12_000);
  await settle();
  t.deepEqual([pipeline.budget.bytes.used, pipeline.budget.items.used], [0, 0]);
});

test('the smallest budgets are enough for any tree', async (t) => {
  const folder = scratchInMemory(t);
  makeTree(folder, 3, 400, 100);
  fs.writeFileSync(path.join(folder, 'large'), seededRandom(4).bytes(3 * MIB));
  fs.writeFileSync(path.join(folder, 'larger than a parcel'), seededRandom(5).bytes(MIB));
  for (let depth = 0, at = folder; depth < 150; depth += 1) {
    at = path.join(at, 'deep');
    fs.mkdirSync(at);
  }
  for (const isEmpty of [true, false]) {
    const peer = new FakePeer(isEmpty);
    const settings = { budgetBytes: MIB, budgetItems: 64, parcelFiles: 4096 };
    const { pipeline, done } = startPipeline(folder, peer, settings);
    await done;
    t.is(peer.rows.size, 3 + 1200 + 2 + 150);
    t.is(peer.contents.size, 1202);
    t.deepEqual([pipeline.budget.bytes.used, pipeline.budget.items.used], [0, 0]);
  }
});

test('large files wait for the server chunk by chunk', async (t) => {
  const folder = scratchInMemory(t);
  for (const name of ['a', 'b', 'c']) {
    fs.writeFileSync(path.join(folder, name), Buffer.alloc(12 * MIB, name));
  }
  const peer = new FakePeer();
  const gate = new Gate();
  peer.beforeAnswer = (call) => (call === 'chunk' ? gate.pass() : undefined);
  const { pipeline, done } = startPipeline(folder, peer, { ...PLAIN, budgetBytes: 6 * MIB });
  await untilQuiet(gate);
  t.true(peer.openChunks > 0);
  t.true(peer.openChunks <= 6, `${peer.openChunks} chunks of 1 MiB`);
  const before = pipeline.progress.sentBytes;
  await settle(300);
  t.is(pipeline.progress.sentBytes, before);
  gate.open();
  await done;
  t.true(peer.openChunksPeak <= 6, `${peer.openChunksPeak}`);
  for (const name of ['a', 'b', 'c']) {
    t.true(contentOf(peer, `/${name}`)?.equals(Buffer.alloc(12 * MIB, name)));
  }
});

test('files that have grown since they were listed do not wait for what they hold themselves', async (t) => {
  const folder = scratchInMemory(t);
  makeTree(folder, 1, 40, 1000);
  const directory = path.join(folder, 'directory 0');
  const grown = Buffer.alloc(3 * MIB, 'grown');
  const system = systemWith({
    listOrHold: (at) => {
      const rows = native.listDirectory(at);
      if (at.toString() === directory) {
        for (let file = 0; file < 40; file += 8) {
          fs.writeFileSync(path.join(directory, `file ${file}`), grown);
        }
      }
      return rows;
    },
  });
  for (const isEmpty of [true, false]) {
    const peer = new FakePeer(isEmpty);
    const { pipeline, done } = startPipeline(folder, peer, {
      system,
      budgetBytes: MIB,
      parcelFiles: 5,
    });
    await done;
    t.is(peer.rows.size, 41);
    t.true(contentOf(peer, '/directory 0/file 0')?.equals(grown));
    t.deepEqual([pipeline.budget.bytes.used, pipeline.budget.items.used], [0, 0]);
    t.is(peer.finished.size, 2);
    makeGrownSmall(directory);
  }
});

/** Truncates the files to their first size, so that they can grow again. */
function makeGrownSmall(directory: string): void {
  for (let file = 0; file < 40; file += 8) {
    fs.writeFileSync(path.join(directory, `file ${file}`), Buffer.alloc(1000, file));
  }
}

/** Makes a tree with which every call of the peer occurs many times. */
function treeForFailures(t: ExecutionContext): string {
  const folder = scratchInMemory(t);
  makeTree(folder, 12, 40, 500);
  for (const name of ['a', 'b']) {
    fs.writeFileSync(path.join(folder, name), Buffer.alloc(5 * MIB, name));
  }
  return folder;
}

const CALLS: PeerCall[] = ['heads', 'listing', 'digests', 'parcel', 'chunk', 'end'];

for (const failing of CALLS) {
  test(`a failure of "${failing}" ends the backup with its reason, whenever it comes`, async (t) => {
    const folder = treeForFailures(t);
    const countCalls = async (at: number): Promise<{ calls: number; code: string | undefined }> => {
      const peer = new FakePeer(false);
      peer.verdictOf = (file) => (file === '/a' ? Wanted.hashFirst : Wanted.yes);
      let calls = 0;
      let isLost = false;
      peer.beforeAnswer = (call) => {
        if (call === failing) calls += 1;
        if (calls === at && call === failing) isLost = true;
        // As on a real connection, everything fails after the first failure.
        if (isLost) throw new TardisError('CONNECTION_LOST', `${call} failed`);
      };
      const settings = { budgetBytes: MIB, budgetItems: 64, parcelFiles: 10 };
      const { done } = startPipeline(folder, peer, settings);
      const code = await rejectedCode(done);
      return { calls, code };
    };
    const { calls, code } = await countCalls(0);
    t.is(code, undefined);
    t.true(calls > 0, `${calls} calls`);
    for (const at of new Set([1, Math.ceil(calls / 2), calls])) {
      const result = await countCalls(at);
      t.is(result.code, 'CONNECTION_LOST', `the call number ${at} of ${calls}`);
    }
  });
}

test('a failure while everything waits lets nothing hang', async (t) => {
  const folder = treeForFailures(t);
  const peer = new FakePeer();
  let fail: (error: Error) => void = () => undefined;
  const failure = new Promise<void>((_resolve, reject) => {
    fail = reject;
  });
  failure.catch(() => undefined);
  peer.beforeAnswer = (call) => (['parcel', 'chunk', 'end'].includes(call) ? failure : undefined);
  const settings = { budgetBytes: MIB, budgetItems: 64, parcelFiles: 10 };
  const { done } = startPipeline(folder, peer, settings);
  await settle(1000);
  fail(new TardisError('SERVER_STOPPING', 'the server stops'));
  t.is(await rejectedCode(done), 'SERVER_STOPPING');
});

test('a bug in a job ends the backup', async (t) => {
  const folder = treeForFailures(t);
  let calls = 0;
  const system = systemWith({
    readFileAt: (...values) => {
      calls += 1;
      if (calls === 100) throw new TypeError('a bug');
      return native.readFileAt(...values);
    },
  });
  const { done } = startPipeline(folder, new FakePeer(), { system });
  t.is(await rejectedCode(done), 'INTERNAL');
});
