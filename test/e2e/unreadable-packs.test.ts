// Pace: slow
/**
 * Packs that cannot be read, because the disk fails or because the user may not open the file. A check reports the file
 * and continues. A command that cannot continue reports the file too, and changes nothing.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backupsRunHere,
  jsonLines,
  type Outcome,
  run,
  succeed,
  poolsStayAway,
} from '../helpers/commands.js';
import { LeftOut, Mounts } from '../helpers/mounts.js';
import { PASSWORD } from '../helpers/rewrites.js';
import { ownState } from '../helpers/scratch.js';
import { isRoot } from '../helpers/tree.js';

backupsRunHere();
poolsStayAway();

ownState(test);

const SETS = 4;
const FOUND = 3;
/** More bytes than a check skips around an unreadable place. */
const NOISE_BYTES = 64 << 10;
const NOBODY = 65_534;
const PACK = 'packs/00000002.pack';

class Lab {
  readonly mounts: Mounts;
  readonly words: readonly string[];
  readonly client: string;
  private readonly source: string;

  private constructor(mounts: Mounts, secret: readonly string[]) {
    this.mounts = mounts;
    this.source = mounts.directory('source');
    const store = path.join(mounts.home, 'store');
    this.client = path.join(store, 'c');
    this.words = ['-D', store, '-C', 'c', ...secret];
  }

  /** Runs a test with a client that has four sets, each in a pack of its own. */
  static during(
    t: ExecutionContext,
    work: (lab: Lab) => Promise<void>,
    secret: readonly string[] = [],
  ): Promise<void> {
    return Mounts.during(t, async (mounts) => work(await Lab.made(mounts, secret)));
  }

  private static async made(mounts: Mounts, secret: readonly string[]): Promise<Lab> {
    const lab = new Lab(mounts, secret);
    for (let set = 1; set <= SETS; set += 1) {
      fs.writeFileSync(path.join(lab.source, `file ${set}`), `text ${set}`);
      fs.writeFileSync(path.join(lab.source, 'changing'), randomBytes(NOISE_BYTES));
      const create = set === 1 ? ['--create'] : [];
      await succeed('tardis', [...lab.words, ...create, '--local', lab.source]);
    }
    return lab;
  }

  /** Makes reads of the second pack fail between two offsets, from now on. */
  async spoil(badFrom: number, badTo: number): Promise<void> {
    const [real, shown] = [path.join(this.mounts.home, 'packs'), path.join(this.client, 'packs')];
    if (fs.existsSync(real)) this.mounts.run('umount', shown);
    else fs.renameSync(shown, real);
    await this.mounts.lie('store/c/packs', real, { bad: '00000002.pack', badFrom, badTo });
  }

  sonic(verb: string, ...more: string[]): Promise<Outcome> {
    const { mountsOf } = this.mounts;
    return run('sonic', [verb, ...this.words, ...more], { mountsOf });
  }

  catalog(): Buffer {
    return fs.readFileSync(path.join(this.client, 'tardis.db'));
  }

  packBytes(): number {
    return fs.statSync(path.join(this.mounts.view(this.client), PACK)).size;
  }
}

/** Returns the number of records that a check has read. */
function looked(stdout: string): number {
  return Number(/^Checked (\d+) records/m.exec(stdout)![1]);
}

/** A rebuild reports the pack, and leaves the catalog as it is. */
async function rebuildStops(t: ExecutionContext, lab: Lab): Promise<void> {
  const before = lab.catalog();
  const rebuild = exited(t, 1, await lab.sonic('rebuild'));
  t.regex(rebuild.stderr, /packs\/00000002\.pack cannot be read: EIO.*IO_FAILED/);
  t.regex(rebuild.stderr, /Check the disk/);
  t.true(lab.catalog().equals(before));
  await succeed('lstardis', [...lab.words, '-l'], { mountsOf: lab.mounts.mountsOf });
}

