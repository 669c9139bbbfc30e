/** Entries that the walk leaves out, tested with real files. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import {
  type ExcludeOptions,
  LOCAL_RULE_FILE_NAMES,
  MAX_CHAIN_BYTES,
  MAX_RULE_FILE_BYTES,
  RULE_FILE_NAMES,
  SKIP_FILE_NAME,
} from '../../src/excludes/index.js';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import { nodeSystem, type System } from '../../src/system/index.js';
import { InlineJobs, splitBlock } from '../../src/workers/index.js';
import { fill, filled, startAt, systemError, systemWith, walkedOf } from '../helpers/jobs.js';
import { scratch } from '../helpers/scratch.js';

const { native } = nodeSystem();
const USUAL: ExcludeOptions = {
  ...NO_EXCLUDES,
  ruleFileNames: RULE_FILE_NAMES,
  localRuleFileNames: LOCAL_RULE_FILE_NAMES,
  skipFileNames: [SKIP_FILE_NAME],
};

interface Walk {
  readonly excludes?: Partial<ExcludeOptions>;
  readonly maxEntries?: number;
  readonly system?: System;
}

/** Walks to the end, in jobs of at most `maxEntries` entries. Returns the paths without those of rule files. */
async function walk(folder: string, { excludes, maxEntries = 1e5, system }: Walk = {}) {
  const jobs = new InlineJobs(system ?? systemWith());
  const paths: string[] = [];
  const failures: string[] = [];
  const waiting = [startAt(folder)];
  let firstFreeSlot = 1;
  for (;;) {
    const { output } = await jobs.run('walk', {
      tasks: waiting.pop()!,
      firstFreeSlot,
      slotStride: 1,
      maxEntries,
      excludes: { ...USUAL, ...excludes },
    });
    for (const { path: directory, entries, listing, hash } of walkedOf(output)) {
      const names = entries.map(({ name }) =>
        path.relative(folder, `${directory}/${name.toString()}`),
      );
      paths.push(...names.filter((each) => !path.basename(each).startsWith('.tardis')));
      if (hash !== undefined && !hash.equals(native.hashRows(listing)))
        throw new Error('wrong hash');
    }
    failures.push(
      ...output.failures.map(
        ({ path: file, what, reason }) =>
          `${path.relative(folder, Buffer.from(file).toString())} ${what} ${reason}`,
      ),
    );
    // The output is cloned, as between threads, and split, as for several concurrent walks.
    const { pending } = structuredClone(output);
    const half = Math.max(1, Math.ceil(pending.slots.length / 2));
    waiting.push(...splitBlock(pending, half));
    if (waiting.length === 0) return { paths: paths.sort(), failures, output };
    firstFreeSlot = output.nextFreeSlot;
  }
}

test('rule files hold below, local ones beside; a nearer one counts more', async (t) => {
  const folder = filled(t, {
    '.tardis-excludes': '*.o\ndown/\n/only-here\n',
    'a.o': '',
    'down/x': '',
    'only-here': '',
    'sub/.tardis-excludes': '!b.o\n',
    'sub/a.o': '',
    'sub/b.o': '',
    'sub/only-here': '',
    'sub/down': '',
    'sub/deep/b.o': '',
    'sub/deep/c.o': '',
    'sub/deep/.tardis-local-excludes': 'b.o\nx/*\n',
    'sub/deep/x/b.o': '',
    'sub/deep/x/y': '',
  });
  const wanted = [
    'sub',
    'sub/b.o',
    'sub/deep',
    'sub/deep/x',
    'sub/deep/x/b.o',
    'sub/deep/x/y',
    'sub/down',
    'sub/only-here',
  ];
  for (const maxEntries of [1e5, 3, 1]) {
    const { paths, failures } = await walk(folder, { maxEntries });
    t.deepEqual(paths, wanted, `in jobs of ${maxEntries}`);
    t.deepEqual(failures, []);
  }
});

test('a directory that is left out is not read', async (t) => {
  const folder = filled(t, {
    '.tardis-excludes': 'out\n',
    'out/.tardis-excludes': '!*\n',
    'out/x': '',
    in: '',
  });
  const system = systemWith({
    listOrHold: (directory) => {
      if (directory.toString().endsWith('/out')) throw systemError('EIO');
      return native.listDirectory(directory);
    },
  });
  const { paths, failures } = await walk(folder, { system });
  t.deepEqual([paths, failures], [['in'], []]);
});

test('a directory below is listed anew when only rules above have changed', async (t) => {
  const folder = filled(t, { 'sub/a.o': '', 'sub/b': '', 'other/c': '' });
  const hashes = async (): Promise<Map<string, string | undefined>> => {
    const { output } = await walk(folder);
    return new Map(
      walkedOf(output).map((each) => [
        path.relative(folder, each.path),
        each.hash?.toString('hex'),
      ]),
    );
  };
  const before = await hashes();
  fs.writeFileSync(path.join(folder, '.tardis-excludes'), '*.o\n');
  const after = await hashes();
  t.not(after.get('sub'), before.get('sub'));
  t.is(after.get('other'), before.get('other'));
  fs.unlinkSync(path.join(folder, '.tardis-excludes'));
  t.deepEqual((await hashes()).get('sub'), before.get('sub'));
});

