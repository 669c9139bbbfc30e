// Pace: slow
/** Filters for names and for encryption, by command. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, run, Server, succeed } from '../helpers/commands.js';
import { fill } from '../helpers/jobs.js';
import { restoredBy } from '../helpers/lab.js';
import { savedPaths } from '../helpers/saved.js';
import { scratchInMemory, written } from '../helpers/scratch.js';
import { differences, look, noise, text } from '../helpers/tree.js';
import { bytesOfFile, filesBelow } from '../helpers/plaintext.js';

backupsRunHere();

const MIB = 1 << 20;

/** True if the filter accepts a path below `top`, by JavaScript's expressions, which mean the same here. */
function naiveAccepts(filter: string, top: string, below: string): boolean {
  const isThere = (full: string): boolean => fs.lstatSync(full).isDirectory();
  const parts = below.split('/');
  return parts.every((name, index) => {
    const full = path.join(top, ...parts.slice(0, index + 1));
    for (const line of filter.split('\n')) {
      const [kind, decision, ...rest] = line.trim().split(/\s+/);
      if (line.trim() === '' || line.startsWith('#')) continue;
      if (kind === 'file' && isThere(full)) continue;
      if (kind === 'dir' && !isThere(full)) continue;
      const [, flags, body] = /^(?:\(\?(i)\))?(.*)$/.exec(rest.join(' '))!;
      const expression = new RegExp(`^(?:${body})`, flags);
      if (expression.test(kind === 'path' ? full : name)) return decision === 'accept';
    }
    return false;
  });
}

test('a filter file comes from option and key, and excludes what it does not accept', async (t) => {
  const home = fs.realpathSync(scratchInMemory(t));
  const tree = path.join(home, 'tree');
  const files: Record<string, string> = {};
  for (const at of ['', 'src/', 'src/test/', 'src/deep/test/', 'docs/', '.cache/']) {
    for (const name of ['a.c', 'a.o', 'test', 'B.TXT', 'b.txt~', 'test.c']) {
      if (!(`${at}${name}/` in files) && !(at === 'src/' && name === 'test')) files[at + name] = at;
    }
  }
  delete files['src/deep/test'];
  fill(tree, files);
  fs.symlinkSync('a.c', path.join(tree, 'link.o'));
  const all = fs.readdirSync(tree, { recursive: true, encoding: 'utf8' }).sort();
  const filters = [
    'dir reject ^test$\nany accept .*\n',
    'file reject .*\\.o$\nfile accept .*\\.(c|o)\ndir accept [a-z]\n',
    `path reject ${tree}/src/deep\n# all else\nfile accept (?i).*\\.txt$\ndir accept .*`,
    'path accept /.*/src\nfile accept test',
    'file accept .*',
    'dir accept none of these',
  ];
  const file = path.join(home, 'filter');
  const config = written(home, 'config', `[Tardis]\nFilterFile = ${file}\n`);
  for (const [index, filter] of filters.entries()) {
    fs.writeFileSync(file, filter);
    const place = { store: path.join(home, 'store'), client: `c${index}` };
    const how = index % 2 === 0 ? ['--filter-file', file] : ['--config', config];
    const where = ['-D', place.store, '-C', place.client, '--local', '--create', ...how];
    const { progress } = await backup([...where, tree]);
    const wanted = all.filter((each) => naiveAccepts(filter, tree, each));
    t.deepEqual(await savedPaths(place, tree), wanted, filter);
    t.is(progress.leftOut > 0, wanted.length < all.length);
  }
  // A mistake in the file must be an error: otherwise all files would count as removed.
  for (const empty of ['', '# nothing\n', 'any reject x\n']) {
    fs.writeFileSync(file, empty);
    const args = [
      '-D',
      path.join(home, 'store'),
      '-C',
      'c0',
      '--local',
      '--filter-file',
      file,
      tree,
    ];
    t.regex((await run('tardis', args)).stderr, /CONFIG_INVALID/);
  }
});

