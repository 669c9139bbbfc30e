// Pace: slow
/** `tardis-import --sets` of tar files: each becomes a set, and none writes outside of the directory in which it is unpacked. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { codeIn } from '../helpers/codes.js';
import { backupsRunHere, run, Running, succeed } from '../helpers/commands.js';
import { differences, dir, file, look, makeTree, symlink } from '../helpers/tree.js';
import { lab } from '../helpers/lab.js';

backupsRunHere();

/** Makes a lab, and the words of an import of all tar files in it. */
function tarLab(t: ExecutionContext) {
  const { at, place } = lab(t, []);
  return { at, client: place, words: [...place, '--create', '--sets', at('of-%Y-%m-%d.tar*')] };
}

test('each dated tar file becomes a set, compressed or not, and equals it', async (t) => {
  const { at, client, words } = tarLab(t);
  const kinds = [
    ['2024-03-01', '.tar'],
    ['2024-03-02', '.tar.gz'],
    ['2024-03-03', '.tar.xz'],
  ] as const;
  const trees = kinds.map(([day, ending]) => {
    fs.rmSync(at('me'), { recursive: true, force: true });
    makeTree(at('me'), [dir('closed', [file('note', `of ${day}`)]), symlink('away', '/etc')]);
    fs.linkSync(at('me/closed/note'), at('me/twin'));
    fs.chmodSync(at('me/closed'), 0o555);
    execFileSync('tar', ['--format=pax', '-caf', at(`of-${day}${ending}`), '-C', at('.'), 'me']);
    fs.writeFileSync(at(`of-${day}${ending}.md5`), 'no archive');
    return look(at('me'));
  });
  const verified = await succeed('tardis-import', [...words, '--verify']);
  t.is([...verified.matchAll(/^Compared set .*: equal; /gm)].length, kinds.length, verified);
  t.is(await succeed('tardis-import', words), '');
  for (const [index, tree] of trees.entries()) {
    const out = at(`out ${index}`);
    await succeed('regenerate', [...client, '-b', String(index + 1), '-o', out, '/me']);
    t.deepEqual(differences(tree, look(path.join(out, 'me'))), []);
  }
  await succeed('tardis-import', [...words, '-C', 'other', '--kept-as', '/home']);
  const listed = await succeed('lstardis', ['-D', at('store'), '-C', 'other', '/home/me']);
  t.regex(listed, /closed/);
});

test('a tar file that names another place is refused, and nothing is written there', async (t) => {
  const { at, words } = tarLab(t);
  fs.mkdirSync(at('work/deep'), { recursive: true });
  fs.mkdirSync(at('target'));
  fs.writeFileSync(at('work/stolen'), 'x');
  fs.symlinkSync(at('target'), at('work/deep/way'));
  fs.mkdirSync(at('other/deep/way'), { recursive: true });
  fs.writeFileSync(at('other/deep/way/stolen'), 'x');
  const archive = at('of-2024-03-01.tar');
  const hostile: readonly (readonly string[])[] = [
    ['-C', at('work/deep'), '../stolen'],
    ['-C', at('work'), 'deep/way', '-C', at('other'), 'deep/way/stolen'],
  ];
  for (const members of hostile) {
    execFileSync('tar', ['-P', '-cf', archive, ...members]);
    const { status, stderr } = await run('tardis-import', words);
    t.is(status, 3, stderr);
    t.regex(stderr, /left out:\n.*03-01\.tar \[IMPORT_SOURCE_DAMAGED\]\n$/, stderr);
  }
  t.deepEqual(fs.readdirSync(at('target')), []);
});

test('a link at the top of a tar file is a link, and nothing behind it is read', async (t) => {
  const { at, client, words } = tarLab(t);
  makeTree(at('elsewhere'), [file('secret', 'of somebody else')]);
  makeTree(at('top'), [dir('usr', [dir('bin', [file('sh', 'x')])])]);
  fs.symlinkSync(at('elsewhere'), at('top/lnk'));
  fs.symlinkSync('usr/bin', at('top/bin'));
  const names = fs.readdirSync(at('top'));
  execFileSync('tar', ['-cf', at('of-2024-03-01.tar'), '-C', at('top'), ...names]);
  await succeed('tardis-import', words);
  const out = at('out');
  await succeed('regenerate', [...client, '--all', '-o', out]);
  t.deepEqual(fs.readdirSync(out).sort(), ['bin', 'lnk', 'usr']);
  t.is(fs.readlinkSync(path.join(out, 'bin')), 'usr/bin');
  t.is(fs.readlinkSync(path.join(out, 'lnk')), at('elsewhere'));
  t.is((await run('lstardis', [...client, path.join('/lnk', 'secret')])).status, 1);
});

