import test from 'ava';
import { TardisError } from '../../src/errors/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { ManualClock } from '../support/manual-clock.js';
import { Backoff, hungUp, type Retry } from '../../src/transport/index.js';

const LOST = new TardisError('CONNECTION_LOST', 'cut');

/** Returns the reported waits, without waiting for them. */
async function waits(forMs: number, seed: number): Promise<number[]> {
  const clock = new ManualClock(0);
  const reported: number[] = [];
  const ended = AbortSignal.abort(); // each wait ends at once
  const backoff = new Backoff({ clock, random: seededRandom(seed) }, { forMs }, ended);
  for (;;) {
    const report = ({ waitMs }: Retry): void => {
      reported.push(waitMs);
      clock.advance(waitMs);
    };
    try {
      await backoff.wait(LOST, report);
    } catch (error) {
      if (error === LOST) return reported;
      if ((error as TardisError).code !== 'INTERRUPTED') throw error;
    }
  }
}

test('waits grow to half a minute, differ from client to client, and end in time', async (t) => {
  const one = await waits(600_000, 1);
  t.true(one[0]! >= 250 && one[0]! <= 500, one.join());
  t.true(one.slice(0, -1).every((ms) => ms <= 30_000) && one.some((ms) => ms > 15_000), one.join());
  const sum = one.reduce((all, ms) => all + ms, 0);
  t.true(sum <= 600_000 && sum > 590_000, `${sum}`);
  t.notDeepEqual(one, await waits(600_000, 2));
  t.deepEqual(one, await waits(600_000, 1), 'a seed replays');
  t.deepEqual(await waits(0, 1), [], '0: not at all');
});

test('a server that names the seconds to wait is not tried before, nor if the time is over by then', async (t) => {
  const system = { clock: new ManualClock(0), random: seededRandom(1) };
  const ended = AbortSignal.abort();
  const backoff = new Backoff(system, { forMs: 60_000 }, ended);
  const after = (seconds: number) => new TardisError('TOO_MANY_ATTEMPTS', 'x', { seconds });
  t.true(Backoff.mayPassAtFirst(after(1)));
  let waited = 0;
  const waiting = backoff.wait(after(50), ({ waitMs }) => (waited = waitMs));
  await t.throwsAsync(waiting, { code: 'INTERRUPTED' });
  t.is(waited, 50_000);
  const late = after(61);
  t.is(await t.throwsAsync(backoff.wait(late, () => t.fail('it waits'))), late);
});

test('an unknown host may pass only if the user has set the time to wait', (t) => {
  const unknown = new TardisError('SERVER_UNREACHABLE', 'x', { cause: 'ENOTFOUND' });
  t.deepEqual(
    [false, true].map((isSet) => Backoff.mayPassAtFirst(unknown, isSet)),
    [false, true],
  );
});

test('what cannot pass is not waited for', async (t) => {
  const system = { clock: new ManualClock(0), random: seededRandom(1) };
  const backoff = new Backoff(system, { forMs: 1e9 }, undefined);
  for (const reason of [
    new TardisError('LOGIN_FAILED', 'x'),
    new TardisError('DISK_FULL', 'x'),
    new TardisError('PROTOCOL_VIOLATION', 'x'),
    new TardisError('SESSION_GONE', 'x'),
    hungUp(),
    new Error('a bug'),
  ]) {
    t.is(await t.throwsAsync(backoff.wait(reason, () => t.fail('it waits'))), reason);
  }
});

test('a wait ends at once when nobody needs it any more', async (t) => {
  const system = { clock: new ManualClock(0), random: seededRandom(1) };
  const over = new AbortController();
  const backoff = new Backoff(system, { forMs: 1e9, firstWaitMs: 1e6 }, over.signal);
  const waiting = backoff.wait(LOST, () => undefined);
  over.abort();
  await t.throwsAsync(waiting, { code: 'INTERRUPTED' });
});
