/** The threads that tests start run the bundles of the build. */
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { scratchInMemory } from '../helpers/scratch.js';

const script = new URL('../../../scripts/bundled-threads.mjs', import.meta.url).href;
const { bundled } = (await import(script)) as {
  bundled: <Entry extends string | URL>(entry: Entry, dist?: string) => Entry;
};

test('a thread of a test runs the bundle, unless the modules were compiled after it', (t) => {
  const dist = path.join(scratchInMemory(t), 'dist');
  const entry = `${dist}/src/workers/thread-entry.js`;
  const bundle = `${dist}/bundle/thread-entry.js`;
  const [modules, bundles] = [`${dist}/.tsbuildinfo`, `${dist}/bundle/packages.json`] as const;
  fs.mkdirSync(path.dirname(bundles), { recursive: true });
  fs.writeFileSync(modules, '');
  t.is(bundled(entry, dist), entry, 'there is no bundle');
  fs.writeFileSync(bundles, '');
  for (const [at, wanted] of [
    [1, bundle],
    [2, bundle],
    [3, entry],
  ] as const) {
    fs.utimesSync(modules, at, at);
    fs.utimesSync(bundles, 2, 2);
    t.is(bundled(entry, dist), wanted);
    const { href } = bundled(new URL(`file://${entry}`), dist);
    t.is(href, `file://${wanted}`);
  }
  const other = `${dist}/test/helpers/thread-entry.js`;
  t.is(bundled(other, dist), other);
});

test('ava gives the threads of each test this way', (t) => {
  t.regex(Function.prototype.toString.call(Worker), /bundled\(/);
});
