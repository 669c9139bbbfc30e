// Pace: quick
/** The text of --help. Every example in it is a valid command. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CommanderError } from 'commander';
import { rowsOf, type Settings, splitWords, type Tool, TOOLS } from '../../src/config/index.js';
import { ERROR_TABLE } from '../../src/errors/index.js';
import {
  checkUsage,
  tardisHelp,
  HELP,
  helpText,
  sonicHelpText,
  statusesOf,
  statusNote,
  toolCommand,
} from '../../src/tools/index.js';
import { requireListedStatus } from '../helpers/exit-statuses.js';
import { succeed } from '../helpers/commands.js';
import { scratch } from '../helpers/scratch.js';

/** Returns the words of an example up to a pipe or a redirection, with this home directory. */
function wordsOf(line: string, home: string): string[] {
  const [own = ''] = line.split(/ [|>] /);
  return splitWords(own, line).map((word) => word.replace(/^~/, home));
}

/** Parses a command line as its command would, without running it. */
async function parsed<T extends Tool>(
  tool: T,
  words: readonly string[],
): Promise<Settings<T> | undefined> {
  let settings: Settings<T> | undefined;
  const command = toolCommand({
    tool,
    run: async (given) => {
      settings = given;
      if (tool === 'regenerate') checkUsage(given as unknown as Settings<'regenerate'>);
    },
  });
  command.configureOutput({ writeErr: () => undefined });
  await command.parseAsync([...words], { from: 'user' });
  return settings;
}

/** Makes a home directory with the files that the examples name. */
function homeOf(t: ExecutionContext): string {
  const home = scratch(t);
  fs.writeFileSync(path.join(home, '.tardis.cfg'), '[laptop]\nDirectories = /home\n');
  return home;
}

for (const tool of TOOLS) {
  test(`every example of ${tool} can be given`, async (t) => {
    const home = homeOf(t);
    const { examples, summary } = HELP[tool];
    t.true(Object.keys(examples).length > 0);
    for (const [line, what] of Object.entries(examples)) {
      if (line.includes('--config /etc')) continue; // the file does not exist
      t.true(`${line} `.startsWith(`${tool} `), line);
      const words = wordsOf(line, home).slice(tool.split(' ').length);
      const settings = await parsed(tool, words);
      t.truthy(settings, line);
      if (words.includes('/srv/tardis')) {
        t.deepEqual(settings!.database, Buffer.from('/srv/tardis'), line);
      }
      t.notRegex(what, /\.$/);
    }
    t.is(summary.endsWith('.'), !tool.startsWith('sonic '), summary);
  });
}

test('an example that could not be given would be found', async (t) => {
  await t.throwsAsync(() => parsed('sonic lock', ['--off', '3']), { message: /unknown option/ });
  await t.throwsAsync(() => parsed('tardis', ['--workers', 'many', '/']), {
    code: 'CONFIG_INVALID',
  });
  await t.throwsAsync(() => parsed('regenerate', ['--all', '/etc']), { code: 'USAGE' });
});

test('help has every option, in lines that fit, with its examples behind', (t) => {
  for (const tool of TOOLS) {
    const command = toolCommand({ tool, run: async () => undefined });
    let reported = '';
    command.configureOutput({ writeOut: (text) => void (reported += text) }).exitOverride();
    t.throws(() => command.parse(['--help-all'], { from: 'user' }));
    for (const [name, { flags, isUnlisted }] of rowsOf(tool)) {
      const long = /--[\w-]+/.exec(flags ?? '')?.[0];
      if (long === undefined) continue;
      const isShown = new RegExp(`${long}(?![\\w-])`).test(reported.replaceAll('[no-]', ''));
      t.is(isShown, isUnlisted !== true, `${tool} ${name}`);
    }
    for (const line of Object.keys(HELP[tool].examples)) {
      t.true(reported.includes(`\n  ${line}\n`), line);
    }
    for (const line of helpText(tool).split('\n')) t.true(line.length <= 110, line);
    const options = reported.slice(reported.indexOf('\nOptions:'), reported.indexOf('\nExamples:'));
    const lines = options.split('\n').filter((line) => line.startsWith('  '));
    t.true(lines.length > 0);
    for (const line of lines) t.true(line.length <= 80, `${tool}: ${line}`);
  }
  t.true(sonicHelpText().includes('\n  sonic check '));
});