test('one damaged state is left out and named, whatever comes after it; --strict ends there', async (t) => {
  const { at, client, words } = tarLab(t);
  makeTree(at('me'), [file('note', 'x'.repeat(20_000))]);
  for (const day of [1, 2, 3]) {
    execFileSync('tar', ['-czf', at(`of-2024-03-0${day}.tar.gz`), '-C', at('.'), 'me']);
  }
  fs.truncateSync(at('of-2024-03-02.tar.gz'), 50);
  t.is(
    codeIn(await run('tardis-import', [...words, '-C', 'strict', '--strict'])),
    'IMPORT_SOURCE_DAMAGED',
  );
  const named = /1 of 3 states left out:\n.*of-2024-03-02\.tar\.gz \[IMPORT_SOURCE_DAMAGED\]\n$/;
  const { status, stderr } = await run('tardis-import', words);
  t.is(status, 3);
  t.regex(stderr, named);
  const again = await run('tardis-import', words);
  t.is(again.status, 3);
  t.regex(again.stderr, /1 of 3 states left out:\n.*03-02\.tar\.gz: it is older than sets/);
  const listed = await succeed('lstardis', client);
  t.regex(listed, /2024-03-01.*\n.*2024-03-03/);
  t.notRegex(listed, /2024-03-02/);
});

test('an import that ends while another program writes leaves nothing, and what a killed one leaves goes later', async (t) => {
  const { at, words } = tarLab(t);
  const [TMPDIR, bin] = [at('tmp'), at('bin')];
  fs.mkdirSync(TMPDIR);
  fs.mkdirSync(bin);
  execFileSync('tar', ['-cf', at('of-2024-03-01.tar'), '-C', at('.'), 'tmp']);
  const stubborn = `#!/bin/sh\ntrap '' TERM\necho secret >letter\necho $$ >${at('pid')}\nexec sleep 600\n`;
  fs.writeFileSync(path.join(bin, 'tar'), stubborn, { mode: 0o755 });
  const slow = { env: { TMPDIR, PATH: `${bin}:${process.env['PATH']}` } };
  const begun = async (): Promise<{ running: Running; pid: number }> => {
    fs.rmSync(at('pid'), { force: true });
    const running = new Running('tardis-import', words, slow);
    const pidOf = (): number =>
      Number(fs.existsSync(at('pid')) && fs.readFileSync(at('pid'), 'utf8'));
    await running.until('tar', () => pidOf() > 0);
    return { running, pid: pidOf() };
  };
  const left = (): string[] =>
    fs.readdirSync(TMPDIR).filter((name) => name.startsWith('tardis-import-'));
  const stopped = await begun();
  const { status, stderr } = await stopped.running.endedBy('SIGTERM');
  t.is(status, 143, stderr);
  t.regex(stderr, /the next run continues with this set\n.*\[INTERRUPTED\]/s);
  t.false(fs.existsSync(`/proc/${stopped.pid}`), 'it is waited for');
  t.deepEqual(left(), []);
  const killed = await begun();
  await killed.running.endedBy('SIGKILL').catch(() => undefined);
  process.kill(killed.pid, 'SIGKILL');
  const [secret] = left();
  t.is(fs.readFileSync(path.join(TMPDIR, secret!, 'state/letter'), 'utf8'), 'secret\n');
  const others = await begun();
  const [kept] = left();
  t.deepEqual([left().length, kept !== secret], [1, true], 'that of the killed one is gone');
  await succeed('tardis-import', [...words, '-C', 'other'], { env: { TMPDIR } });
  t.deepEqual(left(), [kept], 'that of a running one stays');
  await others.running.endedBy('SIGTERM');
});
