// Pace: slow
/** Restores onto file systems with fewer features than the source: every loss is reported. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backup, run, commandsRunHere, poolsStayAway } from '../helpers/commands.js';
import { Mounts } from '../helpers/mounts.js';
import { addTo, dir, file } from '../helpers/tree.js';
import { written } from '../helpers/scratch.js';

commandsRunHere();
poolsStayAway();

const MIB = 1 << 20;

/** Mounts a file system that ignores case in names, and lists them in lower case. */
function foldingTarget(mounts: Mounts): Promise<string> {
  const image = written(mounts.home, 'ntfs.image', '');
  fs.truncateSync(image, 32 * MIB);
  mounts.run('mkfs.ntfs', '-q', '-F', '-f', image);
  return mounts.serve('ntfs', 'lowntfs-3g', ['-o', 'no_detach,ignore_case', image]);
}

test('names that differ in case only do not replace each other on a file system that takes them for one', (t) =>
  Mounts.during(t, async (mounts) => {
    const target = await foldingTarget(mounts);
    const source = mounts.directory('source');
    addTo(source, dir('Notes', [file('a', 'in Notes')]));
    addTo(source, dir('notes', [file('a', 'in notes')]));
    for (const [name, text] of [
      ['README', 'capitals'],
      ['readme', 'small'],
      ['caf\u00e9', 'composed'],
      ['cafe\u0301', 'decomposed'],
      ['K', 'a letter'],
      ['\u212a', 'a sign'],
      ['only', 'one'],
    ] as const) {
      addTo(source, file(name, text));
    }
    const place = ['-D', path.join(mounts.home, 'store'), '-C', 'me'];
    await backup([...place, '--local', '--create', source]);
    const plain = ['--no-set-perms', '--no-set-owner'];
    for (const how of [['-O'], ['-O', 'newer'], ['-O', 'never'], []]) {
      const at = path.join(target, `out ${how.join(' ')}`);
      const { status, stderr } = await run(
        'regenerate',
        [...place, ...plain, ...how, '-o', at, source],
        { mountsOf: mounts.mountsOf },
      );
      t.is(status, 3, stderr);
      t.regex(stderr, /source\/readme: .*takes its name for that of "README".* \[TARGET_EXISTS\]/);
      t.regex(stderr, /source\/notes: .*takes its name for that of "Notes".* \[TARGET_EXISTS\]/);
      const restored = path.join(mounts.view(at), 'source');
      t.deepEqual(fs.readdirSync(restored).sort(), [
        'cafe\u0301',
        'caf\u00e9',
        'k',
        'notes',
        'only',
        'readme',
        '\u212a',
      ]);
      t.is(fs.readFileSync(path.join(restored, 'readme'), 'utf8'), 'capitals');
      t.is(fs.readFileSync(path.join(restored, 'notes/a'), 'utf8'), 'in Notes');
    }
  }));

test('names from several sets do not replace each other either', (t) =>
  Mounts.during(t, async (mounts) => {
    const target = await foldingTarget(mounts);
    const source = mounts.directory('source');
    addTo(source, dir('A', [file('FILE', 'of set 1'), file('plain', 'of set 1')]));
    const place = ['-D', path.join(mounts.home, 'store'), '-C', 'me'];
    await backup([...place, '--local', '--create', source]);
    fs.rmSync(path.join(source, 'A'), { recursive: true });
    addTo(source, dir('B', [file('file', 'of set 2'), file('plain', 'of set 2')]));
    await backup([...place, '--local', source]);
    const last = (name: string, ...paths: string[]): ReturnType<typeof run> => {
      const wanted = paths.map((one) => path.join(source, one));
      const how = ['--last', '-O', '--no-set-perms', '--no-set-owner'];
      const out = ['-o', path.join(target, name)];
      return run('regenerate', [...place, ...how, ...out, ...wanted], {
        mountsOf: mounts.mountsOf,
      });
    };
    const folded = await last('folded', 'A/FILE', 'B/file');
    t.is(folded.status, 3, folded.stderr);
    t.regex(folded.stderr, /takes its name for that of .* \[TARGET_EXISTS\]/);
    t.is(fs.readdirSync(path.join(mounts.view(target), 'folded')).length, 1);
    const equal = await last('equal', 'A/plain', 'B/plain');
    t.is(equal.status, 1, equal.stderr);
    t.regex(equal.stderr, /would both become "plain".* \[USAGE\]/);
    t.false(fs.existsSync(path.join(mounts.view(target), 'equal')));
    const apart = await last('apart', 'A/FILE', 'B/plain', 'B/plain');
    t.is(apart.status, 0, apart.stderr);
  }));

test('what a file system takes and does not keep is reported once', (t) =>
  Mounts.during(t, async (mounts) => {
    const small = ['mkfs.ext4', '-q', '-F', '-I', '128'] as const;
    const target = mounts.mountImage('ext4', 48 * MIB, [...small], 'ext4');
    const source = mounts.directory('source');
    addTo(source, file('a', 'text'));
    addTo(source, file('b', 'text'));
    const place = ['-D', path.join(mounts.home, 'store'), '-C', 'me'];
    await backup([...place, '--local', '--create', source]);
    const { mountsOf } = mounts;
    const onto = (at: string, ...more: string[]): ReturnType<typeof run> =>
      run('regenerate', [...place, ...more, '-o', at, source], { mountsOf });
    const reported = await onto(path.join(target, 'out'));
    t.is(reported.status, 0, reported.stderr);
    t.is(
      reported.stderr,
      'regenerate: the file system does not support times finer than seconds, times after 2038\n',
    );
    const json = await onto(path.join(target, 'json'), '--json');
    const losses = ['times finer than seconds', 'times after 2038'];
    t.deepEqual((JSON.parse(json.stdout) as { losses: string[] }).losses, losses);
    const untimed = await onto(path.join(target, 'untimed'), '--no-set-times');
    t.is(untimed.stderr, '');
    const here = await onto(path.join(mounts.home, 'here'));
    t.is(here.stderr, '');
    t.deepEqual(fs.readdirSync(path.join(mounts.view(target), 'out')), ['source']);
  }));