test('the usual help fits two screens, and lists what most people need', (t) => {
  for (const tool of TOOLS) {
    const help = shortHelpOf(tool);
    t.true(help.split('\n').length <= MOST_LINES, `${tool}: ${help.split('\n').length} lines`);
    t.true(help.includes(`\`${tool} --help-all\``), tool);
    t.false(help.includes('--bucket-ca'), tool);
    const [options = '', examples = ''] = help.split('\nExamples:');
    const listed = options.replaceAll('[no-]', '');
    for (const [word] of examples.matchAll(/(?<= )--[a-z][\w-]*/g)) {
      if (!word.endsWith('-all'))
        t.true(listed.includes(word.replace('--no-', '--')), `${tool} ${word}`);
    }
  }
  t.regex(shortHelpOf('regenerate'), /--output .*--overwrite/s);
  t.true(tardisHelp().split('\n').length <= 37);
});

test('help lists every exit status that a command can end with', (t) => {
  for (const tool of TOOLS) {
    const listed = Object.keys(statusesOf(tool)).map(Number);
    for (const [code, { kind, exitStatus }] of Object.entries(ERROR_TABLE)) {
      if (kind !== 'partial') t.true(listed.includes(exitStatus), `${tool}: ${code}`);
    }
    const shown = helpText(tool).replaceAll('\n', ' ');
    t.true(shown.endsWith(statusNote(tool)), tool);
    for (const status of listed) t.regex(statusNote(tool), new RegExp(`[:,] ${status} \\w`), tool);
  }
  // The tests of commands hold what they run to these lists.
  t.notThrows(() => requireListedStatus('lstardis', ['-l'], 3, ''));
  t.notThrows(() => requireListedStatus('sonic', ['check', '-l'], null, ''));
  t.throws(() => requireListedStatus('sonic', ['create'], 3, ''), {
    message: /status 3: sonic create/,
  });
  t.throws(() => requireListedStatus('tardiff', [], 3, ''));
});

/** Lines of two screens. */
const MOST_LINES = 80;

/** Returns what a command prints for some words. */
function printedBy(tool: Tool, words: readonly string[]): string {
  let printed = '';
  const command = toolCommand({ tool, run: async () => undefined });
  command.configureOutput({ writeOut: (text) => void (printed += text) }).exitOverride();
  try {
    command.parse([...words], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
  }
  return printed;
}

const shortHelpOf = (tool: Tool): string => printedBy(tool, ['--help']);
const helpOf = (tool: Tool): string => printedBy(tool, ['--help-all']);

/** Returns the words of the help of a command, with one blank between them. */
function wordsOfHelp(tool: Tool): string {
  return helpOf(tool).replaceAll(/\s+/g, ' ');
}

test('a text fits its command, although other commands share the setting', (t) => {
  t.true(wordsOfHelp('sonic rename').includes(' number or name of a backup set '));
  t.true(wordsOfHelp('sonic tag').includes(' numbers or names of backup sets, or ranges (10-20) '));
  t.true(wordsOfHelp('sonic keys').includes('--keys <file> key file to write or read; '));
  t.true(
    wordsOfHelp('tardisd').includes('between client and server (default: yes, unless --local, '),
  );
  t.regex(
    wordsOfHelp('tardis'),
    /between client and server \(default: yes, unless --insecure-tcp /,
  );
});

test('an option that a command ignores is accepted, and not listed', async (t) => {
  t.false(helpOf('lstardis').includes('--single-writer'));
  for (const writing of ['tardis', 'regenerate', 'tardis-web'] as const) {
    t.true(helpOf(writing).includes('--[no-]single-writer'), writing);
  }
  const settings = await parsed('lstardis', ['--single-writer', '--lock-days', '3']);
  t.is(settings?.lockDays, 3);
});

test('sonic lists its commands with the usage that each one shows', async (t) => {
  const listed = await succeed('sonic', ['--help']);
  for (const tool of TOOLS.filter((one) => one.startsWith('sonic '))) {
    const usage = /^Usage: (.*)$/m.exec(helpOf(tool))?.[1];
    t.true(usage?.startsWith(`${tool.slice('sonic '.length)} [options]`), usage);
    const shown = usage!.replace(/ \[options\]/, '');
    t.true(listed.includes(`\n  ${shown} `) || listed.includes(`\n  ${shown}\n`), usage);
  }
});
