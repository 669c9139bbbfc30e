/** The manual pages are complete, and formatters accept their roff without a warning. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { listedRowsOf, TOOLS } from '../../src/config/index.js';
import { HELP } from '../../src/tools/index.js';
import { ROOT } from '../tidy/house.js';

const DIRECTORY = path.join(ROOT, 'dist', 'man');
const COMMANDS = [...new Set(TOOLS.map((tool) => tool.split(' ')[0]!))];
const REQUESTS = /^\.(TH|SH|SS|PP|TP|RS 4|RE|nf|fi|br|\\")/;

function pageOf(command: string): string {
  const section = /^tardis(?:d|remote)$/.test(command) ? 8 : 1;
  return path.join(DIRECTORY, `${command}.${section}`);
}

/** Returns the text of a page without fonts and escapes. */
function plain(page: string): string {
  return page
    .replaceAll(/\\f[BIR]/g, '')
    .replaceAll('\\-', '-')
    .replaceAll('\\e', '\\');
}

function hasGroff(): boolean {
  try {
    execFileSync('groff', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('there is a page for each command, and no other', (t) => {
  t.deepEqual(
    fs.readdirSync(DIRECTORY).sort(),
    COMMANDS.map((one) => path.basename(pageOf(one))).sort(),
  );
});

for (const command of COMMANDS) {
  test(`the manual of ${command} has each option and example, as valid roff`, (t) => {
    const page = fs.readFileSync(pageOf(command), 'utf8');
    const headings = [...page.matchAll(/^\.SH (.*)$/gm)].map(([, name]) => name!);
    t.deepEqual(headings.slice(0, 3), ['NAME', 'SYNOPSIS', 'DESCRIPTION']);
    t.true(headings.includes('EXAMPLES'));
    t.is(headings.at(-1), 'SEE ALSO');
    for (const line of page.split('\n')) {
      if (/^[.']/.test(line)) t.regex(line, REQUESTS);
      t.notRegex(line, /[^\x20-\x7e]/, 'ASCII is shown everywhere');
    }
    const text = plain(page);
    for (const tool of TOOLS.filter((one) => one.split(' ')[0] === command)) {
      for (const [name, { flags }] of listedRowsOf(tool)) {
        const long = flags?.split(/[ ,]+/).find((word) => word.startsWith('--'));
        if (long !== undefined)
          t.true(text.replaceAll('[no-]', '').includes(long), `${tool} ${name}`);
      }
      for (const line of Object.keys(HELP[tool].examples))
        t.true(text.includes(`\n${line}\n`), line);
    }
    if (!hasGroff()) {
      t.log('no groff here: structure only');
      return;
    }
    const warnings = execFileSync('sh', [
      '-c',
      `groff -man -ww -Tutf8 -z "$0" 2>&1`,
      pageOf(command),
    ]);
    t.is(warnings.toString(), '');
  });
}
