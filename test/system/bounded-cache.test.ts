/** A cache of limited weight. */
import test from 'ava';
import { BoundedCache } from '../../src/system/index.js';

test('the values used longest ago are evicted, and those looked at do not count as used', (t) => {
  const gone: [string, number][] = [];
  const cache = new BoundedCache<string, number>(3, (value, key) => gone.push([key, value]));
  for (const [at, key] of ['a', 'b', 'c'].entries()) cache.set(key, at);
  t.is(cache.get('a'), 0);
  t.is(cache.peek('b'), 1);
  cache.set('d', 3);
  t.deepEqual(gone, [['b', 1]]);
  cache.set('c', 4);
  cache.set('e', 5);
  t.deepEqual([...cache.keys()], ['d', 'c', 'e'], 'a replaced value is new');
  t.is(gone.length, 2, 'a replaced value is not evicted');
});

test('weights bound the cache; the newest value stays, and so do those without weight', (t) => {
  const cache = new BoundedCache<string, string>(10);
  cache.set('pending', '', 0);
  cache.set('one', '1', 6);
  cache.set('two', '2', 6);
  t.deepEqual([...cache.keys()], ['pending', 'two']);
  cache.set('huge', '3', 99);
  t.deepEqual([...cache.keys()], ['pending', 'huge']);
  cache.delete('huge');
  cache.set('three', '4', 10);
  t.true(cache.has('three'), 'a deleted value weighs nothing');
  t.deepEqual(cache.clear(), ['', '4']);
  cache.set('four', '5', 10);
  t.true(cache.has('four'), 'an empty cache weighs nothing');
});

test('spent values are evicted first, unless they were replaced since', (t) => {
  const cache = new BoundedCache<string, number>(2);
  cache.noteSpent('a');
  cache.set('a', 1);
  cache.set('b', 2);
  cache.noteSpent('b');
  cache.set('c', 3);
  t.deepEqual([...cache.keys()], ['a', 'c']);
  cache.noteSpent('c');
  cache.set('c', 4);
  cache.set('d', 5);
  t.deepEqual([...cache.keys()], ['c', 'd']);
});
