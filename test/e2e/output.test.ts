// Pace: slow
/** Backups and restores finish although their output cannot be written: its reader has ended, or the disk is full. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { BIN, listedSets, succeed, type Tool, poolsStayAway } from '../helpers/commands.js';
import { lab } from '../helpers/lab.js';
import { differences, dir, file, look, text } from '../helpers/tree.js';

poolsStayAway();

const TREE = Array.from({ length: 40 }, (_, index) =>
  dir(`d${index}`, [file('one', text(index, 3000)), file('two', text(index + 50, 100))]),
);

/** Runs a command whose output is written to a full disk, or to a pipe without a reader. */
async function runDeaf(
  tool: Tool,
  args: readonly string[],
  where: { readonly stdout?: 'full' | 'gone' | 'closed'; readonly stderr?: 'full' | 'gone' },
): Promise<{ status: number | null; printed: string }> {
  // The reader of the pipe has already ended when the command starts.
  const opened = { full: ' /dev/full', gone: ' >(exit 0); wait $!', closed: '&-' };
  const script = [
    where.stdout === undefined ? '' : `exec 1>${opened[where.stdout]}`,
    where.stderr === undefined ? '' : `exec 2>${opened[where.stderr]}`,
    'exec "$@"',
  ].join('\n');
  const child = spawn('bash', ['-c', script, 'bash', path.join(BIN, tool), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  }
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, printed };
}

function place(t: ExecutionContext): { source: string; store: string[]; folder: string } {
  const { home: folder, store, source } = lab(t, TREE);
  return { folder, source, store: ['-D', store, '-C', 'me'] };
}

for (const how of ['full', 'gone'] as const) {
  test(`a backup and a restore go on when standard error is ${how}`, async (t) => {
    const { folder, source, store } = place(t);
    const saving = ['--local', '--create', '-vv', '--progress', ...store, source];
    t.is((await runDeaf('tardis', saving, { stderr: how })).status, 0);
    t.deepEqual(
      (await listedSets(store[1]!, 'me')).map(({ state }) => state),
      ['complete'],
    );
    // A directory is in the way of one file. The restore continues, and its exit status reports the failure.
    const output = path.join(folder, 'out');
    fs.mkdirSync(path.join(output, 'tree/d3/one/in the way'), { recursive: true });
    const restoring = [...store, '--overwrite', 'always', '--progress', '-o', output, source];
    t.is((await runDeaf('regenerate', restoring, { stderr: how })).status, 3);
    for (const name of ['d0', 'd39']) {
      const [before, after] = [path.join(source, name), path.join(output, 'tree', name)];
      t.deepEqual(differences(look(before), look(after)), []);
    }
  });

  test(`a backup and a restore are done when standard output is ${how}`, async (t) => {
    const { folder, source, store } = place(t);
    const unread = path.join(folder, 'nowhere');
    const saving = ['--local', '--create', '--report', ...store];
    const saved = await runDeaf('tardis', [...saving, source], { stdout: how });
    t.is(saved.status, how === 'full' ? 1 : 0, saved.printed);
    t.is((await listedSets(store[1]!, 'me'))[0]?.state, 'complete');
    t.notRegex(saved.printed, /^\s+at /m);
    if (how === 'full')
      t.regex(saved.printed, /could not be written: no space left on device \(ENOSPC\)/);

    const failed = await runDeaf('tardis', [...saving, unread], { stdout: how });
    t.is(failed.status, 1, 'what failed is no success for want of a reader');
    const output = path.join(folder, 'out');
    const restored = await runDeaf('regenerate', [...store, '-o', output, source], { stdout: how });
    t.is(restored.status, how === 'full' ? 1 : 0, restored.printed);
    t.deepEqual(differences(look(source), look(path.join(output, 'tree'))), []);
  });
}

test('a list ends when its reader goes away, and a full disk under it is no success', async (t) => {
  const { source, store } = place(t);
  await succeed('tardis', ['--local', '--create', ...store, source]);
  t.deepEqual(await runDeaf('lstardis', [...store, source], { stdout: 'gone' }), {
    status: 0,
    printed: '',
  });
  const full = await runDeaf('lstardis', [...store, source], { stdout: 'full' });
  t.is(full.status, 1);
  t.regex(full.printed, /could not be written: no space left on device \(ENOSPC\)/);
  t.notRegex(full.printed, /^\s+at /m);
});

test('data that cannot be written to standard output is no success, and is told as what it is', async (t) => {
  const { source, store } = place(t);
  await succeed('tardis', ['--local', '--create', ...store, source]);
  for (const args of [
    ['--tar', '-', source],
    ['--zip', '-', source],
    ['--stdout', `${source}/d0/one`],
  ]) {
    for (const [stdout, why] of [
      ['full', 'the output could not be written: no space left on device (ENOSPC) [TARGET_FULL]\n'],
      ['closed', 'the output could not be written: it is closed [TARGET_NOT_WRITABLE]\n'],
    ] as const) {
      const { status, printed } = await runDeaf('regenerate', [...store, ...args], { stdout });
      t.is(status, 1, printed);
      t.is(printed, why);
    }
  }
  const closed = await runDeaf('tardis', ['--local', ...store, source], { stdout: 'closed' });
  t.deepEqual(closed, { status: 0, printed: '' }, 'a report may go nowhere');
});
