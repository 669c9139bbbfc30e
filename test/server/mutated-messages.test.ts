// Pace: slow
/**
 * A server receives thousands of mutated messages of backups. It refuses a message with an error of the table other
 * than INTERNAL, or processes it as it is. It never crashes, and complete sets stay as they are. TEST_SEED chooses the
 * mutations, TEST_SHARE=1 makes all of them.
 */
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { InlineStorageHost, type StorageHost } from '../../src/server/index.js';
import { openClientDirectory } from '../../src/store/index.js';
import {
  decodeMessage,
  type MessageName,
  peekMessage,
  Purpose,
} from '../../src/transport/index.js';
import {
  backupInline,
  dumpHistory,
  inlineSystem,
  type Place,
  SMALL_STORE,
  tapped,
} from '../helpers/inline.js';
import { seededRandom } from '../support/seeded-random.js';
import { mutated } from '../helpers/mutate.js';
import { scratchInMemory, ownState } from '../helpers/scratch.js';
import { addTo, dir, file, makeTree, noise, symlink, text } from '../helpers/tree.js';
import { seed } from '../helpers/seed.js';
import { sweepShare } from '../helpers/share.js';

const KIB = 1 << 10;
/** Mutated messages for each kind of client. */
const FRAMES = Math.round(4000 * sweepShare);
ownState(test);

/** One of this many messages is mutated, so that most of the mutated ones meet a session in progress. */
const EVERY = 4;
/** Limits with which nothing is committed before the end of a set. */
const LARGE_STEPS = {
  ...SMALL_STORE,
  checkpoint: { bytes: 1 << 30, entries: 1 << 30, intervalMs: 3_600_000 },
};

interface Message {
  readonly name: MessageName;
  readonly bytes: Buffer;
}

/** Returns a wrapper of hosts that copies the messages of clients. */
const recording = (messages: Message[]): ((host: StorageHost) => StorageHost) =>
  tapped(() => ({
    message: (name, bytes) => void messages.push({ name, bytes: Buffer.from(bytes) }),
  }));

/** Records the messages of two backups of a tree, the second one after some changes. */
async function recorded(t: ExecutionContext, password?: string): Promise<[Place, Message[][]]> {
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  makeTree(source, [
    dir('a', [file('one', text(1, 900)), file('two', text(2, 700)), symlink('link', 'where')]),
    dir('b', [dir('c', [file('deep', 'deep')])]),
    file('middle', noise(3, 100 * KIB)),
    file('large', noise(4, 1200 * KIB)),
  ]);
  const place = { store, client: 'me' };
  const system = inlineSystem();
  const sessions: Message[][] = [[], []];
  const more = password === undefined ? {} : { password };
  const options = { storage: LARGE_STEPS, ...more };
  const first = { ...options, create: true, wrapHost: recording(sessions[0]!) };
  await backupInline(system, place, [source], first);
  addTo(source, file('new', text(5, 3000)));
  addTo(source, dir('d', [file('x', 'x')]));
  await backupInline(system, place, [source], { ...options, wrapHost: recording(sessions[1]!) });
  return [place, sessions];
}

/** Decodes a message as the dispatcher does; returns it, or the error that refuses it. */
function read(bytes: Buffer): Message | Error {
  try {
    const name = peekMessage(bytes, 'to-server');
    decodeMessage(name, bytes);
    return { name, bytes };
  } catch (error) {
    return error as Error;
  }
}

/** True if the error is meant for the peer, and is not a bug. */
function isReported(error: unknown): boolean {
  return error instanceof TardisError && error.code !== 'INTERNAL';
}

async function replay(
  t: ExecutionContext,
  place: Place,
  sessions: readonly Message[][],
): Promise<{ frames: number; refused: number }> {
  const system = inlineSystem();
  const host = new InlineStorageHost(system);
  const random = seededRandom(seed);
  let [frames, refused] = [0, 0];
  while (frames < FRAMES) {
    let failure: unknown;
    const directory = openClientDirectory(system, place);
    const handle = await host.open(directory, Purpose.backup, LARGE_STEPS, {
      answer: () => undefined,
      closing: () => undefined,
      failed: (error) => void (failure = error),
    });
    for (const { name, bytes } of sessions[Math.floor(random.next() * sessions.length)]!) {
      const isChanged = random.next() * EVERY < 1;
      // An unchanged end of a set would keep everything sent before it.
      if (name === 'closeSet' && !isChanged) break;
      frames += isChanged ? 1 : 0;
      const sent = isChanged ? read(mutated(bytes, random)) : { name, bytes: Buffer.from(bytes) };
      if (sent instanceof Error) {
        // The session has not seen the refused message, so it continues with the original one.
        failure = sent;
        refused += 1;
        if (isReported(sent)) failure = undefined;
        else break;
        handle.post(name, Buffer.from(bytes));
      } else handle.post(sent.name, sent.bytes);
      await new Promise((resolve) => setImmediate(resolve));
      if (failure !== undefined) break;
    }
    await handle.abandon();
    if (failure === undefined) continue;
    refused += 1;
    t.true(
      isReported(failure),
      `${frames} messages with seed ${seed}: ${(failure as Error).stack}`,
    );
    if (!isReported(failure)) break;
  }
  return { frames, refused };
}

for (const [what, password] of [
  ['that does not encrypt', undefined],
  ['that encrypts', 'a password of the tests'],
] as const) {
  test(`messages of a client ${what}, changed, do no harm`, async (t) => {
    const [place, sessions] = await recorded(t, password);
    t.true(sessions.every((messages) => messages.length > 4));
    const before = password === undefined ? await dumpHistory(place) : [];
    const { frames, refused } = await replay(t, place, sessions);
    t.log(`seed ${seed}: ${refused} of ${frames} messages refused`);
    t.true(refused > frames / 4, `${refused} of ${frames}`);
    if (password === undefined) {
      const after = await dumpHistory(place);
      t.deepEqual(after.slice(0, 1), before.slice(0, 1));
      // A mutated end of a set may be valid; then it may end versions of earlier sets.
      const withoutEnd = (line: string): string => line.replace(/\d*$/, '');
      const kept = new Set(after.map(withoutEnd));
      for (const line of before.filter((one) => /^[12] /.test(one))) {
        t.true(kept.has(withoutEnd(line)), line);
      }
    }
  });
}
