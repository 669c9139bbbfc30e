/** The figures of the stages of a backup, plain and encrypted. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { BackupResult } from '../../src/client/index.js';
import type { StageFigures } from '../../src/pipeline/index.js';
import { inlineLab, inlineSystem } from '../helpers/inline.js';
import { dir, file, noise } from '../helpers/tree.js';

const MIB = 1 << 20;
const STAGES = ['walk', 'compare', 'cut', 'read', 'need', 'build', 'send'];
const OF_LARGE = ['open', 'basis', 'parts', 'send', 'streams'];

for (const password of [undefined, 'secret']) {
  const how = password === undefined ? 'a plain' : 'an encrypting';
  test(`every stage of ${how} client has figures`, async (t) => {
    const large = noise('large', 3 * MIB);
    const { source, backup } = inlineLab(t, [
      dir('small', [file('a', noise('a', 9000)), file('b', 'text '.repeat(2000)), file('c', '')]),
      file('large', large),
    ]);
    const system = inlineSystem();
    const options = { create: true, ...(password === undefined ? {} : { password }) };
    const { stages } = await backup(options, system);
    t.deepEqual(
      stages.map(({ name }) => name),
      [...STAGES, 'large', ...OF_LARGE.map((name) => `large ${name}`)],
    );
    const of = (name: string): StageFigures => stages.find((stage) => stage.name === name)!;
    for (const { name, concurrency, busyMs, waitingMs } of stages) {
      t.true(Number.isInteger(concurrency) && concurrency > 0, name);
      t.true(Number.isFinite(busyMs + waitingMs) && waitingMs >= 0, name);
    }
    for (const name of ['walk', 'cut', 'read', 'build', 'send', 'large parts']) {
      t.true(of(name).items > 0 && of(name).bytes > 0 && of(name).busyMs > 0, name);
    }
    t.like(of('read'), { items: 2, bytes: 19_000 });
    t.is(of('need').items, 0, 'a first backup asks nothing');
    t.like(of('build'), { items: 2, bytes: 19_000 });
    t.like(of('large'), { items: 1, bytes: large.length });
    t.like(of('large parts'), { items: 1, bytes: large.length });
    t.is(of('large basis').items, 0);

    // A later backup sends its questions first, and builds in jobs of its own. It sends a delta if the file has a signature, which
    // an encrypting client sends with the second version.
    let later: BackupResult | undefined;
    for (const version of [2, 3]) {
      large.fill(`version ${version}`, 1000, 2000);
      fs.writeFileSync(path.join(source, 'large'), large);
      fs.writeFileSync(path.join(source, 'small', 'd'), noise(version, 5000));
      later = await backup({ ...options, create: false }, system);
    }
    const ofLater = (name: string): StageFigures =>
      later!.stages.find((stage) => stage.name === name)!;
    t.is(ofLater('need').items, 1);
    t.like(ofLater('build'), { items: 1, bytes: 5000 });
    t.true(ofLater('build').busyMs > 0);
    t.is(ofLater('large basis').items, 1);
    t.is(later!.progress.deltasSent, 1);
    t.like(ofLater('large parts'), { items: 1, bytes: large.length });
    t.true(ofLater('large parts').busyMs > 0);
  });
}
