import test from 'ava';
import { isInstalled } from '../../bench/installed.js';
import { parseOptions, UsageError } from '../../bench/options.js';

test('one question is measured at a time, with its own defaults', (t) => {
  t.like(parseOptions([]), { delayMs: undefined, growth: [], pi: false, runs: 5, files: 80_000 });
  t.like(parseOptions(['--delay', '100', '--quick']), { delayMs: 100, runs: 2, files: 8000 });
  t.deepEqual(parseOptions(['--growth'])?.growth, [10_000, 100_000, 1_000_000]);
  t.like(parseOptions(['--growth', '--quick']), { growth: [1000, 4000], runs: 1 });
  t.deepEqual(parseOptions(['--growth', '--sizes', '500,200,500'])?.growth, [200, 500]);
  t.deepEqual(parseOptions(['--with', 'rsync', '--with', 'borg'])?.peers, [
    'restic',
    'borg',
    'rsync',
    'raw',
  ]);
});

test('--releases needs peers that keep versions', (t) => {
  const releases = { history: undefined, tags: [], count: 10 };
  t.like(parseOptions(['--releases']), {
    releases,
    files: 3000,
    runs: 1,
    peers: ['restic', 'borg'],
  });
  t.deepEqual(
    parseOptions(['--releases', '--history', '/some', '--tags', '1.0,1.1'])?.releases?.tags,
    ['1.0', '1.1'],
  );
  t.is(parseOptions([])?.releases, undefined);
});

test('syncing is measured where there is a disk', (t) => {
  t.like(parseOptions(['--sync']), { sync: true, work: '.' });
  t.like(parseOptions(['--sync', '--work', '/tmp']), { sync: true, work: '/tmp' });
  t.like(parseOptions([]), { sync: false, work: '/dev/shm' });
});

test('what makes no sense is refused', (t) => {
  for (const wrong of [
    ['--delay', '0'],
    ['--delay', 'long'],
    ['--delay', '100', '--growth'],
    ['--sync', '--parity'],
    ['--shapes', '--growth'],
    ['--scale', '1'],
    ['--shapes', '--with', 'raw'],
    ['--with', 'rdiff'],
    ['--sizes', '100'],
    ['--growth', '--sizes', '1,x'],
    ['--plots', '/no/such/place'],
    ['--with', 'nobody'],
    ['--history', '/some'],
    ['--releases', '--growth'],
    ['--releases', '--with', 'rsync'],
    ['--releases', '--tree', '/some'],
    ['--releases', '--tags', '1.0,1.1'],
    ['--releases', '--history', '/some', '--tags', '1.0', '--count', '1'],
  ]) {
    t.throws(() => parseOptions(wrong), { instanceOf: UsageError }, wrong.join(' '));
  }
});

test('a cold disk belongs to the comparison, and is not in memory', (t) => {
  t.like(parseOptions(['--disk']), { disk: true, work: '.', tune: false });
  t.throws(() => parseOptions(['--disk', '--tune']), { instanceOf: UsageError });
  t.like(parseOptions(['--disk', '--shapes', '--scale', '5']), { disk: true, shapesScale: 0.05 });
  t.like(parseOptions(['--tune']), { tune: true, disk: false, work: '/dev/shm', runs: 3 });
});

test('borg and rustic are compared if they are installed, unless they are left out or something else is measured', (t) => {
  t.deepEqual(parseOptions([])?.peersIfThere, ['borg', 'rustic']);
  t.deepEqual(parseOptions(['--with', 'borg', '--without', 'rustic'])?.peersIfThere, []);
  t.deepEqual(parseOptions(['--tune'])?.peersIfThere, []);
  t.true(isInstalled('sh'));
  t.false(isInstalled('no-such-program'));
});

test('paths that cannot be used are refused before anything is measured', (t) => {
  const wrong = [
    ['--tree', '/etc/passwd'],
    ['--tree', '/missing'],
    ['--work', '/etc/passwd'],
    ['--plots', '/etc/passwd'],
    ['--json', '/missing/figures.json'],
    ['--json', '/etc'],
  ] as const;
  for (const [option, value] of wrong) {
    const error = t.throws(() => parseOptions([option, value]), { instanceOf: UsageError });
    t.true(error.message.startsWith(option), error.message);
  }
});

test('options that a question would ignore are refused', (t) => {
  for (const words of [
    ['--tune', '--pi'],
    ['--tune', '--without', 'restic'],
    ['--parity', '--with', 'borg'],
  ]) {
    t.throws(() => parseOptions(words), { instanceOf: UsageError });
  }
  t.notThrows(() => parseOptions(['--releases', '--without', 'borg']));
  t.notThrows(() => parseOptions(['--mount', '--without', 'restic', '--without', 'borg']));
});