test('where a rule file cannot be read all is kept, reported, and looked at again', async (t) => {
  const folder = filled(t, {
    '.tardis-excludes': '*.o\n',
    'a.o': '',
    'sub/.tardis-excludes': '!b.o\nc\n',
    'sub/b.o': '',
    'sub/c': '',
    'sub/d/e.o': '',
    'sub/d/f': '',
    'sub/d/.tardis-excludes': 'f\n',
  });
  const broken = systemWith({
    openBeneath: (fd, name, kind) => {
      const isRules = name.toString() === '.tardis-excludes';
      const isSub = isRules && fs.readlinkSync(`/proc/self/fd/${fd}`).endsWith('/sub');
      if (isSub) throw systemError('EIO');
      return native.openBeneath(fd, name, kind);
    },
  });
  const { paths, failures, output } = await walk(folder, { system: broken });
  t.deepEqual(paths, ['sub', 'sub/b.o', 'sub/c', 'sub/d', 'sub/d/e.o']);
  t.deepEqual(failures, ['sub/.tardis-excludes unreadable rules: EIO']);
  const sub = walkedOf(output).find((each) => each.path.endsWith('/sub'));
  t.is(sub?.hash, undefined);
});

test('rule files have a bound, each and together', async (t) => {
  const folder = scratch(t);
  const filled = (bytes: number): string => `x\n#${'-'.repeat(bytes - 3)}`;
  fill(folder, {
    'a/.tardis-excludes': filled(MAX_RULE_FILE_BYTES),
    'a/x': '',
    'b/.tardis-excludes': filled(MAX_RULE_FILE_BYTES + 1),
    'b/x': '',
  });
  const deep = Array.from({ length: MAX_CHAIN_BYTES / MAX_RULE_FILE_BYTES + 1 }, () => 'c');
  deep.forEach((_name, depth) => {
    const at = deep.slice(0, depth + 1).join('/');
    fill(folder, { [`${at}/.tardis-excludes`]: filled(MAX_RULE_FILE_BYTES), [`${at}/x`]: '' });
  });
  const last = deep.join('/');
  const { paths, failures } = await walk(folder);
  t.deepEqual(
    paths.filter((each) => each.endsWith('x')),
    ['b/x', `${last}/x`],
  );
  t.deepEqual(failures.sort(), [
    'b/.tardis-excludes unreadable rules: too large',
    `${last}/.tardis-excludes unreadable rules: too many rules in the directories above`,
  ]);
});

test('only regular files are rule files', async (t) => {
  const folder = filled(t, { rules: 'a\n', a: '', 'sub/.tardis-excludes/x': '', 'sub/a': '' });
  fs.symlinkSync('rules', path.join(folder, '.tardis-excludes'));
  const { paths, failures } = await walk(folder);
  t.deepEqual(
    paths.filter((each) => !each.includes('.tardis')),
    ['a', 'rules', 'sub', 'sub/a'],
  );
  t.deepEqual(failures.sort(), [
    '.tardis-excludes unreadable rules: not a regular file',
    'sub/.tardis-excludes unreadable rules: not a regular file',
  ]);
});

test('what is left out is counted, and reported by path when requested', async (t) => {
  const folder = filled(t, {
    '.tardis-excludes': '*.o\nout\n',
    'a.o': '',
    'out/x': '',
    'sub/b.o': '',
    big: 'xxx',
  });
  const quiet = await walk(folder, { excludes: { maxFileBytes: 2 } });
  t.is(quiet.output.leftOut, 5, 'the rule file is large as well');
  t.deepEqual(quiet.output.leftOutPaths, []);
  const { output } = await walk(folder, { excludes: { reportsPaths: true } });
  const rules = path.join(folder, '.tardis-excludes');
  t.deepEqual(
    output.leftOutPaths.map(({ path: each, why }) => [
      path.relative(folder, Buffer.from(each).toString()),
      why,
    ]),
    [
      ['a.o', `${rules}:1: *.o`],
      ['out', `${rules}:2: out`],
      ['sub/b.o', `${rules}:1: *.o`],
    ],
  );
});

test('a walk without rules requests nothing but the listings', async (t) => {
  const folder = filled(t, { 'a/b/c': '', 'd/e': '', '.tardis': '' });
  const forbidden = (): never => {
    throw new Error('not asked for');
  };
  const system = systemWith({
    openDirectory: forbidden,
    openListed: forbidden,
    openBeneath: forbidden,
    noDumpRows: forbidden,
  });
  const { paths, output } = await walk(folder, { system });
  t.deepEqual(paths, ['a', 'a/b', 'a/b/c', 'd', 'd/e']);
  t.is(output.pending.rules, undefined);
  t.is(output.leftOut, 0);
});

test('options that change between two jobs of a thread change what is left out', async (t) => {
  const folder = filled(t, { a: '', b: '' });
  const origin = { kind: 'option', name: '-x' } as const;
  const bytes = (text: string): Uint8Array => Buffer.from(text);
  for (const [sources, wanted] of [
    [[{ origin, patterns: ['a'] }], ['b']],
    [[{ origin, patterns: ['b'] }], ['a']],
    [[{ origin, bytes: bytes('b\n') }], ['a']],
    [[{ origin, bytes: bytes('a\n') }], ['b']],
    [
      [
        { origin, bytes: bytes('a\n') },
        { origin, patterns: ['!a'] },
      ],
      ['a', 'b'],
    ],
    [[], ['a', 'b']],
  ] as const) {
    const { paths } = await walk(folder, { excludes: { sources } });
    t.deepEqual(paths, wanted);
  }
});
