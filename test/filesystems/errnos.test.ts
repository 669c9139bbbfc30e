// Pace: slow
/** Each error of the system, at a store or at a target, has its name and the code of its kind. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asTardisError, type ErrorCode, type Operation } from '../../src/errors/index.js';
import { isThere } from '../../src/system/index.js';
import { run, type Tool, succeed } from '../helpers/commands.js';
import { callsThrew, failWith } from '../helpers/failing-calls.js';
import { Mounts } from '../helpers/mounts.js';
import { seed } from '../helpers/seed.js';
import { ofThisRun } from '../helpers/share.js';
import { addTo, differences, file, look, makeTree, node, noise } from '../helpers/tree.js';
import { written } from '../helpers/scratch.js';

/** Numbers of Linux: 41 and 58 are not used. */
const NUMBERS = Array.from({ length: 133 }, (_, at) => at + 1).filter(
  (number) => ![41, 58].includes(number),
);
/** Errors that FUSE or the system takes as an answer of its own to a request for a file's status. */
const NOT_PASSED = new Set([4, 85]);
const OPERATIONS: readonly Operation[] = [
  'unknown',
  'readStore',
  'writeStore',
  'useCache',
  'openSource',
  'readSource',
  'writeTarget',
  'useNamedFile',
  'readKeyFile',
  'writeKeyFile',
  'useTemporary',
];

interface Failing {
  readonly mounts: Mounts;
  /** The directory through the failing file system. */
  readonly at: string;
  /** The directory itself. */
  readonly real: string;
  /** The file that has the errors that the file system shall return. */
  readonly broken: string;
  /** Lets operations on paths with this end fail with an error from now on (see lying-fuse.cc); 0: with none. */
  readonly fail: (errno: number, operations?: string, end?: string) => void;
}

async function failing(
  t: ExecutionContext,
  work: (it: Failing) => Promise<void>,
  lies: Readonly<Record<string, string>> = {},
): Promise<void> {
  await Mounts.during(t, async (mounts) => {
    const real = mounts.directory('real');
    const broken = path.join(mounts.home, 'broken');
    const fail: Failing['fail'] = (errno, operations = 'sorlwf', end = '*') => {
      failWith(broken, errno === 0 ? undefined : { errno, operations, end });
    };
    const at = await mounts.lie('failing', real, { broken, ...lies });
    await work({ mounts, at, real, broken, fail });
  });
}

test('every error of Linux has its name and a meaning in every operation', async (t) => {
  await failing(t, async ({ mounts, at, real, broken }) => {
    fs.writeFileSync(path.join(real, 'file'), 'text');
    const place = path.join(mounts.view(at), 'file');
    const numbers = NUMBERS.filter((one) => !NOT_PASSED.has(one));
    const failures = numbers.map((errno) => ({ errno, operations: 's', end: 'file' }));
    const byNode = callsThrew({ broken, call: 'nodeStatus', place, failures });
    const byAddon = callsThrew({ broken, call: 'nativeStatus', place, failures });
    const known = new Map(Object.entries(os.constants.errno).map(([name, one]) => [one, name]));
    const seen = new Map<string, number>();
    for (const [at, number] of numbers.entries()) {
      const names = [byNode[at]!, byAddon[at]!].map(({ name, code, message }) => {
        t.notRegex(message, /unknown|system error/i, `${number}`);
        t.true(message.startsWith(`${name}: `), message);
        t.not(code, 'INTERNAL', `${number}`);
        return name!;
      });
      t.is(names[0], names[1], `${number}`);
      t.regex(names[0]!, /^E[A-Z0-9]+$/);
      const inNode = known.get(number);
      if (inNode !== undefined && inNode !== 'EWOULDBLOCK' && inNode !== 'EOPNOTSUPP')
        t.is(names[0], inNode);
      t.is(seen.get(names[0]!), undefined, names[0]);
      seen.set(names[0]!, number);
      const error = Object.assign(new Error('it failed'), { code: names[0] });
      for (const operation of OPERATIONS)
        t.not(asTardisError(error, '', operation).code, 'INTERNAL');
    }
  });
});

