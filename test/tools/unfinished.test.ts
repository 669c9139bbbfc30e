/** A command whose work waits for something that never happens. */
import { spawnSync } from 'node:child_process';
import test from 'ava';

function run(program: string): { status: number | null; stderr: string } {
  const module = new URL('../../src/tools/shared/run-tool.js', import.meta.url).href;
  const text = `
    import { reportUnfinished } from '${module}';
    const done = reportUnfinished((error) => { console.error(error.code); process.exitCode = 1; });
    ${program}`;
  return spawnSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' });
}

test('a process that ends before its work is done reports it, with status 1', (t) => {
  const { status, stderr } = run('void new Promise(() => undefined).then(done);');
  t.is(status, 1);
  t.regex(stderr, /INTERNAL/);
});

test('a process whose work is done, or that ends at once with a status of its own, prints nothing', (t) => {
  for (const [program, expected] of [
    ['done();', 0],
    ['process.exit(7);', 7],
  ] as const) {
    const { status, stderr } = run(program);
    t.is(status, expected);
    t.is(stderr, '');
  }
});
