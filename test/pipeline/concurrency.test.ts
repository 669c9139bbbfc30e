/** The concurrency of each stage is that of its setting, and what waits for its turn goes on. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { ContentKeys } from '../../src/model/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { rejectedCode } from '../helpers/codes.js';
import { FakePeer, type PeerCall } from '../helpers/fake-peer.js';
import { systemWith } from '../helpers/jobs.js';
import { settle, startPipeline } from '../helpers/pipelines.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { noise } from '../helpers/tree.js';

const MIB = 1 << 20;

/** Writes directories of small files, all of which differ. */
function makeTree(folder: string, directories: number, files: number): void {
  for (let directory = 0; directory < directories; directory += 1) {
    const at = folderIn(folder, `directory ${directory}`);
    for (let file = 0; file < files; file += 1) {
      fs.writeFileSync(path.join(at, `${file}`), `${directory}/${file}`);
    }
  }
}

/** A peer that holds back its answers to one kind of call, and counts them. */
class HeldPeer extends FakePeer {
  most = 0;
  private held: (() => void)[] = [];
  private isOpen = false;

  constructor(isEmpty: boolean, call: PeerCall) {
    super(isEmpty);
    this.beforeAnswer = (made) => (made === call ? this.hold() : undefined);
  }

  /** Lets all answers go one by one, as soon as no further call comes. */
  async letGo(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      for (let seen = -1; seen !== this.held.length; ) {
        seen = this.held.length;
        await settle(20);
      }
      this.held.shift()?.();
    }
    this.isOpen = true;
  }

  private hold(): Promise<void> | void {
    if (this.isOpen) return undefined;
    return new Promise((resolve) => {
      this.held.push(resolve);
      this.most = Math.max(this.most, this.held.length);
    });
  }
}

for (const compareConcurrency of [1, 2, 64]) {
  test(`at most ${compareConcurrency} batches are compared at once`, async (t) => {
    const folder = scratchInMemory(t);
    makeTree(folder, 1000, 3);
    const peer = new HeldPeer(false, 'heads');
    peer.isSame = () => true;
    const settings = { compareConcurrency, budgetItems: 1 << 20 };
    const { done } = startPipeline(folder, peer, settings);
    const state = { isOver: false };
    void done.then(() => (state.isOver = true));
    await peer.letGo(() => state.isOver);
    await done;
    t.is(peer.paths.size, 1001);
    if (compareConcurrency < 64) t.is(peer.most, compareConcurrency);
    else t.true(peer.most > 2 && peer.most <= 64, `${peer.most}`);
  });
}

for (const sendConcurrency of [1, 3, 64]) {
  test(`at most ${sendConcurrency} parcels are sent but not received`, async (t) => {
    const folder = scratchInMemory(t);
    makeTree(folder, 4, 10);
    const peer = new HeldPeer(true, 'parcel');
    const { done } = startPipeline(folder, peer, { sendConcurrency, parcelFiles: 2 });
    const state = { isOver: false };
    void done.then(() => (state.isOver = true));
    await peer.letGo(() => state.isOver);
    await done;
    t.is(peer.rows.size, 44);
    t.is(peer.finished.size, 5);
    if (sendConcurrency < 64) t.is(peer.most, sendConcurrency);
    else t.true(peer.most > 3, `${peer.most}`);
  });
}

for (const largeConcurrency of [1, 3]) {
  test(`at most ${largeConcurrency} large files are under way`, async (t) => {
    const folder = scratchInMemory(t);
    for (let file = 0; file < 6; file += 1) {
      fs.writeFileSync(path.join(folder, `${file}`), noise(file, MIB + 1));
    }
    const peer = new HeldPeer(true, 'parcel');
    const { done, pipeline } = startPipeline(folder, peer, {
      largeConcurrency,
      streamConcurrency: 1,
      budgetBytes: 64 * MIB,
    });
    const state = { isOver: false };
    void done.then(() => (state.isOver = true));
    await peer.letGo(() => state.isOver);
    await done;
    t.is(peer.rows.size, 6);
    t.is(peer.most, largeConcurrency);
    const large = pipeline.figures().find(({ name }) => name === 'large');
    t.like(large, { concurrency: largeConcurrency, items: 6, bytes: 6 * (MIB + 1) });
  });
}

test('several walks that wait for the budget at once all go on', async (t) => {
  const folder = scratchInMemory(t);
  makeTree(folder, 256, 10); // four jobs of 64 directories, each larger than the budget
  const peer = new FakePeer();
  const settings = { walkConcurrency: 4, budgetItems: 64, parcelFiles: 4096, parcelBytes: MIB };
  const { done, pipeline } = startPipeline(folder, peer, settings);
  await done;
  t.is(peer.rows.size, 256 * 11);
  t.is(pipeline.budget.items.used, 0);
});

test('a plain record of a client that encrypts is not sent', async (t) => {
  const folder = scratchInMemory(t);
  makeTree(folder, 1, 3);
  const peer = new FakePeer();
  const { native } = nodeSystem();
  const key = Buffer.alloc(32);
  const keys: ContentKeys = { scheme: 2, epoch: 0, contents: [{ epoch: 0, key }], digests: key };
  const system = systemWith({
    readFileAt: (...values) => {
      peer.contentKeys = keys; // the job has begun without them
      return native.readFileAt(...values);
    },
  });
  const { done } = startPipeline(folder, peer, { system });
  t.is(await rejectedCode(done), 'INTERNAL');
  t.is(peer.contents.size, 0);
});
