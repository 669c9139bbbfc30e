import test from 'ava';
import * as fc from 'fast-check';
import { atOnce, Credit } from '../../src/system/index.js';

/** Waits until the callbacks of settled promises have run. */
async function settle(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

test('what fits is given at once, the rest in the order it was requested', async (t) => {
  const credit = new Credit(10);
  const granted: number[] = [];
  const take = (amount: number, number: number): void => {
    const promise = credit.take(amount);
    if (promise === undefined) granted.push(number);
    else void promise.then(() => granted.push(number));
  };
  take(6, 1);
  take(4, 2);
  take(3, 3);
  take(1, 4); // would fit sooner than the third, but waits for its turn
  await settle();
  t.deepEqual([granted, credit.used], [[1, 2], 10]);
  credit.give(1);
  await settle();
  t.deepEqual([granted, credit.used], [[1, 2], 9]);
  credit.give(3);
  await settle();
  t.deepEqual([granted, credit.used], [[1, 2, 3, 4], 10]);
  t.is(credit.usedPeak, 10);
});

test('more than there is at all is given alone', async (t) => {
  const credit = new Credit(10);
  t.is(credit.take(3), undefined);
  let hasAll = false;
  const all = credit.take(50)!.then(() => {
    hasAll = true;
  });
  const next = credit.take(1);
  t.not(next, undefined, 'nothing overtakes it');
  await settle();
  t.false(hasAll);
  credit.give(3);
  await all;
  t.is(credit.used, 50);
  credit.give(50);
  await next;
  t.is(credit.used, 1);
  t.is(credit.usedPeak, 50);
  t.is(new Credit(0).take(5), undefined, 'also when there is nothing');
});

test('after a failure nobody waits, now or later', async (t) => {
  const credit = new Credit(2);
  const reason = new Error('the peer is gone');
  t.is(credit.take(2), undefined);
  const waiting = [credit.take(1), credit.take(7)].map((promise) => t.throwsAsync(promise!));
  credit.fail(reason);
  credit.fail(new Error('a second reason'));
  for (const error of await Promise.all(waiting)) t.is(error, reason);
  t.is(await t.throwsAsync(credit.take(0)!), reason);
  t.notThrows(() => credit.give(2));
  t.is(await t.throwsAsync(credit.take(1)!), reason);
});

test('the limit holds, the order is kept and nothing is forgotten, whatever comes', async (t) => {
  const step = fc.oneof(
    fc.record({ take: fc.integer({ min: 0, max: 15 }) }),
    fc.record({ give: fc.nat() }),
  );
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 20 }), fc.array(step), async (limit, steps) => {
      const credit = new Credit(limit);
      const granted: number[] = [];
      const held: number[] = [];
      let requested = 0;
      for (const one of steps) {
        if ('take' in one) {
          const number = requested;
          requested += 1;
          const onGrant = (): void => {
            granted.push(number);
            held.push(one.take);
          };
          const promise = credit.take(one.take);
          if (promise === undefined) onGrant();
          else void promise.then(onGrant);
        } else if (held.length > 0) {
          credit.give(held.splice(one.give % held.length, 1)[0]!);
        }
        await settle();
        const out = held.reduce((sum, amount) => sum + amount, 0);
        t.is(credit.used, out);
        t.true(out <= limit || held.filter((amount) => amount > 0).length === 1);
      }
      while (held.length > 0) {
        credit.give(held.shift()!);
        await settle();
      }
      t.deepEqual(
        granted,
        Array.from({ length: requested }, (_, number) => number),
      );
      t.is(credit.used, 0);
    }),
    { numRuns: 100 },
  );
});

test('at most so many calls run at once, and none begins after a failure', async (t) => {
  let [running, most, begun] = [0, 0, 0];
  const work = async (item: number): Promise<void> => {
    begun += 1;
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    if (item === 10) throw new Error('item 10');
  };
  const items = async function* () {
    for (let item = 0; item < 100; item += 1) yield item;
  };
  await t.throwsAsync(atOnce(items(), 4, work), { message: 'item 10' });
  t.is(most, 4);
  t.is(running, 0);
  t.true(begun < 20);
});
