// Pace: slow
/** Runs our commands of each guide in docs/coming-from/, in the order of its table. */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { PROGRAM_OF } from '../../src/tools/output/command-names.js';
import { backupsRunHere, poolsStayAway, run, type Tool } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { dir, file, makeTree } from '../helpers/tree.js';

const GUIDES = fileURLToPath(new URL('../../../docs/coming-from', import.meta.url));
const COMMANDS = '\n## Commands\n';
const LEAST_GUIDES = 7;
const PASSWORD = 'four quiet otters juggle turnips\n';
const LEAST_COMMANDS = 12;
/** Matches commands that run on until somebody ends them: the test only has their settings explained. */
const LASTING = /^(tardisfs|tardis (mount|web))\b/;
/** Matches commands whose status 1 means a difference. */
const COMPARING = /^(tardiff|tardis diff) /;

backupsRunHere();
poolsStayAway();

function textOf(guide: string): string {
  return fs.readFileSync(path.join(GUIDES, guide), 'utf8');
}

/** Returns the commands in the last column of a guide's table. */
function commandsOf(guide: string): string[] {
  const table = textOf(guide).split(COMMANDS)[1]!.split('\n## ')[0]!;
  const rows = table.split('\n').filter((line) => line.startsWith('| '));
  const cells = rows.map((row) => row.split(' | ').at(-1)!);
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]*)`/g)].map(([, command]) => command!));
}

/** Returns the words of the program that a command of `tardis` stands for, as bin/launch.sh does. */
function programOf(words: readonly string[]): string[] {
  const [tool, command = '', ...rest] = words;
  if (tool !== 'tardis' || !Object.hasOwn(PROGRAM_OF, command)) return [...words];
  const program = PROGRAM_OF[command as keyof typeof PROGRAM_OF];
  return [...program.split(' '), ...(command === 'find' ? ['--find'] : []), ...rest];
}

/** The other pages there list differences, options and formats. */
const guides = fs.readdirSync(GUIDES).filter((name) => textOf(name).includes(COMMANDS));

test('each guide has a table of commands', (t) => {
  t.true(guides.length >= LEAST_GUIDES);
});

for (const guide of guides) {
  test(`the commands of ${guide} work one after the other`, async (t) => {
    const { at, written } = lab(t);
    const home = at('home');
    makeTree(home, [
      dir('letters', [file('a.txt', 'dear'), file('secret.txt', 'x')]),
      dir('cache', [file('big', 'big')]),
      dir('past'),
    ]);
    for (const name of ['tmp', 'media/disk']) fs.mkdirSync(at(name), { recursive: true });
    fs.chmodSync(written('home/.password', PASSWORD), 0o600);
    written('home/.new-password', `new ${PASSWORD}`);
    const put = (word: string): string =>
      word
        .replaceAll(/(^|=)(?=\/(backup|tmp|media)\b)/g, `$1${at()}`)
        .replaceAll(/(^|=)~/g, `$1${home}`);
    const env: Record<string, string> = {};
    const commands = commandsOf(guide);
    t.true(commands.length >= LEAST_COMMANDS);
    for (const command of commands) {
      const words = [...command.matchAll(/(["'])(.*?)\1|\S+/g)].map(
        ([word, , text]) => text ?? word,
      );
      const [tool, ...args] = programOf(words.map(put)) as [Tool | 'export', ...string[]];
      if (tool === 'export') {
        Object.assign(env, Object.fromEntries(args.map((arg) => arg.split('='))));
        continue;
      }
      if (args.includes('--local')) fs.appendFileSync(path.join(home, 'letters/a.txt'), '\nmore');
      if (LASTING.test(command)) args.push('--explain-config');
      const { status, stderr } = await run(tool, args, { env });
      const isFine = status === 0 || (status === 1 && COMPARING.test(command));
      t.true(isFine, `${command}: ${status} ${stderr}`);
    }
    t.true(fs.existsSync(at('backup/laptop')));
  });
}
