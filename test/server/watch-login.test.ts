/** A session ends when its login holds no longer, or when that cannot be found out in time. */
import test from 'ava';
import { asTardisError, TardisError } from '../../src/errors/index.js';
import { watchLogin } from '../../src/server/index.js';
import { pause, until } from '../helpers/until.js';

const TIMES = { everyMs: 5, longestMs: 50 };

/** Returns the code with which the watch ends a session whose looks are these. */
function codeOf(look: (count: number) => Promise<void>): Promise<string> {
  let count = 0;
  return new Promise((resolve) => {
    const alive = setInterval(() => undefined, 1000); // the timer of the watch keeps no process alive
    const stop = watchLogin(
      () => look((count += 1)),
      (error) => {
        stop();
        clearInterval(alive);
        resolve(asTardisError(error).code);
      },
      TIMES,
    );
  });
}

test('a look that fails ends the session with its error, and those before it do not', async (t) => {
  let looks = 0;
  const code = await codeOf(async (count) => {
    looks = count;
    if (count === 4) throw new TardisError('NO_SUCH_ACCOUNT', 'it is gone');
  });
  t.deepEqual([code, looks], ['NO_SUCH_ACCOUNT', 4]);
});

test('a look without an end ends the session, and no second one begins meanwhile', async (t) => {
  let looks = 0;
  const code = await codeOf((count) => {
    looks = count;
    return count === 1 ? Promise.resolve() : new Promise(() => undefined);
  });
  t.deepEqual([code, looks], ['STORE_AWAY', 2]);
});

test('a session is ended once, although ending it takes time', async (t) => {
  const ends: string[] = [];
  const watch = (look: () => Promise<void>) =>
    watchLogin(look, (error) => ends.push(asTardisError(error).code), { everyMs: 1, longestMs: 5 });
  const stops = [
    watch(() => new Promise(() => undefined)),
    watch(() => Promise.reject(new TardisError('NO_SUCH_ACCOUNT', 'it is gone'))),
  ];
  await until(() => ends.length >= 2);
  await pause(50); // a second end would come without any event before it
  for (const stop of stops) stop();
  t.deepEqual(ends, ['NO_SUCH_ACCOUNT', 'STORE_AWAY']);
});
