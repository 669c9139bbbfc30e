// Pace: slow
/** The stores that each release wrote are read, checked, continued and rebuilt by the present programs. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CLIENT, ServedLab } from '../helpers/bucket-lab.js';
import { backupsRunHere, run, succeed } from '../helpers/commands.js';
import { readersAgree } from '../helpers/second-reader.js';
import { dir, file, look, makeTree, noise } from '../helpers/tree.js';
import {
  DAMAGED_FILE,
  isEncrypting,
  type Kind,
  KINDS,
  RELEASE_CLIENT,
  RELEASE_SECRET,
  releases,
  setsOf,
  type StoreSets,
  unpackStore,
  withoutOwners,
} from '../support/release-stores.js';

backupsRunHere();

/** A store of a release, and the commands of a machine that has just met it. */
interface Met {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Folder of the store, or of the bucket's objects. */
  readonly folder: string;
  readonly held: StoreSets;
  at(name: string): string;
}

async function meet(t: ExecutionContext, release: string, kind: Kind): Promise<Met> {
  const lab = await ServedLab.start(t);
  const folder = lab.at('store');
  unpackStore(release, kind, folder);
  const isBucket = kind === 'bucket';
  if (isBucket) {
    for (const name of fs.globSync('**/*', { cwd: folder })) {
      const full = path.join(folder, name);
      if (fs.statSync(full).isFile())
        lab.server.objects.put(`all/${name}`, fs.readFileSync(full), {});
    }
  }
  const secret = lab.at('secret');
  fs.writeFileSync(secret, `${RELEASE_SECRET}\n`, { mode: 0o600 });
  const place = isBucket ? CLIENT : ['-D', folder, '-C', RELEASE_CLIENT];
  const args = [...place, ...(isEncrypting(kind) ? ['--password-file', secret] : [])];
  const held = setsOf(release)[kind];
  return { args, env: lab.on('new'), folder, held, at: (name) => lab.at(name) };
}

/** Requires that every set of the release comes back, without the file that is damaged. */
async function givesBack(t: ExecutionContext, met: Met, what: string, isDamaged: boolean) {
  const { args, env, held } = met;
  for (const { name, entries } of held.sets) {
    const output = met.at(`${what} ${name}`);
    const words = [...args, '-b', name, '-o', output, held.source];
    const { status, stderr } = await run('regenerate', words, { env });
    t.is(status === 0, !isDamaged, stderr);
    const found = withoutOwners(look(path.join(output, path.basename(held.source))));
    const wanted = { ...entries };
    if (isDamaged) {
      t.true(stderr.includes(DAMAGED_FILE), stderr);
      for (const some of [wanted, found]) delete some[DAMAGED_FILE];
    }
    t.deepEqual(found, wanted, `${what} ${name}`);
  }
}

for (const release of releases()) {
  for (const kind of KINDS) {
    test(`the store of ${release} is read, checked, continued and rebuilt: ${kind}`, async (t) => {
      const isDamaged = kind === 'damaged';
      const met = await meet(t, release, kind);
      const { args, env, held, folder } = met;
      await givesBack(t, met, 'read', isDamaged);
      const isSound = async (): Promise<void> => {
        const check = await run('sonic', ['check', '--read-data', ...args], { env });
        t.is(check.status === 0, !isDamaged, check.stdout + check.stderr);
        if (isDamaged) t.true((check.stdout + check.stderr).includes(DAMAGED_FILE));
      };
      await isSound();
      if (!isDamaged) await readersAgree(t, held.source, args, { folder, env });
      const more = met.at('more');
      makeTree(more, [dir('new', [file('one', noise('one', 3000))]), file('two', 'two')]);
      await succeed('tardis', [...args, '--local', more], { env });
      await givesBack(t, met, 'continued', isDamaged);
      await isSound();
      if (kind !== 'bucket') fs.rmSync(path.join(folder, RELEASE_CLIENT, 'tardis.db'));
      const rebuilt = await run('sonic', ['rebuild', ...args], { env });
      t.is(rebuilt.status === 0, !isDamaged, rebuilt.stdout + rebuilt.stderr);
      await givesBack(t, met, 'rebuilt', isDamaged);
      await succeed('regenerate', [...args, '-o', met.at('out'), more], { env });
      t.deepEqual(look(path.join(met.at('out'), 'more')), look(more));
    });
  }
}
