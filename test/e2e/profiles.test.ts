// Pace: slow
/** Profiles, tested with the commands: a profile changes how processes are started and which modules they load. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { lab, restoredBy } from '../helpers/lab.js';
import { scratchInMemory, written } from '../helpers/scratch.js';
import { dir, file, noise, text } from '../helpers/tree.js';
import { ROOT } from '../tidy/house.js';

backupsRunHere();

const MIB = 1 << 20;
const BIN = fileURLToPath(new URL('../../../bin', import.meta.url));

test('with the profile pi a tree with large files goes to a store and comes back', async (t) => {
  const {
    source,
    place: own,
    at,
  } = lab(t, [
    dir(
      'many',
      Array.from({ length: 700 }, (_, index) => file(`f${index}`, text(String(index), 3000))),
    ),
    file('large', noise(1, 9 * MIB)),
    file('copy of large', noise(1, 9 * MIB)),
    dir('more', [file('middle', noise(2, MIB - 1)), file('empty')]),
  ]);
  const out = at('out');
  const place = [...own, '--profile', 'pi'];
  fs.mkdirSync(out);
  const first = JSON.parse(
    await succeed('tardis', [...place, '--local', '--create', '--json', source]),
  ) as { stages: { name: string; concurrency: number }[]; progress: { contentsSent: number } };
  t.is(first.stages.find(({ name }) => name === 'read')?.concurrency, 1);
  const second = JSON.parse(await succeed('tardis', [...place, '--local', '--json', source])) as {
    progress: { contentsSent: number };
  };
  t.is(second.progress.contentsSent, 0);
  t.deepEqual(await restoredBy(place, source, out), []);
});

test('the local server gets the profile of the client, unless its own file names another', async (t) => {
  const home = scratchInMemory(t);
  const printed = path.join(home, 'said');
  written(home, 'server.cfg', '[Tardis]\n');
  // A command in place of the server that prints its arguments.
  const command = `sh -c 'echo "$@" > ${printed}' server`;
  const place = ['-D', path.join(home, 'store'), '-C', 'me', '--local', '--create', home];
  const started = await run('tardis', ['--local-server-cmd', command, '--profile', 'pi', ...place]);
  t.not(started.status, 0);
  t.regex(fs.readFileSync(printed, 'utf8'), /--profile pi /);
  await run('tardis', ['--local-server-cmd', command, ...place]);
  t.notRegex(fs.readFileSync(printed, 'utf8'), /--profile/);
});

test('a local server that its own file keeps from starting ends the run with its own error', async (t) => {
  const home = scratchInMemory(t);
  const serverFile = written(home, 'server.cfg', '[Tardis]\nPort = many\n');
  const command = `'${ROOT}/bin/tardisd' --config '${serverFile}'`;
  const place = ['-D', path.join(home, 'store'), '-C', 'me', '--local', '--create', home];
  const { status, stderr } = await run('tardis', ['--local-server-cmd', command, ...place]);
  t.is(status, 1);
  t.regex(stderr, /^tardis: the local server: .*Port.* \[CONFIG_INVALID\]$/m);
  t.notRegex(stderr, /SERVER_UNREACHABLE/);
});

/**
 * Returns a function that starts `tardis`. A script that prints its arguments replaces node. `isOld` gives the script a
 * time before the build.
 */
function launcher(t: ExecutionContext, isOld: boolean) {
  const node = path.join(scratchInMemory(t), 'node');
  fs.writeFileSync(node, '#!/bin/sh\necho "$MALLOC_MMAP_THRESHOLD_" "$@"\n', { mode: 0o755 });
  if (isOld) fs.utimesSync(node, 0, 0);
  return (args: string[], more: Record<string, string> = {}): string => {
    const env = { PATH: process.env['PATH'] ?? '', TARDIS_NODE: node, ...more };
    return spawnSync(path.join(BIN, 'tardis'), args, { env, encoding: 'utf8' }).stdout;
  };
}

test('the launcher gives a node that is not the one of the build such flags only as every one knows', (t) => {
  for (const isOld of [false, true]) {
    const started = launcher(t, isOld);
    for (const profile of ['pi', 'desktop']) {
      const flags = started([`--profile=${profile}`]).match(/--\S+/g) ?? [];
      t.true(flags.length > 1);
      for (const flag of flags.filter((one) => !one.startsWith('--profile'))) {
        t.true(process.allowedNodeEnvironmentFlags.has(flag.replace(/=.*/, '')), flag);
      }
    }
  }
});

test('the launcher gives the node of the build the flags that it knows', (t) => {
  const prints = path.join(scratchInMemory(t), 'prints.cjs');
  fs.writeFileSync(prints, 'console.log(process.execArgv.join(" "))');
  const env = { PATH: process.env['PATH'] ?? '', NODE_OPTIONS: `--require=${prints}` };
  const flagsOf = (profile: string): string =>
    spawnSync(path.join(BIN, 'tardis'), [`--profile=${profile}`, '--version'], {
      env,
      encoding: 'utf8',
    }).stdout;
  t.regex(
    flagsOf('desktop'),
    /^--max-semi-space-size=2 --min-semi-space-size=2 --v8-pool-size=1\n/,
  );
  t.regex(flagsOf('pi'), /^--max-semi-space-size=1 --single-threaded /);
});

test('the launcher starts the node of TARDIS_NODE, or reports that it cannot', (t) => {
  const env = { PATH: process.env['PATH'] ?? '', TARDIS_NODE: '/nowhere/node' };
  const { status, stderr } = spawnSync(path.join(BIN, 'tardis'), [], { env, encoding: 'utf8' });
  t.is(status, 1);
  t.regex(stderr, /^tardis: TARDIS_NODE=\/nowhere\/node is no program/);
});

test('the launcher knows the profile from its variable and from the command line', (t) => {
  const started = launcher(t, true);
  const isPi = (printed: string): boolean => printed.startsWith('32768 ');
  for (const args of [
    ['--profile', 'pi'],
    ['--profile=pi'],
    ['-D', '/x', '--profile', 'pi', 'y'],
  ]) {
    t.true(isPi(started(args)), args.join(' '));
    t.true(started(args).endsWith(`${args.join(' ')}\n`), 'the arguments are passed on');
  }
  t.true(isPi(started([], { TARDIS_PROFILE: 'pi' })));
  t.false(isPi(started(['--profile', 'desktop'], { TARDIS_PROFILE: 'pi' })));
  t.false(isPi(started(['--', '--profile=pi'])));
  t.false(isPi(started(['--job', 'pi'])));
  t.regex(started(['--profile', 'pi'], { TARDIS_NODE_OPTIONS: '' }), /^32768 \/\S+tardis\.js /);
});