/** Errors of a store, with the code that every command must report; those of other classes than a refusal. */
const OF_STORE: readonly (readonly [errno: number, name: string, code: ErrorCode])[] = [
  [5, 'EIO', 'IO_FAILED'],
  [121, 'EREMOTEIO', 'IO_FAILED'],
  [117, 'EUCLEAN', 'IO_FAILED'],
  [74, 'EBADMSG', 'IO_FAILED'],
  [80, 'ELIBBAD', 'IO_FAILED'],
  [116, 'ESTALE', 'IO_FAILED'],
  [107, 'ENOTCONN', 'IO_FAILED'],
  [123, 'ENOMEDIUM', 'IO_FAILED'],
  [124, 'EMEDIUMTYPE', 'IO_FAILED'],
  [66, 'EREMOTE', 'IO_FAILED'],
  [13, 'EACCES', 'STORE_NOT_READABLE'],
  [1, 'EPERM', 'STORE_NOT_READABLE'],
  [126, 'ENOKEY', 'STORE_NOT_READABLE'],
  [129, 'EKEYREJECTED', 'STORE_NOT_READABLE'],
  [24, 'EMFILE', 'TOO_MANY_OPEN_FILES'],
  [12, 'ENOMEM', 'OUT_OF_MEMORY'],
];

test('each error at each status, open, read and list of a store has the code of its kind', async (t) => {
  await failing(t, async ({ mounts, at, real, broken }) => {
    const source = path.join(mounts.home, 'source');
    makeTree(source, [file('small', noise(1, 3000)), file('large', noise(2, 2_000_000))]);
    const store = path.join(real, 'store');
    const where = ['-D', store, '-C', 'me', '--password=long enough for this'];
    await succeed('tardis', [...where, '--local', '--create', source]);
    const place = path.join(mounts.view(at), 'store');
    const look = { broken, call: 'history', place } as const;
    const copied = { errno: 5, operations: 'or', end: 'me/keys/00000001.key' };
    const unharmed = [{ errno: 5, operations: 'sorl', end: '/nothing' }, copied];
    t.deepEqual(callsThrew({ ...look, failures: unharmed }), [null, null], 'a key has a copy');
    const places = [
      ['sor', 'me/format.json'],
      ['sor', '/me/tardis.db'],
      ['sl', '/me'],
      ['s', '/store'],
      ['l', '/me/keys'],
      ['sor', '/00000001.key'],
    ] as const;
    const failures = OF_STORE.flatMap(([errno]) =>
      places.flatMap(([all, end]) =>
        all.split('').map((operations) => ({ errno, operations, end })),
      ),
    );
    const thrown = callsThrew({ ...look, failures });
    for (const [at, { errno, operations, end }] of failures.entries()) {
      const [, name, code] = OF_STORE.find(([one]) => one === errno)!;
      const found = thrown[at];
      const what = `${name} at ${operations} of ${end}: ${found?.message}`;
      t.is(found?.code, code, what);
      t.true(found?.message.includes(name), what);
    }
  });
});

/** Operations that fail at the root, and the kind of run that performs them. */
const HOW = [
  ['s', '--local'],
  ['l', '--dry-run'],
] as const;

test('a root that cannot be opened is missing only if nothing of the disk has failed', async (t) => {
  await failing(t, async ({ mounts, at, real, fail }) => {
    makeTree(path.join(real, 'tree'), [file('small', 'small')]);
    const root = path.join(at, 'tree');
    const place = ['-D', path.join(mounts.home, 'store'), '-C', 'me'];
    const { mountsOf } = mounts;
    await succeed('tardis', [...place, '--local', '--create', root], { mountsOf });
    const whole = await run('lstardis', [...place, '-R', root]);
    const others = [
      [2, 'ENOENT', 'SOURCE_MISSING'] as const,
      [61, 'ENODATA', 'IO_FAILED'] as const,
    ];
    const cases = [...OF_STORE, ...others].flatMap(([errno, name, ofStore]) => {
      const code = ofStore === 'STORE_NOT_READABLE' ? 'SOURCE_MISSING' : ofStore;
      return HOW.map(([operations, how]) => ({ errno, name, code, operations, how }));
    });
    t.log(`TEST_SEED=${seed}`);
    const chosen = ofThisRun(cases, ({ code, how }) => [`${code} ${how}`]);
    for (const { errno, name, code, operations, how } of chosen) {
      fail(errno, operations, '/tree');
      const { status, stderr } = await run('tardis', [...place, how, root], { mountsOf });
      const what = `${name} at ${operations}, ${how}: ${stderr}`;
      t.is(status, 1, what);
      t.regex(
        stderr,
        new RegExp(`cannot open .*tree: [^:]+ \\(${name}\\) (?:.* )?\\[${code}\\]`),
        what,
      );
    }
    fail(0);
    t.is((await run('lstardis', [...place, '-R', root])).stdout, whole.stdout);
  });
});

/** Runs commands on a store, or a target, in the failing file system. */
class Commands {
  readonly source: string;
  private readonly it: Failing;
  private readonly place: readonly string[];

