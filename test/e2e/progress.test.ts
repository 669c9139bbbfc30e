// Pace: slow
/** The progress that a terminal shows while a first backup runs. */
import test from 'ava';
import { succeed } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { runOnTerminal } from '../helpers/terminal.js';
import { file, makeTree, noise } from '../helpers/tree.js';

test('a first backup on a terminal shows a bar and a percentage, and sends no more than it reads', async (t) => {
  const { place, at } = lab(t);
  const files = Array.from({ length: 6 }, (_, index) =>
    file(`f${index}`, noise(index + 1, 2 << 20)),
  );
  makeTree(at('home'), files);
  const slowly = ['--bandwidth-limit', '4M', '--workers', '1'];
  const { status, shown } = await runOnTerminal(
    'tardis',
    [...place, '--local', '--create', ...slowly, at('home')],
    [],
  );
  t.is(status, 0, shown);
  const shares = [...shown.matchAll(/\[#*-*\] (\d+) %/g)].map(([, share]) => Number(share));
  t.true(shares.length > 1, shown);
  t.deepEqual(
    shares,
    shares.toSorted((one, other) => one - other),
    'it only goes up',
  );
  t.notRegex(shown, /More was sent than read/);
});

test('a restore of a whole set and a check that reads show a bar on a terminal, a part of a set does not', async (t) => {
  const { place, at } = lab(t);
  makeTree(at('home'), [file('one', noise(1, 3 << 20)), file('two', noise(2, 3 << 20))]);
  await succeed('tardis', [...place, '--local', '--create', at('home')]);
  const BAR = /\[#*-*\] \d+ %/;
  const whole = await runOnTerminal('regenerate', [...place, '-o', at('whole'), at('home')], []);
  t.is(whole.status, 0, whole.shown);
  t.regex(whole.shown, BAR);
  const all = await runOnTerminal('regenerate', [...place, '-o', at('all'), '--all'], []);
  t.regex(all.shown, BAR);
  const part = await runOnTerminal(
    'regenerate',
    [...place, '-o', at('part'), at('home', 'one')],
    [],
  );
  t.is(part.status, 0, part.shown);
  t.notRegex(part.shown, /%/);
  const check = await runOnTerminal('sonic', ['check', '--read-data', ...place], []);
  t.is(check.status, 0, check.shown);
  t.regex(check.shown, BAR);
});
