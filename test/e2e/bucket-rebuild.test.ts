// Pace: slow
/** Caches, packs and commits of a bucket are damaged or lost, and `sonic rebuild` and `sonic check --repair` mend it. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { ServedLab } from '../helpers/bucket-lab.js';
import { codeIn, exited } from '../helpers/codes.js';
import { backupsRunHere, poolsStayAway } from '../helpers/commands.js';

backupsRunHere();
poolsStayAway();

const SECRET = 'gravel-Otter9-lamp';
const SETS = 3;

/** Changes a byte in the middle of an object. */
function damage({ server }: ServedLab, name: string): void {
  server.objects.spoil(name, (bytes) => {
    const changed = Buffer.from(bytes);
    changed[changed.length >> 1]! ^= 0xff;
    return changed;
  });
}

async function withSets(lab: ServedLab, args: readonly string[]): Promise<void> {
  lab.grow();
  for (let round = 1; round <= SETS; round += 1) {
    lab.change(round);
    await lab.backUp('one', round === 1 ? ['--create', ...args] : args);
  }
}

for (const kind of ['plain', 'encrypting'] as const) {
  test(`a ${kind} client in a bucket is rebuilt after losses of each kind`, async (t) => {
    const lab = await ServedLab.start(t);
    const args = kind === 'plain' ? [] : lab.password(SECRET);
    await withSets(lab, args);
    const rebuild = (machine: string) => lab.run(machine, 'sonic', ['rebuild', ...args]);
    const check = (machine: string, ...how: string[]) =>
      lab.run(machine, 'sonic', ['check', ...how, ...args]);

    const catalog = path.join(lab.cacheOf('one'), 'tardis.db');
    const stored = lab.stored();
    fs.writeFileSync(catalog, Buffer.alloc(100_000, 7));
    const whole = exited(t, 0, await rebuild('one'));
    t.regex(whole.stdout, /^The catalog of "me" was rebuilt from \d+ commits\.\n$/);
    t.deepEqual(lab.stored(), stored);
    t.deepEqual(await lab.restored('one', args), []);

    for (const [mend, machine] of [
      [() => rebuild('two'), 'two'],
      [() => check('three', '--repair'), 'three'],
    ] as const) {
      const [first, last] = [lab.names(/\/packs\//)[0]!, lab.names(/\/packs\//).at(-1)!];
      damage(lab, first);
      lab.server.objects.remove(last);
      const reported = exited(t, 3, await mend());
      t.regex(reported.stdout, /the next backup sends again what the source still has/i);
      t.regex(reported.stdout, /versions? of files cannot be restored/);
      await lab.backUp('one', args);
      t.deepEqual(await lab.restored(machine, args), []);
      const after = await check(`${machine}-fresh`, '--read-data');
      t.notRegex(after.stdout, /lost:.*large/);
    }

    const hole = lab.names(/\/log\/0000000003$/)[0]!;
    lab.server.objects.versions.delete(hole);
    damage(lab, lab.names(/\/log\/0000000004$/)[0]!);
    const mended = exited(t, 3, await rebuild('one'));
    t.regex(mended.stdout, /commit 3: missing\ncommit 4: damaged\nThe catalog of this machine/);
    t.regex(mended.stdout, /in a new generation of the client/);
    await lab.backUp('two', args);
    t.deepEqual(await lab.restored('four', args), []);
    t.true((await lab.sets('five', args)).length > SETS);
    const again = await rebuild('four');
    t.notRegex(again.stdout, /commit \d+:|new generation/);
  });
}

test('options of a rebuild that a bucket does not have are refused', async (t) => {
  const lab = await ServedLab.start(t);
  await withSets(lab, []);
  const refused = await lab.run('one', 'sonic', ['rebuild', '--quick']);
  t.is(codeIn(refused), 'CONFIG_INVALID', refused.stderr);
});
