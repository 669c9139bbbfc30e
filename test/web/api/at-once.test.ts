/** Tests that one requester does not take the places of others. */
import type { FastifyRequest } from 'fastify';
import test from 'ava';
import { asTardisError } from '../../../src/errors/index.js';
import { AtOnce } from '../../../src/web/api/index.js';

type Caller = Pick<FastifyRequest, 'visitor' | 'raw'>;

function stranger(remoteAddress: string): Caller {
  return { visitor: undefined, raw: { socket: { remoteAddress } } } as Caller;
}

function fill(atOnce: AtOnce, requested: Caller): number {
  for (let count = 0; ; count += 1) {
    try {
      atOnce.enter(requested);
    } catch {
      return count;
    }
  }
}

test('strangers are counted by address, and leave places to logins', (t) => {
  const atOnce = new AtOnce();
  t.is(fill(atOnce, stranger('192.0.2.1')), 192);
  t.is(fill(atOnce, stranger('192.0.2.1')), 0);
  t.is(fill(atOnce, stranger('2001:db8::1')), 192);
  t.is(fill(atOnce, stranger('2001:db8::2')), 0, 'an address of one block');
  t.is(fill(atOnce, stranger('192.0.2.2')), 128);
  const visitor = { client: 'me', account: '', rights: new Set<never>() };
  const login = { ...stranger('192.0.2.1'), visitor };
  t.is(fill(atOnce, login), 192);
});

interface Holder {
  waitingSinceMs: number | undefined;
  isEnded: boolean;
  leave: () => void;
  /** The code if there was no place for it. */
  code: string;
}

/** A clock, and a function that takes one of four places (two for each account) and returns what holds it. */
function lab() {
  const clock = { nowMs: 100_000 };
  const limits = { ofOne: 2, ofAll: 4, ofStrangers: 0, retrySeconds: 30, why: 'full' };
  const atOnce = new AtOnce(limits);
  const enter = (account: string): Holder => {
    const visitor = { client: 'me', account, rights: new Set<never>() };
    const holder: Holder = {
      waitingSinceMs: undefined,
      isEnded: false,
      leave: () => undefined,
      code: '',
    };
    try {
      holder.leave = atOnce.enter(
        { ...stranger('192.0.2.1'), visitor },
        {
          waitedMs: () => clock.nowMs - (holder.waitingSinceMs ?? clock.nowMs),
          end: () => {
            holder.isEnded = true;
          },
        },
      );
    } catch (error) {
      holder.code = asTardisError(error).code;
    }
    return holder;
  };
  return { clock, enter };
}

test('the one that has waited longest gives way, after some time', (t) => {
  const { clock, enter } = lab();
  const [first, second] = [enter('a'), enter('a')];
  first.waitingSinceMs = 96_000;
  second.waitingSinceMs = 95_000;
  t.is(enter('a').code, 'TOO_MANY_REQUESTS', 'both may still read');
  clock.nowMs = 105_000;
  t.is(enter('a').code, '');
  t.deepEqual([first.isEnded, second.isEnded], [false, true]);
  t.is(enter('a').code, 'TOO_MANY_REQUESTS', 'the first waits for less than that');
  first.waitingSinceMs = undefined;
  clock.nowMs = 200_000;
  t.is(enter('a').code, 'TOO_MANY_REQUESTS', 'one that reads stays');
  second.leave();
  t.is(enter('a').code, 'TOO_MANY_REQUESTS', 'its place was given away already');
  first.leave();
  t.is(enter('a').code, '');
});

test('a login that has its two ends none of others; if all places are taken, any gives way', (t) => {
  const { clock, enter } = lab();
  const others = [enter('b'), enter('b')];
  for (const other of others) other.waitingSinceMs = 0;
  t.deepEqual([enter('a').code, enter('a').code], ['', '']);
  t.is(enter('a').code, 'TOO_MANY_REQUESTS');
  t.is(enter('c').code, '');
  t.is(others.filter(({ isEnded }) => isEnded).length, 1);
  clock.nowMs = 0;
  t.is(enter('c').code, 'TOO_MANY_REQUESTS');
});