test('excludes and a filter must both let a path in, and --explain names the line', async (t) => {
  const home = fs.realpathSync(scratchInMemory(t));
  const tree = path.join(home, 'tree');
  fill(tree, { 'a.c': '', 'b.c': '', 'c.h': '', 'd.x': '', '.tardis-excludes': 'b.c\n!c.h\n' });
  const file = written(home, 'filter', 'file reject .*\\.h$\nfile accept .*\\.[ch]$\n');
  const ask = async (name: string): Promise<string> =>
    (await succeed('tardis', ['--filter-file', file, '--explain', path.join(tree, name), tree]))
      .trim()
      .replaceAll(`${home}/`, '');
  t.is(await ask('a.c'), 'tree/a.c: kept by filter:2: file accept .*\\.[ch]$');
  t.is(await ask('b.c'), 'tree/b.c: left out: tree/.tardis-excludes:1: b.c');
  t.is(await ask('c.h'), 'tree/c.h: left out: filter:1: file reject .*\\.h$');
  t.is(await ask('d.x'), 'tree/d.x: left out: no line of the filter file accepts it');
  const crypt = written(home, 'efilter', '#o,none\nfile accept a\n');
  const reported = async (...args: string[]): Promise<string> =>
    succeed('tardis', ['--efilter-file', crypt, '--def-crypt', 'chacha', ...args, tree]);
  const requested = ['a.c', 'd.x', '.'].flatMap((name) => ['--explain', path.join(tree, name)]);
  t.deepEqual((await reported(...requested)).trim().replaceAll(`${home}/`, '').split('\n'), [
    'tree/a.c: kept; no rule matches it; encryption none by #o, efilter:2: file accept a',
    'tree/d.x: kept; no rule matches it; encryption chacha by the default',
    'tree: kept; no rule matches it',
  ]);
  const { explanations } = JSON.parse(await reported('--json', ...requested)) as {
    explanations: { encryption: unknown }[];
  };
  t.deepEqual(
    explanations.map(({ encryption }) => encryption),
    [
      {
        algorithm: 'none',
        tag: 'o',
        rule: { file: { name: crypt }, line: 2, pattern: { name: 'file accept a' } },
      },
      { algorithm: 'chacha', tag: null, rule: null },
      null,
    ],
  );
  fs.writeFileSync(file, 'file accept x\nfile take y\n');
  const bad = await run('tardis', ['-D', home, '--local', '--filter-file', file, tree]);
  t.is(bad.status, 1);
  t.regex(bad.stderr, /filter:2: "take" is neither accept nor reject \[CONFIG_INVALID\]/);
  const missing = await run('tardis', ['-D', home, '--local', '--filter-file', home, tree]);
  t.regex(missing.stderr, /cannot read the filters in .*\(EISDIR\) \[CONFIG_INVALID\]/);
});

test('--make-sample-filter-file writes a usable file, and never replaces one', async (t) => {
  const home = fs.realpathSync(scratchInMemory(t));
  const tree = path.join(home, 'tree');
  fill(tree, { 'a.c': '', 'a.o': '', 'target/x': '' });
  t.is(
    (await succeed('tardis', ['--make-sample-filter-file'], { cwd: home })).trim(),
    'filter.example',
  );
  const place = { store: path.join(home, 'store'), client: 'me' };
  const filter = ['--filter-file', path.join(home, 'filter.example')];
  await backup(['-D', place.store, '-C', 'me', '--local', '--create', ...filter, tree]);
  t.deepEqual(await savedPaths(place, tree), ['a.c']);
  fs.writeFileSync(path.join(home, 'filter.example'), 'mine');
  const again = await run('tardis', ['--make-sample-filter-file'], { cwd: home });
  t.is(again.status, 1);
  t.regex(again.stderr, /\[SAMPLE_EXISTS\]/);
  t.is(fs.readFileSync(path.join(home, 'filter.example'), 'utf8'), 'mine');
});

