// Pace: slow
/** Every step of docs/using/tour.md works, and the document contains every step. */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { lineOf, takeTour, TOUR } from '../helpers/tour.js';
import { scratchInMemory } from '../helpers/scratch.js';

const DOCUMENT = fileURLToPath(new URL('../../../docs/using/tour.md', import.meta.url));

test('a day in the life: each command does what the tour shows', async (t) => {
  const home = fs.realpathSync(scratchInMemory(t));
  const shown = await takeTour(home);
  t.is(shown.length, TOUR.length);
  t.is(
    fs.readFileSync(path.join(home, 'found', 'letter.txt'), 'utf8'),
    'Dear Otto,\nthe turnips are ripe.\n',
  );
  t.false(fs.existsSync(path.join(home, 'papers', 'letter.txt')));
});

test('docs/using/tour.md has every step, in order (scripts/make-tour.mjs)', (t) => {
  const text = fs.readFileSync(DOCUMENT, 'utf8');
  let at = 0;
  for (const step of TOUR) {
    const wanted =
      step.kind === 'say' ? step.text : step.kind === 'file' ? step.content : lineOf(step);
    const found = text.indexOf(wanted.trimEnd(), at);
    t.true(found >= at, `not in its place: ${wanted}`);
    at = found;
  }
});