  constructor(it: Failing, parent: string) {
    this.it = it;
    this.source = path.join(it.mounts.home, 'source');
    makeTree(this.source, [file('small', noise(1, 3000)), file('large', noise(2, 3_000_000))]);
    this.place = ['-D', path.join(parent, 'store'), '-C', 'me'];
  }

  backUp(...more: string[]): ReturnType<typeof run> {
    return this.run('tardis', '--local', ...more, this.source);
  }

  run(tool: string, ...more: string[]): ReturnType<typeof run> {
    const [first = '', ...rest] = tool.split(' ');
    return run(first as Tool, [...rest, ...this.place, ...more], {
      mountsOf: this.it.mounts.mountsOf,
    });
  }
}

test('a refused change names its path, and a file that has its owner is not given one', async (t) => {
  await failing(t, async (it) => {
    const commands = new Commands(it, it.at);
    t.is((await commands.backUp('--create')).status, 0);
    for (const [operations, end] of [
      ['w', '*'],
      ['x', '*'],
      ['f', '/lock'],
      ['w', '.pack'],
      ['c', '*'],
    ] as const) {
      fs.appendFileSync(path.join(commands.source, 'small'), 'more');
      it.fail(1, operations, end);
      const { status, stderr } = await commands.backUp();
      it.fail(0);
      if (operations === 'c') {
        t.is(status, 0, stderr);
        continue;
      }
      t.is(status, 1);
      t.regex(stderr, /store\/me\/.*EPERM|EPERM.*store\/me\/.*\[STORE_NOT_WRITABLE\]/);
    }
  });
});

/** A reader, a backup and a change. */
const TOOLS = ['lstardis', 'tardis --local', 'sonic purge --keep-last 1 --yes'];

test('EIO in a format file, in keys or in a catalog is told as a failing disk', async (t) => {
  await failing(t, async (it) => {
    const commands = new Commands(it, it.at);
    const password = '--password=long enough for this';
    t.is((await commands.backUp('--create', password)).status, 0);
    const whole = await commands.run('lstardis', password);
    t.is(whole.status, 0, whole.stderr);
    const cases = ['/format.json', '.key', '/tardis.db'].flatMap((end) =>
      ['s', 'o', 'r'].flatMap((operations) => TOOLS.map((tool) => ({ end, operations, tool }))),
    );
    t.log(`TEST_SEED=${seed}`);
    const chosen = ofThisRun(cases, ({ end, operations, tool }) => [
      `${operations} of ${end}`,
      `${tool} of ${end}`,
    ]);
    for (const { end, operations, tool } of chosen) {
      it.fail(5, operations, end);
      const more = tool.startsWith('tardis') ? [commands.source] : [];
      const { status, stderr } = await commands.run(tool, password, ...more);
      const what = `${tool}, ${operations} of ${end}: ${stderr}`;
      t.is(status, 1, what);
      t.regex(stderr, /\[IO_FAILED\]/, what);
      t.notRegex(stderr, /owner and mode|rebuilds the catalog|recreates|malformed/, what);
    }
    it.fail(0);
    t.is((await commands.run('lstardis', password)).stdout, whole.stdout);
  });
});

test('a quota that is full is a full disk, for a backup and for a restore', async (t) => {
  await failing(t, async (it) => {
    const commands = new Commands(it, it.at);
    t.is((await commands.backUp('--create')).status, 0);
    fs.writeFileSync(path.join(commands.source, 'more'), noise(3, 2_000_000));
    it.fail(122, 'w', '.pack');
    const full = await commands.backUp();
    t.is(full.status, 1);
    t.regex(
      full.stderr,
      /are free, but a quota of its file system is used up.*EDQUOT: disk quota exceeded, open '.*\[DISK_FULL\]/,
    );
    const out = path.join(it.at, 'out');
    it.fail(122, 'w', 'source/large');
    const restored = await commands.run('regenerate', '-o', out, commands.source);
    t.is(restored.status, 1);
    t.regex(
      restored.stderr,
      /the target is full: .* are free, but a quota of its file system is used up \[TARGET_FULL\]/,
    );
    it.fail(0);
    t.is((await commands.backUp()).status, 0);
    t.is((await commands.run('sonic check')).status, 0);
  });
});