/** Choices of encryption and ways of storing a content. Each combination has a file with a unique word. */
const CHOICES = ['open', 'cha', 'usual'] as const;
const WAYS: Readonly<Record<string, number>> = {
  frame: 40,
  single: 400_000,
  large: 3 * MIB,
  parts: 65 * MIB,
};
const wordOf = (choice: string, way: string): string => `Okapi-${choice}-${way}-E4D7C1`;

function mixed(t: ExecutionContext) {
  const home = fs.realpathSync(scratchInMemory(t));
  const tree = path.join(home, 'tree');
  for (const choice of CHOICES) {
    for (const [way, bytes] of Object.entries(WAYS)) {
      if (way === 'parts' && choice === 'usual') continue; // two files of this size are enough
      const content = Buffer.concat([Buffer.from(wordOf(choice, way)), noise(choice + way, bytes)]);
      fill(tree, { [`${choice}/${way}`]: content });
    }
    fill(tree, {
      [`${choice}/text`]: text(choice, 300_000),
      [`${choice}/otter-lamp.gz`]: noise(choice, 99),
    });
  }
  const filter = path.join(home, 'efilter');
  fs.writeFileSync(filter, '#o,none\npath accept /.*/open/\n#c,chacha\npath accept /.*/cha/\n');
  fs.writeFileSync(path.join(home, 'password'), 'a password of the tests');
  return {
    home,
    tree,
    store: path.join(home, 'store'),
    secret: ['-F', path.join(home, 'password')],
    filter,
  };
}

/** Returns the words that occur in the store. */
function wordsIn(store: string, words: readonly string[]): string[] {
  const found = filesBelow(store).flatMap((name) => {
    const bytes = bytesOfFile(name);
    return words.filter((word) => bytes.includes(word) || name.includes(word));
  });
  return [...new Set(found)].sort();
}

/** Returns the schemes of records, by the catalog; except lists of parts (kind 4), which are the server's own. */
async function schemesIn(store: string): Promise<number[]> {
  const { default: Database } = await import('better-sqlite3');
  const catalog = new Database(path.join(store, 'me', 'tardis.db'), { readonly: true });
  try {
    return catalog
      .prepare('SELECT DISTINCT scheme FROM records WHERE kind <> 4 ORDER BY scheme')
      .pluck()
      .all() as number[];
  } finally {
    catalog.close();
  }
}

const WORDS = CHOICES.flatMap((choice) => Object.keys(WAYS).map((way) => wordOf(choice, way)));
const OPEN_WORDS = Object.keys(WAYS)
  .map((way) => wordOf('open', way))
  .sort();

test('contents are encrypted by filter file and default, and can be restored in every way', async (t) => {
  const { home, tree, store, secret, filter } = mixed(t);
  const place = ['-D', store, '-C', 'me', ...secret];
  const args = ['--local', '--compress-data', 'none', '--efilter-file', filter];
  const restored = (name: string, from: readonly string[]) =>
    restoredBy(from, tree, path.join(home, name));
  await backup([...place, ...args, '--def-crypt', 'aes', '--create', tree]);
  t.deepEqual(wordsIn(store, WORDS), OPEN_WORDS);
  t.deepEqual(wordsIn(store, ['otter-lamp.gz', 'efilter', 'chacha']), [], 'names stay sealed');
  t.deepEqual(await schemesIn(store), [2, 3, 4]);
  t.deepEqual(await restored('local', place), []);
  t.is((await backup([...place, ...args, tree])).progress.contentsSent, 0);
  fs.rmSync(path.join(store, 'me', 'tardis.db'));
  await succeed('sonic', ['rebuild', '-D', store, '-C', 'me']);
  t.deepEqual(await schemesIn(store), [2, 3, 4]);
  t.deepEqual(await restored('rebuilt', place), []);
  const server = await Server.during(t, store);
  t.deepEqual(await restored('far', [...server.clientArgs, '-C', 'me', ...secret]), []);
  // The same by a configuration file, and through a server.
  const config = path.join(home, 'config');
  const lines = [
    '[Tardis]',
    'DefaultCrypt = none',
    `CryptFilterFile = ${filter}`,
    'CompressData = none',
  ];
  fs.writeFileSync(config, lines.join('\n'));
  const far = [...server.clientArgs, '-C', 'far', ...secret];
  await backup([...far, '--create', '--config', config, tree]);
  const readable = WORDS.filter(
    (word) => !word.includes('-cha-') && word !== wordOf('usual', 'parts'),
  );
  t.deepEqual(wordsIn(path.join(store, 'far'), WORDS), readable.sort());
  t.deepEqual(await restored('from far', far), []);
});

