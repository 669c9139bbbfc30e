// Pace: quick
/** Every option of Neophytos' client is in the table, and everything that the table names exists. */
import test from 'ava';
import {
  ABSENT,
  allRows,
  NEOPHYTOS,
  NEOPHYTOS_ONLY,
  splitWords,
  type Tool,
} from '../../src/config/index.js';
import { inOurWords, toolCommand } from '../../src/tools/index.js';
import { run } from '../helpers/commands.js';

/** Options as the description of Neophytos lists them. */
const OPTIONS =
  '--lpath --rpath --password --push --pull --sync-rdel --host --port --cipher --filter-file ' +
  '--make-sample-filter-file --authcode --no-ssl --debug --no-sformat';

const FLAGS = new Set(
  allRows().flatMap(([, { flags = '', negatable }]) => {
    const long = /--[a-z-]+/.exec(flags)?.[0];
    if (long === undefined) return [];
    return negatable === true
      ? [long, long.replace('--', '--no'), long.replace('--', '--no-')]
      : [long];
  }),
);

test('every option of Neophytos is in the table, and what it is here exists', (t) => {
  t.deepEqual(NEOPHYTOS.map(({ option }) => option).sort(), OPTIONS.split(' ').sort());
  for (const { option, ours, why, isOurs } of NEOPHYTOS) {
    for (const [named] of (ours ?? '').matchAll(/--[a-z-]+/g)) t.true(FLAGS.has(named), named);
    for (const [, command] of (ours ?? '').matchAll(/(?:^|, )([a-z]+) /g)) {
      t.true(['tardis', 'regenerate'].includes(command!), command);
    }
    t.true(why.length > 0);
    t.is(FLAGS.has(option), isOurs === true, option);
    t.is(
      ABSENT.some(({ name }) => name === option),
      isOurs !== true,
      option,
    );
  }
  t.true(NEOPHYTOS_ONLY.length > 0);
});

/** Returns the line to write from the message about a command line of Neophytos. */
function written(name: string, line: string): string | undefined {
  const reported = inOurWords(name, splitWords(line, 'test'));
  return /; use: (.*?)(?:; there is no| \(docs)/.exec(reported ?? '')?.[1];
}

test('a command line of Neophytos is translated into our options', async (t) => {
  const cases: readonly [name: string, theirs: string, ours: string][] = [
    ['tardis', '--push --lpath=/x --rpath=peach --host=h', 'tardis --server h --kept-as /peach /x'],
    [
      'tardis',
      '--push --lpath=/mnt/kmcguire --rpath=peach --host=myserver --password=e3xample',
      'tardis --server myserver --password-file FILE --kept-as /peach /mnt/kmcguire',
    ],
    [
      'tardis',
      '--pull --lpath=/mnt/kmcguire/temp --rpath=peach --host=myserver --authcode e3xample',
      'regenerate --server myserver --password-file FILE --last --output /mnt/kmcguire/temp /peach',
    ],
    [
      'regenerate',
      '--lpath /t --host h --port=1',
      'regenerate --server h --port 1 --all --output /t',
    ],
    [
      'tardis',
      "--push --lpath='/a b' --debug --filter-file f",
      "tardis --filter-file f --verbose '/a b'",
    ],
    ['tardis', '--push --lpath=/x --no-ssl', 'tardis --nossl --insecure-network /x'],
  ];
  for (const [name, theirs, ours] of cases) {
    t.is(written(name, theirs), ours);
    t.false(inOurWords(name, splitWords(theirs, 'test'))!.includes('e3xample'), 'a secret');
    const [tool = '', ...words] = splitWords(ours, 'test');
    const command = toolCommand({ tool: tool as Tool, run: async () => undefined });
    await t.notThrowsAsync(() => command.parseAsync(words, { from: 'user' }), ours);
  }
  t.regex(
    inOurWords('tardis', ['--push', '--cipher=RC4', '--no-sformat'])!,
    /no replacement for --cipher, --no-sformat/,
  );
  t.regex(
    inOurWords('tardis', ['--pull', '--lpath=/x', '--filter-file', 'f'])!,
    /no replacement for --filter-file \(give --include or --exclude\)/,
  );
  t.is(inOurWords('tardis', ['--server', 'h', '--password=x', '/x']), undefined);
  t.is(inOurWords('sonic', ['--push']), undefined);
});

test('options of Neophytos are answered with what to write, and nothing is done', async (t) => {
  const { status, stdout, stderr } = await run('tardis', [
    '--push',
    '--lpath=/x',
    '--rpath=peach',
    '--host=h',
    '--authcode=e3xample',
  ]);
  t.is(status, 1);
  t.is(stdout, '');
  t.regex(
    stderr,
    /use: tardis --server h --password-file FILE --kept-as \/peach \/x \(docs\/coming-from\/neophytos\.md\)/,
  );
  t.notRegex(stderr, /e3xample/);
});
