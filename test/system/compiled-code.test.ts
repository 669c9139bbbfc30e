/** Scripts of a program, and the compiled code that is kept of them. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Program, writingTask } from '../../src/system/compiled-code.js';
import { scratch } from '../helpers/scratch.js';

type Place = ReturnType<typeof placeOf>;

function placeOf(t: ExecutionContext, scripts: Record<string, string | Record<string, string>>) {
  const folder = scratch(t);
  for (const [name, text] of Object.entries(scripts)) write(folder, name, text);
  return { folder, code: path.join(folder, 'cache', 'program') };
}

const PART = '(function(exports,require,module,__url,$r){';

/** Writes a script that has one part, or several by name. */
function write(folder: string, name: string, parts: string | Record<string, string>): void {
  const named = typeof parts === 'string' ? { [name]: parts } : parts;
  const bodies = Object.entries(named).map(([part, text]) => `"${part}":${PART}\n${text}\n}),`);
  fs.writeFileSync(path.join(folder, `${name}.cjs`), `({${bodies.join('')}})`);
}

/** Loads `main`, calls its function `answer`, and keeps the compiled code. */
function run({ folder, code }: Place): unknown {
  const program = new Program(folder, code);
  const { answer } = program.load('./main.js') as { answer(): unknown };
  const answered = answer();
  program.save();
  return answered;
}

const codeOf = ({ code }: Place): Buffer => fs.readFileSync(path.join(code, 'main'));
const writesOf = (place: Place): number => codeOf(place).readUInt32LE(0);

test('scripts load each other once, modules of Node.js, and packages, and know their place', (t) => {
  const place = placeOf(t, {
    main: `"use strict";
      const other = require('./other.js');
      exports.answer = () => [other.count(), require('./other.js').count(), other.place, require('node:path').sep,
        typeof require('better-sqlite3')];`,
    other: 'let n = 0; exports.count = () => ++n; exports.place = __url;',
  });
  const { folder } = place;
  const program = new Program(folder, undefined);
  fs.symlinkSync(path.resolve('node_modules'), path.join(folder, 'node_modules'));
  const { answer } = program.load('./main.js') as { answer(): unknown[] };
  t.deepEqual(answer(), [1, 2, `file://${folder}/other.js`, '/', 'function']);
  program.save();
  t.false(fs.existsSync(place.code));
});

test('a part of a script is run when it is first loaded, and the script is read once', (t) => {
  const place = placeOf(t, {
    main: `exports.answer = () => [require('./parts.js#b').both(), require('./parts.js#b').both()];`,
    parts: {
      a: 'exports.runs = (globalThis.runsOfA = (globalThis.runsOfA ?? 0) + 1);',
      b: `require('node:fs').rmSync(__url.slice(7, -3) + '.cjs'); const a = require('./parts.js#a'); exports.both = () => a.runs + require('./parts.js#a').runs + __url.slice(-9);`,
      c: `throw new Error('nobody has asked for this part');`,
    },
  });
  t.deepEqual(run(place), ['2/parts.js', '2/parts.js']);
  t.deepEqual(fs.readdirSync(place.code).sort(), ['main', 'parts']);
});

test('a part that fails has its error each time, and is whole once it can be', (t) => {
  const { folder } = placeOf(t, {
    broken: 'exports.early = 1; if (globalThis.isMended === undefined) throw new Error("once");',
    none: {},
    cut: 'exports.',
  });
  fs.writeFileSync(path.join(folder, 'empty.cjs'), '');
  const program = new Program(folder, undefined);
  for (let n = 0; n < 2; n += 1) {
    t.throws(() => program.load('./broken.js'), { message: 'once' });
    t.throws(() => program.load('./cut.js'), { name: 'SyntaxError' });
    t.throws(() => program.load('./gone.js'), { code: 'ENOENT' });
    t.throws(() => program.load('./none.js'), { message: 'none.cjs has no part none' });
    t.throws(() => program.load('./empty.js#a'), { message: 'empty.cjs has no part a' });
  }
  Object.assign(globalThis, { isMended: true });
  t.deepEqual({ ...program.load('./broken.js') }, { early: 1 });
});

test('functions that a run has compiled are in the code of the next ones', (t) => {
  const long = Array.from({ length: 200 }, (_, n) => `if (n === ${n}) return ${n} * 3;`).join('');
  const place = placeOf(t, { main: `function many(n) {${long}} exports.answer = () => many(7);` });
  const program = new Program(place.folder, place.code);
  program.load('./main.js');
  program.save();
  const before = codeOf(place).length;
  t.is(run(place), 21);
  t.true(codeOf(place).length > before + 1000, 'the function that was called is in it');
});

test('the code of a program is written by a few runs, then only read', (t) => {
  const place = placeOf(t, { main: 'exports.answer = () => 5;' });
  for (const writes of [1, 2, 3, 4, 4, 4]) {
    t.is(run(place), 5);
    t.is(writesOf(place), writes);
  }
});

test('the code of another script of the same length is not used', (t) => {
  const place = placeOf(t, { main: 'exports.answer = () => "old";' });
  t.is(run(place), 'old');
  write(place.folder, 'main', 'exports.answer = () => "new";');
  t.is(run(place), 'new');
  t.is(writesOf(place), 1);
});

test('the code of scripts that are gone is deleted', (t) => {
  const place = placeOf(t, {
    main: 'exports.answer = () => require("./other.js").five;',
    other: 'exports.five = 5;',
  });
  t.is(run(place), 5);
  t.deepEqual(fs.readdirSync(place.code).sort(), ['main', 'other']);
  write(place.folder, 'main', 'exports.answer = () => 6;');
  fs.rmSync(path.join(place.folder, 'other.cjs'));
  t.is(run(place), 6);
  t.deepEqual(fs.readdirSync(place.code), ['main']);
});

test('damaged code is not used: each byte changed, and each length', (t) => {
  const place = placeOf(t, { main: 'exports.answer = () => 5;' });
  run(place);
  const whole = codeOf(place);
  const file = path.join(place.code, 'main');
  for (let at = 4; at < whole.length; at += 7) {
    const changed = Buffer.from(whole);
    changed[at]! ^= 0x10;
    for (const bytes of [changed, whole.subarray(0, at)]) {
      fs.writeFileSync(file, bytes);
      t.is(run(place), 5);
      t.is(writesOf(place), 1, `byte ${at}`);
    }
  }
});

test('code that cannot be written, or read, is no failure', (t) => {
  const place = placeOf(t, { main: 'exports.answer = () => 5;' });
  fs.writeFileSync(path.join(place.folder, 'cache'), 'a file where the folder should be');
  t.is(run(place), 5);
  t.is(run(place), 5);
});

test('a thread of a pool writes its code after its first task and its eighth', async (t) => {
  let writes = 0;
  const answers: unknown[] = [];
  const task = writingTask((input) => Promise.resolve([input, writes]), {
    save: () => (writes += 1),
  });
  for (let n = 1; n <= 10; n += 1) answers.push(await task(n));
  const before = [0, 1, 1, 1, 1, 1, 1, 1, 2, 2];
  t.deepEqual(
    answers,
    before.map((count, index) => [index + 1, count]),
  );
});
