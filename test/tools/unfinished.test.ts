/** A command whose work waits for something that never happens. */
import { spawnSync } from 'node:child_process';
import test from 'ava';

test('a process that ends before its work is done says so, with status 1', (t) => {
  const module = new URL('../../src/tools/shared/unfinished.js', import.meta.url).href;
  const program = `
    import { reportUnfinished } from '${module}';
    reportUnfinished((error) => { console.error(error.code); process.exitCode = 1; });
    await new Promise(() => undefined);`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  t.is(status, 1);
  t.regex(stderr, /INTERNAL/);
});
