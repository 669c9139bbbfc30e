// Pace: long
/**
 * A directory that shows an archive of restic or Borg becomes the next one: as a restore of all of it, and with what both
 * have alike untouched. TEST_SEED replays a run.
 */
import { isUtf8 } from 'node:buffer';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Borg, BorgItems, Programs, Restic, StatePlace } from '../../src/import/index.js';
import { editAtRandom } from '../helpers/random-edits.js';
import { chooser, randomTree } from '../helpers/random-tree.js';
import { mayUse, REPOSITORIES } from '../helpers/repositories.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { seed } from '../helpers/seed.js';
import { differences, dir, file, hardlink, look, makeTree, symlink } from '../helpers/tree.js';

const ENTRIES = 150;
const EDITS = 2;
const { signal } = new AbortController();
/** The environment has the password. */
const password = { given: undefined, prompt: () => Promise.reject(new Error('no prompt')) };

/** Names that a pattern, a list with a name on each line, or a text in UTF-8 could not have as they are. */
const ODD = [
  'a*b?[c]{d,e}',
  'back\\slash',
  'new\nline',
  ' # space ',
  '-x',
  '$HOME',
  'ünï',
  '"',
  '!a',
];
const STRAY = Buffer.from('caf\xe9', 'latin1');

/** Returns inode, change time and number of names of each file below a directory, by its path as Latin-1. */
function identities(top: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of look(top).keys()) {
    const full = Buffer.concat([Buffer.from(`${top}/`), Buffer.from(name, 'latin1')]);
    const { ino, ctimeNs, nlink, mode } = fs.lstatSync(full, { bigint: true });
    if ((mode & 0o170000n) !== 0o040000n) found.set(name, `${ino} ${ctimeNs} ${nlink}`);
  }
  return found;
}

