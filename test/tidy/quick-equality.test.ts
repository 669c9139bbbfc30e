/** Equal values are found equal at once, and no others. */
import test from 'ava';

const script = new URL('../../../scripts/quick-equality.mjs', import.meta.url).href;
const { areSame } = (await import(script)) as {
  areSame: (one: unknown, other: unknown) => boolean;
};

/** Two values of each kind that are equal. */
const pair = () => [
  [1, 'a', null, undefined, Number.NaN],
  Buffer.from('bytes'),
  { a: [{ b: Buffer.from('c') }], d: undefined },
  new Map([['a', { b: 1 }]]),
];

test('values that are equal in all parts are the same', (t) => {
  const others = pair();
  for (const [at, one] of pair().entries()) t.true(areSame(one, others[at]), String(at));
});

test('values that differ anywhere, or are of other kinds, are left to ava', (t) => {
  const [circle, other]: [unknown[], unknown[]] = [[], []];
  circle.push(circle);
  other.push(other);
  for (const [left, right] of [
    [0, -0],
    [Buffer.from('a'), Buffer.from('b')],
    [Buffer.from('a'), new Uint8Array(Buffer.from('a'))],
    [[undefined], Array.from({ length: 1 })[0]],
    [{ a: 1 }, { a: 1, b: undefined }],
    [
      { a: 1, b: undefined },
      { a: 1, c: undefined },
    ],
    [new Map(Object.entries({ a: 1, b: 2 })), new Map(Object.entries({ b: 2, a: 1 }))],
    [new Set([1]), new Set([1])],
    [new Error('a'), new Error('a')],
    [circle, other],
  ]) {
    t.false(areSame(left, right));
  }
});

test('ava compares the values of each test this way', async (t) => {
  const large = (): Buffer => Buffer.alloc(64 << 20, 1);
  t.deepEqual(large(), large()); // part by part it would take half a minute
  const tried = await t.try((inner) => inner.deepEqual(Buffer.from('a'), Buffer.from('b')));
  tried.discard();
  t.false(tried.passed);
});
