/** Files that stay open for a moment after they were read. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { KeptFiles } from '../../src/contents/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { ManualClock } from '../support/manual-clock.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { until } from '../helpers/until.js';

const { files } = nodeSystem();

/** Files that are counted while they are open. The system may give the number of a closed one to another thread at once. */
function counted() {
  const open = new Set<number>();
  const lab = {
    opened: 0,
    isOpen: (fd: number): boolean => open.has(fd),
    files: Object.create(files, {
      open: {
        value: (...words: Parameters<typeof files.open>) => {
          const fd = files.open(...words);
          lab.opened += 1;
          open.add(fd);
          return fd;
        },
      },
      close: {
        value: (fd: number) => {
          open.delete(fd);
          files.close(fd);
        },
      },
    }) as typeof files,
  };
  return lab;
}

test.serial('a file is opened once, and closed a moment after its last use', async (t) => {
  const home = scratchInMemory(t);
  const paths = Array.from({ length: 8 }, (_none, number) => path.join(home, String(number)));
  for (const one of paths) fs.writeFileSync(one, one);
  const lab = counted();
  const kept = new KeptFiles({ files: lab.files, clock: new ManualClock(0) });
  const used = paths.map((one) => kept.use(one));
  const again = kept.use(paths[0]!);
  t.is(again.fd, used[0]!.fd);
  t.is(lab.opened, 8);
  for (const one of used) kept.leave(one);
  const openFiles = (): number => used.filter(({ fd }) => lab.isOpen(fd)).length;
  t.true(lab.isOpen(again.fd), 'one use is left');
  t.is(openFiles(), 5, 'a few others are kept');
  kept.leave(again);
  await until(() => openFiles() === 0);
  t.throws(() => kept.use(path.join(home, 'none')));
});

test.serial(
  'a new reader gets the file that has the path now, also if the one before never leaves',
  (t) => {
    const home = scratchInMemory(t);
    const name = path.join(home, 'pack');
    const lab = counted();
    const clock = new ManualClock(0);
    const kept = new KeptFiles({ files: lab.files, clock });
    fs.writeFileSync(name, 'old');
    const old = kept.use(name);
    fs.rmSync(name);
    fs.writeFileSync(name, 'new');
    clock.advance(1001);
    const late = kept.use(name);
    t.is(fs.readFileSync(late.fd, 'utf8'), 'new');
    t.is(fs.readFileSync(old.fd, 'utf8'), 'old');
    kept.leave(old);
    t.false(lab.isOpen(old.fd));
    fs.rmSync(name);
    fs.writeFileSync(name, 'newest');
    kept.forget();
    const last = kept.use(name);
    t.is(fs.readFileSync(last.fd, 'utf8'), 'newest');
    kept.leave(late);
    t.false(lab.isOpen(late.fd));
    kept.leave(last);
    kept.forget();
    t.false(lab.isOpen(last.fd));
  },
);
