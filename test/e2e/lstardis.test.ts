// Pace: slow
/** Lists of entries, versions and sets by `lstardis`, in all their forms. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { nodeSystem } from '../../src/system/index.js';
import { backupsRunHere, jsonLines, run, succeed } from '../helpers/commands.js';
import { backupInline, inlineSystem } from '../helpers/inline.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { dir, file, makeTree, symlink } from '../helpers/tree.js';

backupsRunHere();

const home = makeScratch();
const store = path.join(home, 'store');
const source = path.join(home, 'tree');
const place = ['-D', store, '-C', 'me'];
const env = { TZ: 'UTC' };

function at(...names: string[]): string {
  return path.join(source, ...names);
}

/** Times of sets 1 to 6, over several weeks, three months and two years. */
const MOMENTS = [
  '2026-11-02T10:00:00Z', // a Monday
  '2026-11-02T12:00:00Z',
  '2026-11-03T10:00:00Z',
  '2026-11-11T10:00:00Z',
  '2026-12-01T10:00:00Z',
  '2027-01-05T10:00:00Z',
];

/** Changes to the tree before each set but the first, most of them to `letter`. */
const CHANGES = [
  () => fs.writeFileSync(at('letter'), 'two\n'),
  () => fs.chmodSync(at('letter'), 0o600),
  () => fs.rmSync(at('letter')),
  () => fs.writeFileSync(at('letter'), 'three\n'),
  () => {
    // The same file in another inode, as after a move to another disk, is no other version.
    execFileSync('cp', ['-a', at('letter'), at('other')]);
    fs.renameSync(at('other'), at('letter'));
    fs.writeFileSync(at('other'), 'x');
  },
];

test.before(async () => {
  makeTree(source, [
    file('letter', 'one\n'),
    file('.hidden', 'h', { mtimeNs: 1_000_000_000n }),
    file('run', 'x'.repeat(1500), { mode: 0o755, mtimeNs: 3_000_000_000n }),
    symlink('link', 'run', { mtimeNs: 2_000_000_000n }),
    dir('sub', [dir('below', [file('a.c', 'a'), file('b.h', 'b')]), file('c.c', 'c')]),
  ]);
  for (const [index, moment] of MOMENTS.entries()) {
    if (index > 0) CHANGES[index - 1]!();
    const clock = { ...nodeSystem().clock, nowMs: () => Date.parse(moment) };
    const options = { create: index === 0 };
    await backupInline(inlineSystem({ clock }), { store, client: 'me' }, [source], options);
  }
});
test.after.always(() => removeScratch(home));

async function list(...args: string[]): Promise<string[]> {
  const shown = await succeed('lstardis', [...place, ...args], { env });
  return shown.split('\n').slice(0, -1);
}

/** Returns sets and size of each listed version of `letter`; `gone` instead of the size if it is deleted. */
async function versions(...args: string[]): Promise<string[]> {
  const rows = await list(...args, at('letter'));
  return rows.slice(2).map((row) => {
    const [sets, , , mode, size] = row.split(/ +/);
    return `${sets} ${mode === 'gone' ? mode : size}`;
  });
}

