// Pace: slow
/** Completions in the real bash, as far as a script can run it, and the values that they read from a store. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { listedRowsOf, TOOLS } from '../../src/config/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { type LiveKind, liveValues } from '../../src/tools/index.js';
import { BIN, cleanEnvironment, run, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem } from '../helpers/inline.js';
import { leaveOut } from '../helpers/left-out.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { folderIn, scratch, written } from '../helpers/scratch.js';
import { ROOT } from '../tidy/house.js';

const COMMANDS = [...new Set(TOOLS.map((tool) => tool.split(' ')[0]!))];
const DIRECTORY = path.join(ROOT, 'dist', 'completions');

/** Returns what bash would offer at the end of a line. `words` are the parts into which bash splits the line. */
function offered(words: readonly string[], line = words.join(' ')): string[] {
  const [command = ''] = words;
  const script =
    'source "$1"; COMP_LINE=$2; COMP_POINT=${#COMP_LINE}; shift 2; COMP_WORDS=("$@"); ' +
    'COMP_CWORD=$(($# - 1)); "$(complete -p "$1" | sed "s/.* -F //; s/ .*//")"; ' +
    'printf "%s\\n" "${COMPREPLY[@]}"';
  const args = [
    '--norc',
    '-c',
    script,
    'bash',
    path.join(DIRECTORY, `${command}.bash`),
    line,
    ...words,
  ];
  const env = { ...cleanEnvironment(), PATH: `${BIN}:${process.env['PATH'] ?? ''}` };
  const reported = execFileSync('bash', args, { env, encoding: 'utf8' });
  return reported.split('\n').filter((value) => value !== '');
}

