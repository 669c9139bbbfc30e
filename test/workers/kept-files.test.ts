/** Files that stay open for a moment after they were read. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { KeptFiles } from '../../src/workers/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { scratchInMemory } from '../helpers/scratch.js';

const { files } = nodeSystem();

function isOpen(fd: number): boolean {
  try {
    fs.fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

test('a file is opened once, and closed a moment after its last use', async (t) => {
  const home = scratchInMemory(t);
  const paths = Array.from({ length: 8 }, (_none, number) => path.join(home, String(number)));
  for (const one of paths) fs.writeFileSync(one, one);
  let opened = 0;
  const counting = Object.create(files, {
    open: {
      value: (...words: Parameters<typeof files.open>) => {
        opened += 1;
        return files.open(...words);
      },
    },
  }) as typeof files;
  const kept = new KeptFiles(counting);
  const fds = paths.map((one) => kept.use(one));
  t.is(kept.use(paths[0]!), fds[0]!);
  t.is(opened, 8);
  for (const one of paths) kept.leave(one);
  t.true(isOpen(fds[0]!), 'one use is left');
  t.is(fds.filter((fd) => isOpen(fd)).length, 5, 'a few others are kept');
  kept.leave(paths[0]!);
  const endMs = performance.now() + 60_000;
  while (fds.some((fd) => isOpen(fd)) && performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  t.is(fds.filter((fd) => isOpen(fd)).length, 0);
  t.throws(() => kept.use(path.join(home, 'none')));
});
