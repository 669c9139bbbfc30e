/** Records of runs: what is taken from an untrusted line, how words are cut and shown, and which record of a run counts. */
import test from 'ava';
import {
  distinctRuns,
  encodeRun,
  encodeWords,
  parseRun,
  type RunRecord,
  runFacts,
  wordsOf,
} from '../../src/model/index.js';
import { aRun } from '../helpers/runs.js';

test('a line that is no record is refused, and what a record has too much or wrong is dropped', (t) => {
  const run = aRun({
    words: '{"message":"no"}',
    configured: ['AAAAAAAAAAAA'],
    numbers: { set: 3 },
  });
  t.deepEqual(parseRun(encodeRun(run)), run);
  const wrong: readonly Record<string, unknown>[] = [
    { id: 'FEED' },
    { kind: 'party' },
    { way: undefined },
    { end: 1 },
    { beganMs: -1 },
    { endedMs: 2 ** 53 },
    { by: 'a\u001b[2J' },
    { machine: 'x'.repeat(256) },
  ];
  for (const change of wrong) {
    t.is(parseRun(JSON.stringify({ ...run, ...change })), undefined, JSON.stringify(change));
  }
  const more = {
    account: '\u2028',
    code: 'no code',
    isWhole: 'yes',
    words: 'x'.repeat(9001),
    other: 1,
    configured: ['../etc', 'AAAAAAAAAAAA', 7],
    numbers: { set: 3, files: 0.5, bytes: -1, __proto__x: 1, other: 5 },
  };
  const { words: _words, isWhole: _isWhole, ...rest } = run;
  t.deepEqual(parseRun(JSON.stringify({ ...run, ...more })), rest);
});

test('words are cut so that they fit even if they are sealed, and are shown without control characters', (t) => {
  for (const letter of ['x', '…', '"', '\\']) {
    const roots = Array.from({ length: 300 }, (_, n) => `/${letter.repeat(40)}${n}`);
    const words = encodeWords({ roots, message: letter.repeat(9000) })!;
    const sealedChars = 1 + Math.ceil(((Buffer.byteLength(words) + 16) * 4) / 3);
    t.true(sealedChars <= 9000, `${letter}: ${sealedChars}`);
    t.truthy(parseRun(encodeRun(aRun({ words: `~${'A'.repeat(sealedChars - 1)}` })))?.words);
    t.is(wordsOf({ words }).message?.length, 500);
  }
  const shown = wordsOf({ words: JSON.stringify({ message: 'a\u001b[2Jb\nc', roots: [1, '/a'] }) });
  t.notRegex(shown.message!, /\p{Cc}/u);
  t.deepEqual(shown.roots, ['/a']);
});

const cases: readonly [string, readonly Partial<RunRecord>[], number][] = [
  [
    'the run itself counts before its server',
    [{ way: 'server', end: 'failed' }, { end: 'cut' }],
    1,
  ],
  ['a server does not change it', [{ end: 'done' }, { way: 'server', end: 'failed' }], 0],
  ['one that knows its end counts before one that was cut', [{ end: 'cut' }, { end: 'done' }], 1],
  ['a complete run does not fail later', [{ end: 'done' }, { end: 'failed', endedMs: 9 }], 0],
];
for (const [what, records, chosen] of cases) {
  test(`of records of one run, ${what}`, (t) => {
    const runs = records.map((more) => aRun({ ...more, id: 'feedfeedfeedfeed' }));
    t.deepEqual(distinctRuns(runs), [runs[chosen]]);
  });
}

test('only an alert sets the interval of a client', (t) => {
  const alert = aRun({ kind: 'alert', numbers: { lateAfterMs: 5 } });
  t.is(runFacts([alert, aRun({ numbers: { lateAfterMs: 9e12 } })], 0).lateAfterMs, 5);
});
