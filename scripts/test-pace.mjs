// Returns the pace of a file of tests, from its first line: `// Pace: slow`. `npm run test:fast` runs the quick ones only.
//
// quick  computes for at most about a second and a half. A file without a line is quick too; one that may start commands has
//        a line in any case, which a tidy test requires
// slow   computes for longer, waits, or starts commands, a gateway or a browser
// long   takes more than half a minute: it begins first, with few others in a worker
// alone  has a worker of its own for another reason, which stands in the next line
import { readFileSync } from 'node:fs';

const PACES = ['quick', 'slow', 'long', 'alone'];

/** Returns the pace of a compiled file of tests, as `dist/test/e2e/copy.test.js`. */
export function paceOf(compiled) {
  const source = compiled.replace(/^(?:.*\/)?dist\/test\//, 'test/').replace(/\.js$/, '.ts');
  const [first] = readFileSync(new URL(`../${source}`, import.meta.url), 'utf8').split('\n', 1);
  if (!first.startsWith('// Pace')) return 'quick';
  const pace = first.replace('// Pace: ', '');
  if (!PACES.includes(pace)) throw new Error(`${source}: the pace is one of ${PACES.join(', ')}`);
  return pace;
}
