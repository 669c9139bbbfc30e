/** Channels to threads: messages both ways, and what a caller learns of a thread that ends. */
import test from 'ava';
import { type Channel, Thread } from '../../src/system/index.js';

interface Doubling extends Channel {
  readonly data: { readonly times: number };
  readonly toThread: number | 'end' | 'throw';
  readonly fromThread: number;
}

const DOUBLING = `
  import { parentPort, workerData } from 'node:worker_threads';
  parentPort.on('message', (message) => {
    if (message === 'end') parentPort.close();
    else if (message === 'throw') throw new RangeError('it cannot go on');
    else parentPort.postMessage(message * workerData.times);
  });`;

function start(receive: (message: number) => void): Thread<Doubling> {
  const entry = new URL(`data:text/javascript,${encodeURIComponent(DOUBLING)}`);
  return new Thread<Doubling>({ entry, name: 'doubling', data: { times: 2 } }, receive);
}

test('a thread gets its data and messages, answers, and ends', async (t) => {
  const got: number[] = [];
  const thread = start((message) => got.push(message));
  for (const message of [1, 2, 3, 'end'] as const) thread.send(message);
  const error = await thread.exited;
  t.deepEqual(got, [2, 4, 6]);
  t.is(error.code, 'INTERNAL');
  t.regex(error.message, /doubling thread has ended/);
  t.notThrows(() => thread.send(4), 'to nobody');
});

test('a thread that dies gives the reason', async (t) => {
  const thread = start(() => undefined);
  thread.send('throw');
  const error = await thread.exited;
  t.is(error.code, 'INTERNAL');
  t.regex(error.message, /it cannot go on/);
});

test('a thread that does not end by itself is terminated', async (t) => {
  const thread = start(() => undefined);
  await thread.terminate();
  t.is((await thread.exited).code, 'INTERNAL');
});
