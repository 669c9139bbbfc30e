/** Checks the tables of attacks in docs/inside/threat-model.md: each row must name an existing test. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';

const DOCUMENT = 'docs/inside/threat-model.md';
const FIRST = '## Attacks, one by one';
/** Matches `folder/file: beginning of the title`, in backquotes. */
const REFERENCE = /`((?:[a-z0-9-]+\/)+[a-z0-9-]+): ([^`]*)`/g;
const LEAST_ROWS = 60;

function section(): string {
  const text = fs.readFileSync(DOCUMENT, 'utf8');
  const start = text.indexOf(FIRST);
  return text.slice(start, text.indexOf('\n## ', start + FIRST.length));
}

function referencesIn(line: string): { readonly file: string; readonly title: string }[] {
  return [...line.matchAll(REFERENCE)].map(([, file, title]) => ({ file: file!, title: title! }));
}

/** True if a test of the file has a title with this beginning; `${…}` in a title stands for anything. */
function isThere(file: string, title: string): boolean {
  const source = path.join('test', `${file}.test.ts`);
  if (!fs.existsSync(source)) return false;
  const text = fs.readFileSync(source, 'utf8');
  const titles = [...text.matchAll(/\btest(?:\.serial)?\(\s*(['`])(.*?)\1,/g)].map(
    ([, , all]) => all!,
  );
  if (title === '') return /\btest[A-Z]\w*\(test/.test(text); // a helper provides the titles
  return titles.some((one) => one.split('${')[0]!.startsWith(title));
}

test('each attack of the threat model has a test', (t) => {
  const rows = section()
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (attack|---)/.test(line));
  t.true(rows.length >= LEAST_ROWS, `${rows.length} rows`);
  t.deepEqual(
    rows.filter((row) => referencesIn(row.split('|').at(-2)!).length === 0),
    [],
    'rows without a test',
  );
  const missing = referencesIn(section()).filter(({ file, title }) => !isThere(file, title));
  t.deepEqual(missing, []);
});