function hasShell(shell: string): boolean {
  try {
    execFileSync(shell, ['-c', 'exit'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Makes a store with two clients. The first has two sets, the second encrypts. */
async function lab(t: ExecutionContext) {
  const home = scratch(t);
  const store = path.join(home, 'store');
  const source = path.join(home, 'my tree');
  fs.mkdirSync(path.join(source, 'letters: new'), { recursive: true });
  for (const name of ['letter one', 'letter two', 'other']) {
    fs.writeFileSync(path.join(source, name), name);
  }
  const system = inlineSystem();
  const place = { store, client: 'laptop' };
  await backupInline(system, place, [source], { create: true });
  await backupInline(system, place, [source], {});
  await backupInline(system, { store, client: 'secret' }, [source], {
    create: true,
    password: PASSWORD,
  });
  return { home, store, source };
}

function ask(kind: LiveKind, prefix: string, words: readonly string[]): Promise<string[]> {
  const environment = { HOME: '/nowhere', TARDIS_DEFAULTS: '' };
  const answer = liveValues(nodeSystem(), { kind, prefix, words, environment });
  return answer.then((values) => values.map(({ value }) => value));
}

test('a store offers its clients, sets, days and paths, and needs no password for it', async (t) => {
  const { home, store, source } = await lab(t);
  const at = ['-D', store, '-C', 'laptop'];
  t.deepEqual(await ask('clients', '', [`--database=${store}`]), ['laptop', 'secret']);
  t.deepEqual(await ask('clients', 'l', [`-D${store}`, '--unheard-of', '-x']), ['laptop']);
  const sets = await ask('sets', '', at);
  t.deepEqual(sets.slice(0, 2), ['2', '1'], 'the newest first');
  t.is(sets.length, 4, 'and by name');
  t.deepEqual(await ask('sets', `${new Date().getFullYear()}-`, at), sets.slice(2));
  const [day = '', ...others] = await ask('days', '', at);
  t.regex(day, /^\d{4}-\d\d-\d\d$/);
  t.deepEqual(others, []);
  const typed = source.replace(' ', '\\ ');
  const paths = ['letter one', 'letter two', 'letters: new/'].map((name) => `${source}/${name}`);
  t.deepEqual(await ask('paths', `${typed}/lett`, at), paths);
  t.deepEqual(await ask('paths', `"${source}/lett`, at), paths, 'a quote is open');
  t.deepEqual(await ask('paths', `'${source}'/other`, [...at, '-b', '1']), [`${source}/other`]);
  t.deepEqual(await ask('paths', '/', at), [`/${home.split('/')[1]}/`], 'the way to its roots');
  // For an encrypting client only public values are offered, unless a file contains the password.
  const closed = ['-D', store, '-C', 'secret'];
  t.deepEqual(await ask('sets', '', closed), ['1']);
  t.deepEqual(await ask('paths', `${typed}/`, closed).catch(() => []), []);
  const file = written(home, 'password', `${PASSWORD}\n`);
  const open = [...closed, '--password-file', file];
  t.is((await ask('sets', '', open)).length, 2);
  t.deepEqual(await ask('paths', `${typed}/lett`, open), paths);
  const environment = { TARDIS_DEFAULTS: '', TARDIS_DB: store, TARDIS_CLIENT: 'laptop' };
  const words = ['--server', 'h.example.org'];
  const question = { kind: 'sets', prefix: '', environment } as const;
  t.is((await liveValues(nodeSystem(), { ...question, words: [] })).length, 4);
  t.deepEqual(await liveValues(nodeSystem(), { ...question, words }), [], 'no server is asked');
});

test('no more is offered than a terminal can take', async (t) => {
  const home = scratch(t);
  const source = folderIn(home, 'tree');
  for (let n = 0; n < 700; n += 1) fs.writeFileSync(path.join(source, `f${n}`), '');
  fs.writeFileSync(path.join(source, 'f\u001b[2J'), 'which a terminal would obey');
  const place = { store: path.join(home, 'store'), client: 'me' };
  await backupInline(inlineSystem(), place, [source], { create: true });
  const paths = await ask('paths', `${source}/f`, ['-D', place.store, '-C', 'me']);
  t.true(paths.length >= 499 && paths.length <= 500, `${paths.length}`);
  t.false(paths.some((name) => name.includes('\u001b')));
});

test('sonic complete prints nothing if it finds nothing', async (t) => {
  for (const words of [
    ['sets', '', '-D', '/nowhere'],
    ['sets', '', '--config', '/nowhere'],
    ['x', ''],
  ]) {
    const { status, stdout, stderr } = await run('sonic', ['complete', '--', ...words]);
    t.deepEqual([status, stdout, stderr], [0, '', '']);
  }
  t.notRegex(await succeed('sonic', ['--help']), /\bcomplete\b.*PREFIX|^ {2}complete/m);
});

test.serial('bash completes options, values and what a store has', async (t) => {
  const { home, store, source } = await lab(t);
  const at = ['-D', store, '-C', 'laptop'];
  t.deepEqual(offered(['sonic', 're']), ['rebuild', 'rekey', 'rename']);
  t.deepEqual(offered(['sonic', 'tag', '--ad']), ['--add', '--addressing']);
  t.deepEqual(offered(['regenerate', '--overw']), ['--overwrite']);
  t.deepEqual(offered(['regenerate', '--overwrite', 'ne']), ['newer', 'never']);
  t.deepEqual(offered(['regenerate', '--overwrite', '=', 'ol'], 'regenerate --overwrite=ol'), [
    'older',
  ]);
  t.deepEqual(offered(['tardis', '--nopro']), ['--noprogress']);
  t.deepEqual(offered(['tardis', '-D', `${home}/st`]), [store]);
  t.deepEqual(offered(['sonic', 'list', '-D', store, '-C', 'l']), ['laptop']);
  t.deepEqual(offered(['lstardis', ...at, '-b', '']).slice(0, 2), ['2', '1']);
  t.deepEqual(offered(['sonic', 'delete', ...at, '1']), ['1']);
  const typed = `${source.replace(' ', '\\ ')}/lett`;
  t.deepEqual(
    offered(['regenerate', ...at, typed]),
    ['letter one', 'letter two', 'letters: new/'].map((name) => `${source}/${name}`),
  );
  // Bash splits words at colons, and replaces only the part after the last one.
  const front = `${source.replace(' ', '\\ ')}/letters`;
  fs.mkdirSync(path.join(source, 'letters:new'));
  await backupInline(inlineSystem(), { store, client: 'laptop' }, [source], {});
  const words = ['regenerate', ...at, front, ':', 'n'];
  t.deepEqual(offered(words, `${words.slice(0, -3).join(' ')} ${front}:n`), ['new/']);
});

test('the completions of every shell have every option', (t) => {
  for (const command of COMMANDS) {
    const texts = [`${command}.bash`, `_${command}`, `${command}.fish`].map((file) =>
      fs.readFileSync(path.join(DIRECTORY, file), 'utf8'),
    );
    for (const tool of TOOLS.filter((one) => one.split(' ')[0] === command)) {
      for (const [, { flags }] of listedRowsOf(tool)) {
        const long = /--([a-z-]+)/.exec(flags ?? '')?.[1];
        if (long === undefined) continue;
        t.true(texts[0]!.includes(`--${long} `), `${tool} --${long}`);
        t.regex(texts[1]!, new RegExp(`--${long}[=[]`), `${tool} --${long}`);
        t.regex(texts[2]!, new RegExp(` -l ${long} `), `${tool} --${long}`);
      }
    }
  }
});

for (const [shell, isIts] of [
  ['bash', /\.bash$/],
  ['zsh', /^_/],
  ['fish', /\.fish$/],
] as const) {
  test(`${shell} takes its completions without a complaint`, (t) => {
    if (!hasShell(shell)) {
      t.pass(`there is no ${shell} here`);
      return;
    }
    for (const file of fs.readdirSync(DIRECTORY).filter((name) => isIts.test(name))) {
      const args = ['-n', path.join(DIRECTORY, file)];
      t.is(execFileSync(shell, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }), '');
    }
  });
}

/** Types a line in a real zsh, requests its completions, and prints what zsh shows. */
const ZSH = `
zmodload zsh/zpty || exit 9
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=($COMPLETIONS \\$fpath); path+=($BIN); autoload -Uz compinit; compinit -u -d $SCRATCH/dump; print NOW READY"
shown=; until [[ $shown == *READY*READY* ]]; do zpty -r shell line || exit 8; shown+=$line; done
zpty -w -n shell "$LINE"$'\\t\\t'
while zpty -r -m shell line "*$WANTED*"; do print -r -- "$line"; break; done
zpty -d shell
`;

test('zsh completes what a store has', async (t) => {
  if (spawnSync('zsh', ['-c', 'zmodload zsh/zpty']).status !== 0) {
    return leaveOut(t, 'left out: no zsh');
  }
  const home = scratch(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  fs.mkdirSync(source);
  for (const client of ['larch', 'lemur']) {
    await succeed('tardis', ['-D', store, '-C', client, '--local', '--create', source]);
  }
  for (const [line, wanted] of [
    [`sonic info -D ${store} -C l`, 'lemur'],
    [`lstardis -D ${store} -C larch -b `, `${new Date().getFullYear()}-`],
  ] as const) {
    const { status, stdout, stderr } = spawnSync('zsh', ['-f', '-c', ZSH], {
      encoding: 'utf8',
      timeout: 60_000,
      env: {
        ...cleanEnvironment(),
        TERM: 'dumb',
        BIN,
        COMPLETIONS: DIRECTORY,
        SCRATCH: home,
        LINE: line,
        WANTED: wanted,
      },
    });
    t.is(status, 0, `${line}: ${stdout} ${stderr}`);
    t.true(stdout.includes(wanted), stdout);
  }
});

test('fish completes what a store has', async (t) => {
  if (spawnSync('fish', ['-c', 'true']).status !== 0) return leaveOut(t, 'left out: no fish');
  const home = scratch(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  fs.mkdirSync(source);
  await succeed('tardis', ['-D', store, '-C', 'larch', '--local', '--create', source]);
  const script = `set -gx PATH $PATH ${BIN}
    source ${path.join(DIRECTORY, 'sonic.fish')}
    complete -C"sonic info -D ${store} -C l"
    complete -C"sonic forget-p"`;
  const env = { ...cleanEnvironment(), HOME: home };
  const { stdout } = spawnSync('fish', ['-c', script], { encoding: 'utf8', env });
  t.regex(stdout, /^larch/m);
  t.regex(stdout, /^forget-path/m);
});

/** The start of each shell, and how it loads its completions of `lstardis`, which then shows its last word. */
const SHELLS: Readonly<Record<string, readonly [command: string, loads: string]>> = {
  bash: [
    'bash --norc --noprofile -i',
    `. "$COMPLETIONS/lstardis.bash"; lstardis() { printf 'GO''T<%s>\\n' "\${@: -1}"; }`,
  ],
  zsh: [
    'zsh -f -i',
    `fpath=($COMPLETIONS $fpath); autoload -Uz compinit; compinit -u -D; lstardis() { printf 'GO''T<%s>\\n' "\${@: -1}"; }`,
  ],
  fish: [
    'fish --no-config -i',
    `source "$COMPLETIONS/lstardis.fish"; function lstardis; printf 'GO''T<%s>\\n' $argv[-1]; end`,
  ],
};

/** Types lines in a real shell on a terminal, each with a tab and Enter, and returns the last word that each command then has. */
async function typed(shell: string, cwd: string, lines: readonly string[]): Promise<string[]> {
  const [command, loads] = SHELLS[shell]!;
  const PATH = `${BIN}:${process.env['PATH'] ?? ''}`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd,
    timeout: 120_000,
    env: { ...cleanEnvironment(), HOME: cwd, TERM: 'xterm', PATH, COMPLETIONS: DIRECTORY },
  });
  const left = [`${loads}; lstardis ready\r`, ...lines.map((line) => `${line}\t\r`), 'exit\r'];
  let shown = '';
  child.stdin.write(left.shift()!);
  for await (const text of child.stdout.setEncoding('utf8')) {
    const before = wordsIn(shown).length;
    shown += text;
    for (const _ of wordsIn(shown).slice(before)) child.stdin.write(left.shift()!);
  }
  return wordsIn(shown).slice(1);
}

function wordsIn(shown: string): string[] {
  return [...shown.matchAll(/GOT<(.*)>/g)].map(([, word]) => word!);
}

for (const shell of Object.keys(SHELLS)) {
  test(`${shell}: no name of a set is code, whatever quote is open`, async (t) => {
    if (!hasShell(shell)) return leaveOut(t, `left out: no ${shell}`);
    const home = scratch(t);
    const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
    fs.mkdirSync(source);
    const place = { store, client: 'me' };
    const names = [
      'sub$(touch run)',
      'semi;touch run;',
      'every"`touch run`\\z\'y!!',
      "end'",
      'stop"',
    ];
    for (const [at, name] of names.entries()) {
      fs.writeFileSync(path.join(source, name), '');
      await backupInline(inlineSystem(), place, [source], { create: at === 0, setName: name });
    }
    const begun = ['', '"', "'"].flatMap((quote) =>
      names.map((name) => [`${quote}${name.slice(0, 3)}`, name] as const),
    );
    const asSets = begun.map(([word]) => `lstardis -D store -C me -b ${word}`);
    const found = await typed(shell, home, asSets);
    t.deepEqual(
      found,
      begun.map(([, name]) => name),
    );
    t.false(fs.existsSync(path.join(home, 'run')));
  });
}
