// Pace: slow
/** Reads mounts at random and by many at once, and compares what they give with the source. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { backupsRunHere, poolsStayAway, Server, succeed } from '../helpers/commands.js';
import { mounted, outputOf, rangeOf } from '../helpers/mounted-sets.js';
import { chooser } from '../helpers/random-tree.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';
import {
  attributesOf,
  bytesOf,
  dir,
  file,
  makeTree,
  noise,
  sparse,
  symlink,
  text,
} from '../helpers/tree.js';
import { until } from '../helpers/until.js';
import { written } from '../helpers/scratch.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;
const OPERATIONS = shareOf(10_000, 1000);
const READERS = 8;

test.serial(
  'random ranges, names and attributes of a mount are those of the source',
  mounted(async (lab, t) => {
    const names = ['noise', 'text', 'small', 'holes', 'none', 'link', 'many/f7', 'many'];
    makeTree(lab.source, [
      file('noise', noise(1, 5 * MIB + 77)),
      file('text', text(2, 4 * MIB + 5)),
      file('small', text(3, 3000), { attributes: { 'user.a': 'b' } }),
      sparse('holes', 12 * MIB, [
        [3, noise(4, 100_000)],
        [7 * MIB - 5, noise(5, 10)],
      ]),
      file('none', '', { attributes: { 'user.one': 'first', 'user.two': 'second' } }),
      symlink('link', 'many/../small'),
      dir(
        'many',
        Array.from({ length: 500 }, (_, n) => file(`f${n}`, text(n, n * 9))),
      ),
    ]);
    await lab.save();
    await lab.mountStore();
    const choose = chooser(seed);
    for (let count = 0; count < OPERATIONS; count += 1) {
      const name = names[choose(names.length)]!;
      const [here, there] = [path.join(lab.source, name), lab.view('Current', lab.source, name)];
      if (name === 'many') {
        t.deepEqual(fs.readdirSync(there).sort(), fs.readdirSync(here).sort());
        continue;
      }
      const [one, other] = [fs.lstatSync(here), fs.lstatSync(there)];
      t.deepEqual([other.size, other.mode, other.mtimeMs], [one.size, one.mode, one.mtimeMs]);
      const differs = attributesOf(bytesOf(here)).compare(attributesOf(bytesOf(there))) !== 0;
      if (differs) {
        t.fail(`${name}: other attributes (seed ${seed})`);
        return;
      }
      if (one.isSymbolicLink()) {
        t.is(fs.readlinkSync(there), fs.readlinkSync(here));
        continue;
      }
      const position = choose(one.size + 100);
      const bytes = [1, 511, 4096, 70_000, 2 * MIB][choose(5)]!;
      const found = rangeOf(there, position, bytes);
      if (!found.equals(rangeOf(here, position, bytes))) {
        t.fail(`${name}: ${bytes} bytes at ${position} differ (seed ${seed})`);
        return;
      }
    }
    t.pass();
  }),
);

test.serial(
  'every version of a file that is a chain of deltas is read at random',
  mounted(async (lab, t) => {
    const content = noise(6, 6 * MIB);
    makeTree(lab.source, [file('large', content)]);
    const versions: Buffer[] = [];
    const choose = chooser(seed);
    for (let set = 1; set <= 5; set += 1) {
      noise(set, 5000).copy(content, choose(content.length - 5000));
      fs.writeFileSync(path.join(lab.source, 'large'), content);
      versions.push(Buffer.from(content));
      await lab.save(['--name', `s${set}`]);
    }
    await lab.mountStore();
    for (let count = 0; count < 500; count += 1) {
      const set = choose(versions.length);
      const position = choose(content.length);
      const bytes = Math.min(choose(100_000) + 1, content.length - position);
      const found = rangeOf(lab.view(`s${set + 1}`, lab.source, 'large'), position, bytes);
      if (!found.equals(versions[set]!.subarray(position, position + bytes))) {
        t.fail(`set ${set + 1}: ${bytes} bytes at ${position} differ (seed ${seed})`);
        return;
      }
    }
    const last = fs.readFileSync(lab.view('s5', lab.source, 'large'));
    t.true(last.equals(versions.at(-1)!));
  }),
);

for (const workers of [0, 2]) {
  test.serial(
    `a file whose pack was rewritten and removed is found again (workers=${workers})`,
    mounted(async (lab, t) => {
      const files = Array.from({ length: 64 }, (_, n) => file(`f${n + 10}`, noise(n, 60_000)));
      makeTree(lab.source, [file('large', noise('one', 6 * MIB)), dir('d', files)]);
      await lab.save(['--name', 'one']);
      fs.writeFileSync(path.join(lab.source, 'large'), noise('two', 6 * MIB));
      await lab.save(['--name', 'two']);
      await lab.mountStore(`,workers=${workers}`);
      const shown = (name: string): string => lab.view('two', lab.source, 'd', name);
      // Those of its neighbours are located with it, but only the next ones are decoded.
      t.true(fs.readFileSync(shown('f10')).equals(noise(0, 60_000)));
      const first = path.join(lab.store, 'me', 'packs', '00000001.pack');
      t.true(fs.existsSync(first));
      await succeed('sonic', ['delete', ...lab.place, '--yes', '--no-clear-up', 'one']);
      const config = written(lab.home, 'config', '[Tardis]\nGcInterval = 0.2\nRemoveAfter = 0\n');
      await Server.during(t, lab.store, ['--config', config]);
      await until(() => !fs.existsSync(first));
      t.true(fs.readFileSync(shown('f73')).equals(noise(63, 60_000)));
      t.is(lab.differences(), '');
    }),
  );
}

test.serial(
  'many readers at once get the right bytes, beside a backup, a delete and a purge',
  mounted(async (lab, t) => {
    makeTree(
      lab.source,
      Array.from({ length: 20 }, (_, n) =>
        dir(`d${n}`, [
          ...Array.from({ length: 60 }, (_unused, m) => file(`f${m}`, text(n * 100 + m, 700 * m))),
          file('large', text(n, 2 * MIB)),
        ]),
      ),
    );
    for (const name of ['zero', 'one', 'two']) {
      // Each set has contents that go with it.
      fs.writeFileSync(path.join(lab.source, 'd0/large'), noise(name, 2 * MIB));
      await lab.save(['--name', name]);
    }
    await lab.mountStore();
    const shown = lab.at('two', lab.source);
    const reading = Array.from({ length: READERS }, () =>
      outputOf(lab, 'diff', '-r', lab.source, shown),
    );
    await lab.save(['--name', 'three']);
    await succeed('sonic', ['delete', ...lab.place, '--yes', 'one']);
    await succeed('sonic', ['purge', ...lab.place, '--yes', '--keep-last', '2']);
    t.deepEqual(
      await Promise.all(reading),
      Array.from({ length: READERS }, () => ''),
    );
    const wanted = ['Current', 'by-date', 'three', 'two', 'versions'];
    // A mount looks for new and deleted sets once a second.
    await until(() => fs.readdirSync(lab.view()).join('\n') === wanted.join('\n'));
  }),
);