for (const [kind, secret] of [
  ['plain', []],
  ['encrypting', [`--password=${PASSWORD}`]],
] as const) {
  test(`a check names a pack that the disk does not give, and goes on: ${kind}`, (t) =>
    Lab.during(
      t,
      async (lab) => {
        await lab.spoil(0, 1 << 30);
        const check = exited(t, FOUND, await lab.sonic('check', '--no-mark'));
        t.regex(check.stdout, /^unreadable: packs\/00000002\.pack cannot be read: EIO/m);
        t.regex(check.stdout, /^1 file cannot be read/m);
        t.is(check.stdout.match(/^unreadable:/gm)!.length, 1);
        t.regex(check.stdout, /^Checked \d+ records/m);
        t.notRegex(check.stdout, /lost: .*file [134]/, 'other packs were looked at');
        const lines = jsonLines((await lab.sonic('check', '--no-mark', '--json')).stdout);
        t.like(
          lines.find((line) => (line as { finding: string }).finding === 'unreadable'),
          { file: PACK },
        );
        t.like(lines.at(-1), { finding: 'end', isClean: false, unreadableFiles: 1 });
        await rebuildStops(t, lab);
      },
      secret,
    ));
}

test('a check finds the records on both sides of a place that cannot be read', (t) =>
  Lab.during(t, async (lab) => {
    await lab.spoil(0, 1 << 30);
    const without = looked((await lab.sonic('check', '--no-mark')).stdout);
    await lab.spoil(0, 200);
    const check = exited(t, FOUND, await lab.sonic('check', '--no-mark', '--read-data=all'));
    t.regex(check.stdout, /^unreadable: packs\/00000002\.pack cannot be read: EIO/m);
    t.true(looked(check.stdout) > without, check.stdout);
    await rebuildStops(t, lab);
  }));

test('bodies that cannot be read are named when data is read', (t) =>
  Lab.during(t, async (lab) => {
    const bytes = lab.packBytes();
    await lab.spoil(bytes - 1, bytes); // the end of the last commit
    const check = exited(t, FOUND, await lab.sonic('check', '--no-mark', '--read-data=all'));
    t.regex(check.stdout, /^unreadable: packs\/00000002\.pack cannot be read: EIO/m);
    await rebuildStops(t, lab);
  }));

test('a quick rebuild names a pack that it cannot read, too', (t) =>
  Lab.during(t, async (lab) => {
    await lab.spoil(0, 1 << 30);
    const rebuild = await lab.sonic('rebuild', '--quick');
    t.not(rebuild.status, 0, rebuild.stdout + rebuild.stderr);
    t.regex(rebuild.stdout + rebuild.stderr, /packs\/00000002\.pack cannot be read: EIO/);
    await succeed('lstardis', [...lab.words, '-l'], { mountsOf: lab.mounts.mountsOf });
  }));

test('clearing up names a pack that it cannot read, and loses nothing', (t) =>
  Lab.during(t, async (lab) => {
    await lab.spoil(0, 1 << 30);
    const ended = exited(t, 1, await lab.sonic('delete', '--waste', '1', '--yes', '2'));
    t.regex(ended.stderr, /packs\/00000002\.pack cannot be read: EIO.*IO_FAILED/);
    const orphans = exited(t, 1, await lab.sonic('orphans', '--waste', '1'));
    t.regex(orphans.stderr, /packs\/00000002\.pack cannot be read: EIO.*IO_FAILED/);
    t.true(lab.packBytes() > 0);
  }));

test('a pack that the user may not open is named, and its contents are not marked', async (t) => {
  await Lab.during(t, async (lab) => {
    fs.chmodSync(lab.mounts.home, 0o755);
    for (const name of [
      'store',
      ...fs
        .readdirSync(path.join(lab.mounts.home, 'store'), { recursive: true })
        .map((name) => path.join('store', String(name))),
    ])
      fs.chownSync(path.join(lab.mounts.home, name), NOBODY, NOBODY);
    const pack = path.join(lab.client, PACK);
    fs.chmodSync(pack, 0);
    const state = lab.mounts.directory('state');
    fs.chownSync(state, NOBODY, NOBODY);
    const as = { uid: NOBODY, env: { XDG_STATE_HOME: state } };
    if (!isRoot || (await run('sonic', ['--version'], as)).status !== 0) {
      throw new LeftOut('commands cannot run as somebody else here');
    }
    const check = exited(t, FOUND, await run('sonic', ['check', ...lab.words], as));
    t.regex(check.stdout, /^unreadable: packs\/00000002\.pack cannot be read: EACCES/m);
    t.regex(check.stdout, /could not be marked \(STORE_NOT_READABLE/);
    const rebuild = exited(t, 1, await run('sonic', ['rebuild', ...lab.words], as));
    t.regex(rebuild.stderr, /packs\/00000002\.pack cannot be read.*STORE_NOT_READABLE/);
    fs.chmodSync(pack, 0o640);
    await succeed('sonic', ['check', ...lab.words, '--read-data=all'], as);
  });
});
