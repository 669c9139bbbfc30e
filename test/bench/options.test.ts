import test from 'ava';
import { isInstalled } from '../../bench/subjects/choose.js';
import { parseOptions, UsageError } from '../../bench/options.js';

test('one question is measured at a time, with its own defaults', (t) => {
  t.like(parseOptions([]), { question: 'comparison', pi: false, runs: 5, files: 80_000 });
  const delay = { question: 'delay', delayMs: 100, runs: 2, files: 8000 } as const;
  t.like(parseOptions(['--delay', '100', '--quick']), delay);
  t.deepEqual(parseOptions(['--growth'])?.sizes, [10_000, 100_000, 1_000_000]);
  const growth = { question: 'growth', sizes: [1000, 4000], runs: 1 } as const;
  t.like(parseOptions(['--growth', '--quick']), growth);
  t.deepEqual(parseOptions(['--growth', '--sizes', '500,200,500'])?.sizes, [200, 500]);
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
    question: 'releases',
    releases,
    files: 3000,
    runs: 1,
    peers: ['restic', 'borg'],
  });
  t.deepEqual(
    parseOptions(['--releases', '--history', '/some', '--tags', '1.0,1.1'])?.releases?.tags,
    ['1.0', '1.1'],
  );
});

test('syncing is measured where there is a disk', (t) => {
  t.like(parseOptions(['--sync']), { question: 'sync', work: '.' });
  t.like(parseOptions(['--sync', '--work', '/tmp']), { question: 'sync', work: '/tmp' });
  t.like(parseOptions([]), { question: 'comparison', work: '/dev/shm' });
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
  t.like(parseOptions(['--disk']), { question: 'comparison', disk: true, work: '.' });
  t.throws(() => parseOptions(['--disk', '--tune']), { instanceOf: UsageError });
  t.like(parseOptions(['--disk', '--shapes', '--scale', '5']), {
    question: 'shapes',
    disk: true,
    scale: 0.05,
  });
  const tune = { question: 'tune', disk: false, work: '/dev/shm', runs: 3 } as const;
  t.like(parseOptions(['--tune']), tune);
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