/** A repository in which a test saves states of a directory. */
function labOf(t: ExecutionContext, program: 'restic' | 'borg') {
  const home = scratchInMemory(t);
  const at = (part: string): string => `${home}/${part}`;
  const { make, save, env } = REPOSITORIES[program];
  const more = { HOME: home, XDG_CACHE_HOME: at('cache'), ...env(at('repository')) };
  for (const [name, value] of Object.entries(more)) {
    const before = process.env[name];
    process.env[name] = value;
    t.teardown(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
  const call = (words: readonly string[]): void => {
    execFileSync(program, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  call(make(at('repository')));
  const place = (): StatePlace => {
    const made = new StatePlace();
    t.teardown(() => made[Symbol.dispose]());
    return made;
  };
  let saved = 0;
  return {
    at,
    place,
    save: (source: string): void => {
      saved += 1;
      call(save(source, `2024-0${saved}-01 03:00:00`, at('repository')));
    },
    open: () => {
      const programs = new Programs(signal);
      return new (program === 'restic' ? Restic : Borg)(at('repository'), programs);
    },
  };
}

/** Shows all archives in one place, and compares each with a restore of all into another place. Calls `after` for each. */
async function showAll(
  t: ExecutionContext,
  lab: ReturnType<typeof labOf>,
  after: (top: string, index: number) => void = () => undefined,
): Promise<void> {
  const repository = lab.open();
  const { dated } = await repository.archives(password);
  const place = lab.place();
  for (const [index, archive] of dated.entries()) {
    const { saved: roots } = await repository.show(archive, place);
    // Directories above what was saved are no part of it.
    t.true(roots.every((root) => `/${root.toString()}`.startsWith(lab.at(''))));
    t.is(roots.length, 1);
    const whole = lab.place();
    await lab.open().show(archive, whole);
    // Directories above what was saved are no part of an archive of Borg.
    const isSaved = ([name]: readonly [string, string]): boolean =>
      `/${name}`.startsWith(lab.at(''));
    const [found, wanted] = [place, whole].map(
      ({ directory }) => new Map([...look(directory)].filter(isSaved)),
    );
    t.true(wanted!.size > 1);
    t.deepEqual(differences(wanted!, found!), [], `archive ${index + 1}`);
    after(place.directory.toString(), index);
  }
}

/** Makes a tree with odd names, of which each edit changes some in one way. */
function makeOdd(source: string): void {
  const children = [...ODD, STRAY].flatMap((name) => [
    file(name, 'as it was'),
    dir(Buffer.concat([Buffer.from(name), Buffer.from(' dir')]), [file('in it', 'x'), file(name)]),
  ]);
  makeTree(source, [
    dir('odd', children),
    dir('becomes file', [dir('deep', [file('lost', 'x')])]),
    file('becomes directory', 'x'),
    symlink('link', 'odd'),
    dir('gone', [dir('deep', [file('lost', 'x')])]),
    dir('mode only', [file('kept', 'x')]),
    dir('links', [file('a', 'of three'), hardlink('b', 'links', 'a'), hardlink('c', 'links', 'a')]),
    file('kept', 'x'),
  ]);
}

const EDITS_OF_ODD: readonly ((source: string) => void)[] = [
  (source) => {
    for (const name of [...ODD.map((one) => Buffer.from(one)), STRAY]) {
      fs.writeFileSync(Buffer.concat([Buffer.from(`${source}/odd/`), name]), 'changed');
      const below = Buffer.concat([Buffer.from(`${source}/odd/`), name, Buffer.from(' dir/in it')]);
      fs.writeFileSync(below, 'changed');
    }
    fs.rmSync(`${source}/links/a`);
    fs.chmodSync(`${source}/mode only`, 0o700);
  },
  (source) => {
    for (const name of ['becomes file', 'becomes directory', 'link', 'gone']) {
      fs.rmSync(path.join(source, name), { recursive: true });
    }
    fs.writeFileSync(`${source}/becomes file`, 'x');
    makeTree(`${source}/becomes directory`, [file('a', 'x')]);
    makeTree(`${source}/link`, [file('kept', 'x')]);
    fs.linkSync(`${source}/links/b`, `${source}/odd/d`);
    for (const name of [...ODD.map((one) => Buffer.from(one)), STRAY]) {
      fs.rmSync(Buffer.concat([Buffer.from(`${source}/odd/`), name]));
    }
  },
  (source) => fs.renameSync(`${source}/odd`, `${source}/even`),
];

for (const program of ['restic', 'borg'] as const) {
  test.serial(`${program}: only what differs is written, whatever differs`, async (t) => {
    if (!mayUse(t, program)) return;
    const lab = labOf(t, program);
    const choose = chooser(seed);
    const source = lab.at('tree');
    makeTree(source, randomTree(choose, ENTRIES));
    const states: Map<string, string>[] = [];
    for (let index = 0; index <= EDITS; index += 1) {
      if (index > 0) editAtRandom(choose, source, index);
      states.push(identities(source));
      lab.save(source);
    }
    let shown = new Map<string, string>();
    let untouched = 0;
    await showAll(t, lab, (top, index) => {
      const now = identities(path.join(top, source));
      for (const [name, identity] of states[index]!) {
        // restic does not name bytes that are not UTF-8, nor all names of one file, so more of these is written.
        const isPlain = isUtf8(Buffer.from(name, 'latin1')) && identity.endsWith(' 1');
        if (program === 'restic' && !isPlain) continue;
        if (states[index - 1]?.get(name) !== identity) continue;
        t.is(now.get(name), shown.get(name), `archive ${index + 1}: ${name}`);
        untouched += 1;
      }
      shown = now;
    });
    t.true(untouched > ENTRIES / 2);
  });

  test.serial(`${program}: odd names, other types, links and renamed directories`, async (t) => {
    if (!mayUse(t, program)) return;
    const lab = labOf(t, program);
    const source = lab.at('tree');
    makeOdd(source);
    lab.save(source);
    for (const edit of EDITS_OF_ODD) {
      edit(source);
      lab.save(source);
    }
    let kept: string | undefined;
    await showAll(t, lab, (top) => {
      const now = identities(path.join(top, source)).get('kept');
      t.is(now, kept ?? now);
      kept = now;
    });
  });

  test.serial(
    `${program}: archives of other paths, and a directory that lacks rights`,
    async (t) => {
      if (!mayUse(t, program)) return;
      const lab = labOf(t, program);
      for (const name of ['one', 'other', 'one']) {
        if (!fs.existsSync(lab.at(name))) makeTree(lab.at(name), [dir('x', [file(name, 'x')])]);
        fs.chmodSync(lab.at(name), 0o555);
        lab.save(lab.at(name));
      }
      await showAll(t, lab);
    },
  );
}

for (const program of ['restic', 'borg'] as const) {
  test.serial(`${program}: attributes and access lists that a directory loses`, async (t) => {
    if (!mayUse(t, program)) return;
    const lab = labOf(t, program);
    const source = lab.at('tree');
    const change = (word: string, ...more: string[]): boolean =>
      spawnSync(word, [...more, source]).status === 0;
    makeTree(source, [file('kept', 'x')]);
    if (!change('setfattr', '-n', 'user.a', '-v', '1') || !change('setfacl', '-m', 'u:4321:r')) {
      t.log('left out: no attributes or no ACLs here');
      return t.pass();
    }
    lab.save(source);
    change('setfattr', '-x', 'user.a');
    lab.save(source);
    change('setfacl', '-b');
    lab.save(source);
    await showAll(t, lab);
  });
}

test('a file that has another name, and a path behind a link, are not removed', (t) => {
  const home = scratchInMemory(t);
  using place = new StatePlace();
  const top = place.directory.toString();
  makeTree(path.join(home, 'elsewhere'), [file('a', 'x')]);
  makeTree(`${top}/tree`, [
    file('a', 'x'),
    hardlink('b', 'a'),
    file('c', 'x'),
    symlink('link', path.join(home, 'elsewhere')),
  ]);
  const remove = (...names: string[]): boolean =>
    place.remove(names.map((one) => Buffer.from(one)));
  t.false(remove('tree/c', 'tree/a'));
  t.false(remove('tree/c', 'tree/link/a'));
  t.is(look(top).size, 6);
  t.true(remove('tree/a', 'tree/b', 'tree/link', 'tree/nothing', 'tree/c/d'));
  t.deepEqual(fs.readdirSync(`${top}/tree`), ['c']);
  t.deepEqual(fs.readdirSync(path.join(home, 'elsewhere')), ['a']);
});

test('a list of items that is broken off, or leads out of the directory, is refused', (t) => {
  const listOf = (...paths: string[]): string => {
    const items = paths.map(
      (one) => `    {\n        "mode": 33188,\n        "path": ${JSON.stringify(one)}\n    }`,
    );
    return `{\n    "_items": [\n${items.join(',\n')}\n    ]\n}\n`;
  };
  const read = (text: string): BorgItems => {
    const items = new BorgItems();
    for (const byte of Buffer.from(text)) items.push(Buffer.of(byte));
    items.end();
    return items;
  };
  t.deepEqual(read(listOf('a', '\x7fff61')).paths(), ['a', '\xffa']);
  t.throws(() => read(listOf('a', 'b').slice(0, -5)), { message: /no list of items/ });
  t.throws(() => read(listOf('a/../../b')), { message: /no path/ });
  t.throws(() => read(listOf('a').replace('33188', '"x"')), { message: /no path or mode/ });
});