test('versions are listed by change, content, set or period, or only the last one', async (t) => {
  const change = ['1 4', '2 4', '3 4', '4 gone', '5– 6'];
  t.deepEqual(await versions(), change);
  t.deepEqual(await versions('-V'), change);
  t.deepEqual(await versions('-V', 'change', '--no-deletions'), ['1 4', '2 4', '3 4', '5– 6']);
  t.deepEqual(await versions('-V', 'checksum'), ['1 4', '2–3 4', '4 gone', '5– 6']);
  t.deepEqual(await versions('-V', 'all'), ['1 4', '2 4', '3 4', '4 gone', '5 6', '6 6']);
  t.deepEqual(await versions('-V', 'day'), ['2 4', '3 4', '4 gone', '5 6', '6 6']);
  t.deepEqual(await versions('-V', 'week', '-r'), ['6 6', '5 6', '4 gone', '3 4']);
  t.deepEqual(await versions('-V', 'month'), ['4 gone', '5 6', '6 6']);
  t.deepEqual(await versions('-V', 'year'), ['5 6', '6 6']);
  t.deepEqual(await versions('-V', 'last'), ['5– 6']);
  t.deepEqual(await list('-V', 'none', at('letter')), ['letter']);
  t.regex((await list('-V', at('sub'))).join('\n'), /^1– +\d{4}-.* drwx/m);
  t.deepEqual(await list('-V', 'none', '-l', '-b', '1', at('letter')), [
    ...(await list('-l', '-b', '1', at('letter'))),
  ]);
  t.deepEqual(await list('-O', '-V', 'checksum', at('letter'), at('run')), [
    `${at('letter')}  1  2–3  (4 gone)  5–`,
    `${at('run')}  1–`,
  ]);
  const reported = jsonLines(await succeed('lstardis', [...place, '--json', at('letter')]));
  t.deepEqual(
    reported.map(({ gone, firstSet, lastSet }) => [gone, firstSet, lastSet]),
    [
      [undefined, 1, 1],
      [undefined, 2, 2],
      [undefined, 3, 3],
      [true, 4, 4],
      [undefined, 5, undefined],
    ],
  );
  t.regex(
    (await run('lstardis', [...place, '-V=often', at('letter')])).stderr,
    /CONFIG_INVALID|USAGE/,
  );
});

test('versions and sets are listed within a range of sets or dates', async (t) => {
  t.deepEqual(await versions('--range', '2:4'), ['2 4', '3 4', '4 gone']);
  t.deepEqual(await versions('-V', 'all', '--range', '5:'), ['5 6', '6 6']);
  t.deepEqual(await versions('--dates', '2026-11-02..2026-11-03'), ['1 4', '2 4', '3 4']);
  const sets = async (...args: string[]): Promise<string> =>
    (await list(...args))
      .slice(1)
      .map((row) => row.trim().split(' ')[0])
      .join(' ');
  t.is(await sets('--range', ':2'), '1 2');
  t.is(await sets('--range', '5:Current'), '5 6');
  t.is(await sets('--dates', '2026-11-03..'), '3 4 5 6');
  t.is(await sets('--dates', '..november 2026'), '1 2 3 4');
  t.is(await sets('-r', '--range', '1:3'), '3 2 1');
  t.deepEqual(await list('--dates', '..2001-01-01'), ['No backup sets in that range.']);
  for (const [args, code] of [
    [['--range', '3'], 'USAGE'],
    [['--range', '3:99'], 'NO_SUCH_SET'],
    [['--dates', 'yesterday'], 'USAGE'],
    [['--dates', 'soon..later'], 'BAD_DATE'],
    [['--range', '1:2', '--dates', '..now'], 'USAGE'],
    [['--range', '1:2', '-b', '1'], 'USAGE'],
  ] as const) {
    t.true(
      (await run('lstardis', [...place, ...args])).stderr.includes(`[${code}]`),
      args.join(' '),
    );
  }
});

test('lstardis shows the chosen columns of each entry, in the chosen order', async (t) => {
  const names = ['.hidden', 'letter', 'link', 'other', 'run', 'sub'];
  t.deepEqual(await list(source), names);
  t.deepEqual(await list('-a', source), names);
  t.deepEqual(await list('--no-hidden', source), names.slice(1));
  t.deepEqual(await list('-r', source), names.toReversed());
  t.is((await list('--sort', 'size', source))[0], 'run');
  t.is((await list('--sort', 'time', source)).at(-1), '.hidden');
  t.deepEqual((await list('-f', '--no-hidden', source)).join(' '), 'letter link@ other run* sub/');
  t.deepEqual(
    (await list('-s', '-f', source)).find((row) => row.endsWith('run*')),
    '1500  run*',
  );
  t.deepEqual(
    (await list('-s', '-H', source)).find((row) => row.endsWith('run')),
    '1.5 kB  run',
  );
  const { ino } = fs.statSync(at('run'));
  t.true((await list('-i', source)).some((row) => row.trim() === `${ino}  run`));
  const [digest] = (await list('-c', '-b', '1', at('run'))).map((row) => row.split(' ')[0]!);
  t.regex(digest!, /^[0-9a-f]{64}$/);
  t.true((await list('-c', at('run'))).some((row) => row.endsWith(digest!)));
  t.is(
    (await list('-l', '-i', '-f', source)).filter((row) => row.endsWith(' link -> run')).length,
    1,
  );
  t.deepEqual(await list('--dirinfo', source, at('sub')), [source, at('sub')]);
  t.deepEqual(await list('--no-headers', at('sub'), at('sub', 'below')), [
    'below',
    'c.c',
    'a.c',
    'b.h',
  ]);
  t.is((await list('--no-headers', at('letter'))).length, 5);
});