test('a choice that has changed holds for what is sent from then on', async (t) => {
  const { home, tree, store, secret, filter } = mixed(t);
  for (const choice of CHOICES) fs.rmSync(path.join(tree, choice, 'parts'), { force: true });
  const place = ['-D', store, '-C', 'me', ...secret];
  const args = ['--local', '--compress-data', 'none', '--efilter-file', filter];
  await backup([...place, ...args, '--create', tree]);
  // The file is encrypted so far. Its first change stores a signature, so that the second is sent as a delta.
  const large = path.join(tree, 'usual', 'large');
  const insert = (word: string): void => {
    const bytes = fs.readFileSync(large);
    fs.writeFileSync(
      large,
      Buffer.concat([bytes.subarray(0, MIB), Buffer.from(word), bytes.subarray(MIB)]),
    );
  };
  insert('Zebrafink-1-7F3A9C');
  await backup([...place, ...args, tree]);
  const before = look(tree);
  fs.writeFileSync(filter, '#o,none\npath accept /.*/usual/\n');
  insert('Zebrafink-2-7F3A9C');
  fill(tree, { 'usual/new': 'Axolotl-new-3C9E', 'open/new': 'Axolotl-secret-3C9E' });
  // A copy of a stored content is not stored again, so it stays as first stored.
  fs.copyFileSync(path.join(tree, 'usual', 'single'), path.join(tree, 'usual', 'copy'));
  const { progress } = await backup([...place, ...args, tree]);
  t.is(progress.deltasSent, 1, 'on a basis that is encrypted');
  const changes = [
    'Zebrafink-1-7F3A9C',
    'Zebrafink-2-7F3A9C',
    'Axolotl-new-3C9E',
    'Axolotl-secret-3C9E',
  ];
  t.deepEqual(wordsIn(store, changes), ['Axolotl-new-3C9E']);
  t.false(wordsIn(store, WORDS).includes(wordOf('usual', 'single')));
  const restore = async (name: string, ...more: string[]): Promise<string> => {
    await succeed('regenerate', [...place, '-o', path.join(home, name), ...more, tree]);
    return path.join(home, name, 'tree');
  };
  t.deepEqual(differences(look(tree), look(await restore('newest'))), []);
  t.deepEqual(differences(before, look(await restore('older', '-b', '2'))), []);
});

test('a client that does not encrypt gets no advice about encryption', async (t) => {
  const { tree, store, filter, secret } = mixed(t);
  const place = ['-D', store, '-C', 'me', '--local'];
  const refused = async (...args: string[]): Promise<void> => {
    const { status, stderr } = await run('tardis', [...place, ...args, path.join(tree, 'open')]);
    t.is(status, 1);
    t.regex(stderr, /me does not encrypt, so it cannot use .*\[CONFIG_INVALID\]/);
  };
  await refused('--create', '--efilter-file', filter);
  await refused('--create', ...secret, '--no-crypt', '--def-crypt', 'aes');
  t.false(fs.existsSync(path.join(store, 'me')), 'nothing was made');
  fs.rmSync(path.join(tree, 'open', 'parts'));
  await backup([...place, '--create', path.join(tree, 'open')]);
  await refused('--efilter-file', filter);
  await refused('--def-crypt', 'none');
});