for (const [errno, name] of [
  [38, 'ENOSYS'],
  [37, 'ENOLCK'],
  [95, 'EOPNOTSUPP'],
] as const) {
  test(`a file system without locks (${name}) takes a restore, and no store`, async (t) => {
    await failing(t, async (it) => {
      const commands = new Commands(it, it.mounts.home);
      t.is((await commands.backUp('--create')).status, 0);
      it.fail(errno, 'f', '*');
      const out = path.join(it.at, 'out');
      const restored = await commands.run('regenerate', '-o', out, commands.source);
      t.is(restored.status, 0, restored.stderr);
      t.regex(restored.stderr, /^regenerate: the file system does not support locks, so .*\n$/);
      t.deepEqual(differences(look(commands.source), look(path.join(it.real, 'out/source'))), []);
      t.deepEqual(fs.readdirSync(path.join(it.real, 'out')), ['source']);
      const store = ['-D', path.join(it.at, 'other'), '-C', 'me'];
      const { mountsOf } = it.mounts;
      const refused = await run('tardis', [...store, '--local', '--create', commands.source], {
        mountsOf,
      });
      t.is(refused.status, 1);
      t.regex(refused.stderr, /has no locks \(flock\) \[STORE_WITHOUT_LOCKS\]/);
    });
  });
}

test('a configuration on a disk that fails or is away is not taken for missing', async (t) => {
  await failing(t, async (it) => {
    const place = (name: string): string => path.join(it.mounts.view(it.at), name);
    fs.writeFileSync(path.join(it.real, 'file'), 'text');
    fs.symlinkSync('/not/mounted', path.join(it.real, 'link'));
    const seen = (): boolean[] => ['file', 'link', 'none', 'file/x'].map(place).map(isThere);
    t.deepEqual(seen(), [true, true, false, false]);
    it.fail(5, 's');
    t.deepEqual(seen(), [true, true, true, true]);
    it.fail(13, 's');
    t.deepEqual(seen(), [false, false, false, false], 'a directory that this user may not enter');
    it.fail(0);
  });
});

for (const errno of [37, 95]) {
  test(`a store is not taken for busy where its file system has no locks (${errno})`, async (t) => {
    const reading = async (it: Failing): Promise<void> => {
      const { mountsOf } = it.mounts;
      const commands = new Commands(it, it.real);
      t.is((await commands.backUp('--create')).status, 0);
      it.fail(errno, 'f', '*');
      const store = ['-D', path.join(it.at, 'store'), '-C', 'me'];
      for (const [tool, ...words] of [
        ['lstardis', ...store],
        ['sonic', 'list', ...store],
        ['tardis', '--local', ...store, commands.source],
      ] as const) {
        const { status, stderr } = await run(tool, words, { mountsOf });
        t.is(status, 1, tool);
        t.regex(stderr, /has no locks \(flock\) \[STORE_WITHOUT_LOCKS\]/, tool);
      }
    };
    await failing(t, reading, { locks: 'passed' });
  });
}

test('without /proc every command says so, and nothing of a client that it is not there', async (t) => {
  await failing(t, async (it) => {
    const commands = new Commands(it, it.mounts.home);
    t.is((await commands.backUp('--create')).status, 0);
    const { mounts } = it;
    mounts.run('mount', '-t', 'tmpfs', 'none', '/proc');
    for (const [tool, ...more] of [
      ['lstardis'],
      ['tardis --local --create', commands.source],
      ['regenerate', '-o', path.join(mounts.home, 'out'), commands.source],
      ['sonic check'],
    ] as const) {
      const { status, stderr } = await commands.run(tool, ...more);
      t.is(status, 1, stderr);
      t.regex(stderr, /^\w+: \/proc is not mounted \[PROC_MISSING\]\n.*mount -t proc/, tool);
    }
    const { mountsOf } = mounts;
    await succeed('lstardis', ['--help'], { mountsOf });
    mounts.run('umount', '/proc');
    t.is((await commands.run('lstardis')).status, 0);
  });
});

test('root is not advised to be root if a device node is refused, nor to look at modes if a file is no directory', async (t) => {
  await failing(t, async (it) => {
    const commands = new Commands(it, it.mounts.home);
    addTo(commands.source, node('device', 'characterDevice', {}, 259n));
    t.is((await commands.backUp('--create')).status, 0);
    it.fail(1, 'x', '/device');
    const out = path.join(it.at, 'out');
    const { status, stderr } = await commands.run('regenerate', '-o', out, commands.source);
    t.is(status, 3, stderr);
    t.regex(
      stderr,
      /device: this system or its file system refuses it, even to root \[SPECIAL_FILE\]/,
    );
    t.notRegex(stderr, /only root/);
    it.fail(0);
    const place = written(it.mounts.home, 'a file', '');
    const refused = await commands.run('regenerate', '-o', place, commands.source);
    t.is(refused.status, 1);
    t.regex(
      refused.stderr,
      /a file is no directory, so nothing can be restored into it: name a directory \[USAGE\]/,
    );
    t.notRegex(refused.stderr, /owner and mode|--overwrite/);
  });
});