test('lstardis lists directories recursively, down to a given depth', async (t) => {
  const head = [`${at('sub')}:`, 'below', 'c.c'];
  t.deepEqual(await list('--recurse', at('sub')), [
    ...head,
    '',
    `${at('sub', 'below')}:`,
    'a.c',
    'b.h',
  ]);
  t.deepEqual(await list('--recurse', '--maxdepth', '1', at('sub')), head);
  const reported = jsonLines<{ name: string; directory: { name: string } }>(
    await succeed('lstardis', [...place, '--recurse', '--json', source]),
  );
  const deep = reported.find(({ name }) => name === 'b.h');
  t.is(deep?.directory.name, at('sub', 'below'));
  t.is(reported.length, 10);
  const all = await list('--recurse', '/');
  t.deepEqual(all.slice(0, 3), [source, `${source}:`, '.hidden']);
  t.is(all.at(-1), 'b.h');
});

test('lstardis finds paths by patterns', async (t) => {
  t.deepEqual(await list('--glob', at('l*')), [at('letter'), at('link')]);
  t.deepEqual(await list('--glob', at('*', '*.c')), [at('sub', 'c.c')]);
  t.deepEqual(await list('--glob', at('.h*')), [at('.hidden')]);
  t.deepEqual(await list('--glob', '-O', '-V', at('s?b', 'below', '[ab].c')), [
    `${at('sub', 'below', 'a.c')}  1–`,
  ]);
  t.regex((await run('lstardis', [...place, '--glob', at('*.pas')])).stderr, /NO_SUCH_PATH/);
});

test('names are colored by LS_COLORS, unless TARDIS_LS_COLORS has chosen', async (t) => {
  const colors = { LS_COLORS: 'di=01;34:ln=36:ex=01;32:*.c=33:*etter=35:no=\u001b[2J;rm:=1:bad' };
  const shown = async (more: Record<string, string>, ...args: string[]): Promise<string> =>
    succeed('lstardis', [...place, '--color', '--no-hidden', ...args], {
      env: { ...colors, ...more },
    });
  t.is(
    await shown({}, source),
    '\u001b[35mletter\u001b[0m\n\u001b[36mlink\u001b[0m\nother\n\u001b[01;32mrun\u001b[0m\n\u001b[01;34msub\u001b[0m\n',
  );
  t.is(await shown({}, at('sub')), '\u001b[01;34mbelow\u001b[0m\n\u001b[33mc.c\u001b[0m\n');
  const chosen = { TARDIS_LS_COLORS: 'directory=red,on_blue:file=none' };
  t.is(await shown(chosen, at('sub')), '\u001b[44m\u001b[31mbelow\u001b[39m\u001b[49m\nc.c\n');
  t.is(await shown({ LS_COLORS: '' }, at('sub')), '\u001b[34mbelow\u001b[39m\nc.c\n');
  t.is(await shown(chosen, '--no-color', at('sub')), 'below\nc.c\n');
  for (const wrong of ['files=red', 'file=purplish']) {
    const refused = await run('lstardis', place, { env: { TARDIS_LS_COLORS: wrong } });
    t.regex(refused.stderr, /TARDIS_LS_COLORS: .*CONFIG_INVALID/);
  }
});
