/** Limits on guesses at a password, and the peers that these limits hold up. */
import test from 'ava';
import { Attempts, DEFAULT_ATTEMPTS } from '../../src/server/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { thrownCode } from '../helpers/codes.js';

const { pair, address } = DEFAULT_ATTEMPTS;
const HERE = '10.0.0.1';
const ELSEWHERE = '10.0.0.2';

function attempts(): { clock: ManualClock; made: Attempts } {
  const clock = new ManualClock(0);
  return { clock, made: new Attempts(clock, DEFAULT_ATTEMPTS) };
}

const isHeldUp = (made: Attempts, client: string, from: string): boolean =>
  thrownCode(() => made.check(client, from)) === 'TOO_MANY_ATTEMPTS';

test('failures hold up that client at that address, and nobody else', (t) => {
  const { clock, made } = attempts();
  for (let count = 0; count < pair.burst; count += 1) {
    t.false(isHeldUp(made, 'a', HERE));
    made.failed('a', HERE);
  }
  t.true(isHeldUp(made, 'a', HERE));
  t.false(isHeldUp(made, 'a', ELSEWHERE), 'the owner, elsewhere');
  t.false(isHeldUp(made, 'b', HERE), 'another client, here');
  clock.advance(pair.refillMs + 1);
  t.false(isHeldUp(made, 'a', HERE), 'one more after a while');
  made.failed('a', HERE);
  t.true(isHeldUp(made, 'a', HERE));
});

test('a peer that tries many clients is held up at all of them, but not those who logged in before', (t) => {
  const { clock, made } = attempts();
  made.succeeded('mine', HERE);
  for (let count = 0; count < address.burst; count += 1) made.failed(`c${count}`, HERE);
  t.true(isHeldUp(made, 'yet another', HERE));
  t.false(isHeldUp(made, 'mine', HERE));
  t.false(isHeldUp(made, 'yet another', ELSEWHERE));
  clock.advance(address.refillMs + 1);
  t.false(isHeldUp(made, 'yet another', HERE));
});

test('guesses made at once are paid for afterwards', (t) => {
  const { clock, made } = attempts();
  for (let count = 0; count < 4 * pair.burst; count += 1) made.failed('a', HERE);
  clock.advance(pair.refillMs * 3 * pair.burst);
  t.true(isHeldUp(made, 'a', HERE));
  clock.advance(pair.refillMs + 1);
  t.false(isHeldUp(made, 'a', HERE));
});

test('a success forgives, and what is remembered is bounded', (t) => {
  const { made } = attempts();
  for (let count = 0; count < pair.burst; count += 1) made.failed('a', HERE);
  made.succeeded('a', HERE);
  t.false(isHeldUp(made, 'a', HERE));
  for (let count = 0; count < pair.burst; count += 1) made.failed('b', HERE);
  for (let count = 0; count < 5000; count += 1)
    made.failed('x', `10.1.${count >> 8}.${count & 255}`);
  t.false(isHeldUp(made, 'b', HERE), 'forgotten for newer ones');
});
