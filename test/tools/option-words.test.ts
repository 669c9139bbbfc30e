/** Options with optional values, which take the next word only if it is their value. */
import test from 'ava';
import { Option } from 'commander';
import { takeAttached, takeNumbers, ToolCommand } from '../../src/tools/index.js';
import { thrownCode } from '../helpers/codes.js';

/** Parses words. Returns the options and the words that are no options. */
function parsed(...words: string[]): { options: Record<string, unknown>; rest: readonly string[] } {
  const password = new Option('-P, --password [TEXT]').preset('');
  takeAttached(password);
  const progress = new Option('-p, --progress [COUNT]').preset('1');
  takeNumbers(progress);
  const command = new ToolCommand('tool')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .option('-l, --long')
    .option('-C, --client <NAME>')
    .addOption(password)
    .addOption(progress)
    .addOption(new Option('-c, --color [WHEN]').choices(['always', 'never']).preset('always'))
    .argument('[words...]');
  command.parse(words, { from: 'user' });
  return { options: command.opts(), rest: command.args };
}

test('an option for a secret never takes the next word', (t) => {
  for (const option of ['-P', '--password']) {
    t.deepEqual(parsed(option, 'path'), { options: { password: '' }, rest: ['path'] });
  }
  t.deepEqual(parsed('--password=secret', 'path').options, { password: 'secret' });
  t.deepEqual(parsed('-lP', 'path'), { options: { long: true, password: '' }, rest: ['path'] });
});

test('a secret attached to a short option is refused, since it was meant as other options', (t) => {
  for (const word of ['-Psecret', '-Pl', '-lPx']) {
    t.is(
      thrownCode(() => parsed(word)),
      'USAGE',
      word,
    );
  }
});

test('a word is the value of an option only if it is one of its words, or a number', (t) => {
  t.deepEqual(parsed('--color', 'never').options, { color: 'never' });
  t.deepEqual(parsed('--color', 'path'), { options: { color: 'always' }, rest: ['path'] });
  t.deepEqual(parsed('--progress', '12').options, { progress: '12' });
  for (const word of ['12a', '-', '1.5']) {
    t.deepEqual(parsed('--progress', word), { options: { progress: '1' }, rest: [word] });
  }
  t.deepEqual(parsed('-p7').options, { progress: '7' });
  t.deepEqual(parsed('--progress').options, { progress: '1' });
});

test('an option that needs a value takes any next word, even one like an option', (t) => {
  t.deepEqual(parsed('-C', '-P', 'path'), { options: { client: '-P' }, rest: ['path'] });
  t.deepEqual(parsed('-lC', '--color').options, { long: true, client: '--color' });
  t.deepEqual(parsed('-CP').options, { client: 'P' });
});

test('after -- all words are arguments', (t) => {
  t.deepEqual(parsed('-l', '--', '-P', '--color', 'never'), {
    options: { long: true },
    rest: ['-P', '--color', 'never'],
  });
});
