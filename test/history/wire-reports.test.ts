/** Reports as messages: decoding returns what was encoded, and inconsistent messages are refused. */
import test from 'ava';
import {
  CHANGES,
  FIGURES,
  FIRST_PLACE,
  setRootsFromWire,
  setRootsToWire,
  STORE_FIGURES,
  type StoreFigures,
} from '../../src/history/index.js';

const path = (text: string): Buffer => Buffer.from(text);
const VIOLATION = { code: 'PROTOCOL_VIOLATION' };

test('roots of many sets come in pages, each path once in a page', (t) => {
  const all = new Map<number, Buffer[]>();
  for (let set = 1; set <= 400; set += 1) {
    all.set(set, [path('/home'), path(set % 2 === 0 ? '/even' : '/odd')]);
  }
  for (const most of [
    { roots: 1, bytes: 1 << 20 },
    { roots: 101, bytes: 1 << 20 },
    { roots: 1 << 20, bytes: 4 },
    { roots: 1 << 20, bytes: 1 << 20 },
  ]) {
    const reported = new Map<number, Buffer[]>();
    let pages = 0;
    for (let from: number | undefined = 1; from !== undefined; pages += 1) {
      const page = setRootsToWire(all, from, most);
      t.true(page.paths.length <= 3);
      from = setRootsFromWire(page, from, reported);
    }
    t.deepEqual(reported, all);
    t.is(pages > 1, most.roots < 800 || most.bytes < 100);
  }
});

test('roots that do not add up are refused', (t) => {
  const right = { paths: [path('/a')], sets: [3, 4], roots: [0, 0], more: false };
  t.is(setRootsFromWire(right, 3, new Map()), undefined);
  t.is(setRootsFromWire({ ...right, more: true }, 3, new Map()), 5);
  for (const wrong of [
    { ...right, sets: [3] },
    { ...right, roots: [0, 1] },
    { ...right, sets: [4, 3] },
    { ...right, sets: [1, 4] },
    { ...right, paths: [path('a')] },
    { ...right, paths: [path('/a\0')] },
    { paths: [], sets: [], roots: [], more: true }, // an empty page that announces more would never end
  ]) {
    t.throws(() => setRootsFromWire(wrong, 3, new Map()), VIOLATION);
  }
});

test('figures come back as they are, and are refused when one is missing, or more are named than may be', (t) => {
  const numbers = Object.fromEntries(STORE_FIGURES.map((name, index) => [name, index]));
  const figures = {
    numbers: numbers as StoreFigures['numbers'],
    busiest: [{ directory: 7, versions: 2, bytes: 900 }],
  };
  const reported = FIGURES.toWire(figures, undefined);
  t.deepEqual(FIGURES.fromWire(reported, undefined), figures);
  const { packs: _, ...fewer } = reported.numbers;
  for (const wrong of [
    { ...reported, numbers: fewer },
    { ...reported, busiest: Array(11).fill(figures.busiest[0]) },
  ]) {
    t.throws(() => FIGURES.fromWire(wrong, undefined), VIOLATION);
  }
});

test('a page of changes shows where to go on, or that it was the last', (t) => {
  const next = { directory: 12, name: path('name') };
  const request = { after: FIRST_PLACE };
  const reported = CHANGES.toWire({ entries: [], next }, request);
  t.deepEqual(CHANGES.fromWire(reported, request), { entries: [], next });
  const last = CHANGES.toWire({ entries: [], next: undefined }, request);
  t.deepEqual(CHANGES.fromWire(last, request), { entries: [], next: undefined });
  t.throws(() => CHANGES.fromWire({ ...reported, numbers: [1, 2, 3] }, request), VIOLATION);
});
