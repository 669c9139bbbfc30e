// Returns the pace of a file of tests, from its first line: `// Pace: slow`. A file without such a line is quick.
//
// slow   computes for more than a second and a half, waits, or starts a gateway: `npm run test:fast` leaves it out
// long   takes more than half a minute: it begins first, with few others in a worker, and is left out of `test:fast` too
// alone  has a worker of its own for another reason, which stands in the next line
import { readFileSync } from 'node:fs';

const PACES = ['slow', 'long', 'alone'];

/** Returns the pace of a compiled file of tests, as `dist/test/e2e/copy.test.js`; undefined for a quick one. */
export function paceOf(compiled) {
  const source = compiled.replace(/^(?:.*\/)?dist\/test\//, 'test/').replace(/\.js$/, '.ts');
  const [first] = readFileSync(new URL(`../${source}`, import.meta.url), 'utf8').split('\n', 1);
  if (!first.startsWith('// Pace')) return undefined;
  const pace = first.replace('// Pace: ', '');
  if (!PACES.includes(pace)) throw new Error(`${source}: the pace is one of ${PACES.join(', ')}`);
  return pace;
}
