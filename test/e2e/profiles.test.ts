/** Profiles, by command: what they save is in how the processes are started and what they load. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { run, succeed } from '../helpers/commands.js';
import { differences, dir, file, makeTree, noise, scratch, look, text } from '../helpers/tree.js';

const MIB = 1 << 20;
const BIN = fileURLToPath(new URL('../../../bin', import.meta.url));

test('with the profile pi a tree with large files goes to a store and comes back', async (t) => {
  const home = scratch(t);
  const [store, source, out] = ['store', 'tree', 'out'].map((name) => path.join(home, name));
  makeTree(source!, [
    dir(
      'many',
      Array.from({ length: 700 }, (_, index) => file(`f${index}`, text(String(index), 3000))),
    ),
    file('large', noise(1, 9 * MIB)),
    file('copy of large', noise(1, 9 * MIB)),
    dir('more', [file('middle', noise(2, MIB - 1)), file('empty')]),
  ]);
  fs.mkdirSync(out!);
  const place = ['-D', store!, '-C', 'me', '--profile', 'pi'];
  const first = JSON.parse(
    await succeed('tardis', [...place, '--local', '--create', '--json', source!]),
  ) as { stages: { name: string; concurrency: number }[]; progress: { contentsSent: number } };
  t.is(first.stages.find(({ name }) => name === 'hash')?.concurrency, 1);
  const second = JSON.parse(await succeed('tardis', [...place, '--local', '--json', source!])) as {
    progress: { contentsSent: number };
  };
  t.is(second.progress.contentsSent, 0);
  await succeed('regenerate', [...place, '-o', out!, source!]);
  t.deepEqual(differences(look(source!), look(path.join(out!, 'tree'))), []);
});

test('the local server gets the profile of the client, unless its own file says another', async (t) => {
  const home = scratch(t);
  const said = path.join(home, 'said');
  const serverFile = path.join(home, 'server.cfg');
  fs.writeFileSync(serverFile, '[Tardis]\n');
  // Instead of a server: something that tells how it was called.
  const command = `sh -c 'echo "$@" > ${said}' server`;
  const place = ['-D', path.join(home, 'store'), '-C', 'me', '--local', '--create', home];
  const started = await run('tardis', ['--local-server-cmd', command, '--profile', 'pi', ...place]);
  t.not(started.status, 0);
  t.regex(fs.readFileSync(said, 'utf8'), /--profile pi /);
  await run('tardis', ['--local-server-cmd', command, ...place]);
  t.notRegex(fs.readFileSync(said, 'utf8'), /--profile/);
});

test('the launcher knows the profile from its variable and from the command line', (t) => {
  const fake = scratch(t);
  fs.writeFileSync(path.join(fake, 'node'), '#!/bin/sh\necho "$MALLOC_MMAP_THRESHOLD_" "$@"\n', {
    mode: 0o755,
  });
  const started = (args: string[], env: Record<string, string> = {}): string => {
    const PATH = `${fake}:${process.env['PATH'] ?? ''}`;
    return spawnSync(path.join(BIN, 'tardis'), args, { env: { PATH, ...env }, encoding: 'utf8' })
      .stdout;
  };
  const isPi = (said: string): boolean => said.includes('--single-threaded');
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
