/** Tests that one requester does not take the places of others. */
import type { FastifyRequest } from 'fastify';
import test from 'ava';
import { AtOnce } from '../../../src/web/api/index.js';

type Asked = Pick<FastifyRequest, 'visitor' | 'raw'>;

function stranger(remoteAddress: string): Asked {
  return { visitor: undefined, raw: { socket: { remoteAddress } } } as Asked;
}

function fill(atOnce: AtOnce, asked: Asked): number {
  for (let count = 0; ; count += 1) {
    try {
      atOnce.enter(asked);
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
