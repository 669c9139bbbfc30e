/** Archives at once: one that its reader has left gives way. */
import { EventEmitter } from 'node:events';
import test from 'ava';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asTardisError } from '../../../src/errors/index.js';
import { ArchivePlaces, type ArchiveStream } from '../../../src/web/archive/index.js';

class Answer extends EventEmitter {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
  }
}

/** Places, and a function that takes one and returns the answer and its stream; the code if that is refused. */
function lab() {
  const clock = { nowMs: 100_000 };
  const places = new ArchivePlaces(() => clock.nowMs);
  const enter = (account: string) => {
    const raw = new Answer();
    const stream = { waitingSinceMs: undefined as number | undefined };
    const request = { visitor: { client: 'me', account } } as unknown as FastifyRequest;
    const reply = { raw } as unknown as FastifyReply;
    try {
      places.enter({ request, reply }).stream = stream as unknown as ArchiveStream;
      return { raw, stream, code: '' };
    } catch (error) {
      return { raw, stream, code: asTardisError(error).code };
    }
  };
  return { clock, enter };
}

test('the one that has waited longest gives way, after some time', (t) => {
  const { clock, enter } = lab();
  const [first, second] = [enter('a'), enter('a')];
  first.stream.waitingSinceMs = 96_000;
  second.stream.waitingSinceMs = 95_000;
  t.is(enter('a').code, 'TOO_MANY_REQUESTS', 'both may still read');
  clock.nowMs = 105_000;
  t.is(enter('a').code, '');
  t.deepEqual([first.raw.destroyed, second.raw.destroyed], [false, true]);
  t.is(enter('a').code, 'TOO_MANY_REQUESTS', 'the first waits for less than that');
  first.stream.waitingSinceMs = undefined;
  clock.nowMs = 200_000;
  t.is(enter('a').code, 'TOO_MANY_REQUESTS', 'one that reads stays');
  second.raw.emit('close');
  t.is(enter('a').code, 'TOO_MANY_REQUESTS', 'its place was given away already');
  first.raw.emit('close');
  t.is(enter('a').code, '');
});

test('a login that has its two ends none of others; if all places are taken, any gives way', (t) => {
  const { clock, enter } = lab();
  const others = [enter('b'), enter('b')];
  for (const { stream } of others) stream.waitingSinceMs = 0;
  t.deepEqual([enter('a').code, enter('a').code], ['', '']);
  t.is(enter('a').code, 'TOO_MANY_REQUESTS');
  t.is(enter('c').code, '');
  t.is(others.filter(({ raw }) => raw.destroyed).length, 1);
  clock.nowMs = 0;
  t.is(enter('c').code, 'TOO_MANY_REQUESTS');
});
