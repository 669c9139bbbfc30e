// Pace: long
/**
 * Interrupted restores: at whatever moment a restore ends, the same command finishes it without manual steps. Files of
 * others stay. A replaced file is the old one or the new one, complete. TEST_SEED replays a run; TEST_SHARE=1 tests
 * every operation.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { PolicyOptions } from '../../src/restore/index.js';
import { faultySystem, KilledError } from '../support/faults.js';
import { oneByOne } from '../support/leaves-all.js';
import type { NativeCalls, System } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { backupsRunHere, backup, run, Running, succeed } from '../helpers/commands.js';
import { Ledger, Plan, watchOnly } from '../helpers/faults.js';
import { backupInline, inlineSystem, type Place, restoreInline } from '../helpers/inline.js';
import { lab } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import {
  differences,
  dir,
  file,
  hardlink,
  look,
  makeTree,
  noise,
  type Snapshot,
  symlink,
  text,
} from '../helpers/tree.js';
import { seed } from '../helpers/seed.js';
import { partOf, share } from '../helpers/share.js';
import { pause } from '../helpers/until.js';

backupsRunHere();

const MIB = 1 << 20;
const random = seededRandom(seed);

class Lab {
  readonly home: string;
  readonly source: string;
  readonly place: Place;
  readonly wanted: Snapshot;
  private outputs = 0;

  private constructor(home: string) {
    this.home = home;
    this.source = path.join(home, 'tree');
    this.place = { store: path.join(home, 'store'), client: 'me' };
    makeTree(this.source, [
      dir('a', [
        file('one', text(1, 3000)),
        file('closed', text(2, 500), { mode: 0o600 }),
        file('empty'),
      ]),
      dir('b', [
        file('large', noise(3, 2 * MIB)),
        dir('c', [file('four', text(4, 100)), dir('locked', [file('x', 'x')], { mode: 0o500 })]),
      ]),
      symlink('link', 'a/one'),
      hardlink('second', 'a', 'one'),
    ]);
    this.wanted = look(this.source);
  }

  static async with(t: ExecutionContext): Promise<Lab> {
    const lab = new Lab(scratchInMemory(t));
    await backupInline(inlineSystem(), lab.place, [lab.source], { create: true });
    return lab;
  }

  freshOutput(): string {
    this.outputs += 1;
    return path.join(this.home, `out ${this.outputs}`);
  }

  async restore(output: string, system: System, policy: PolicyOptions): Promise<void> {
    const request = { paths: [this.source], output, policy };
    const failures = await restoreInline(system, this.place, request);
    if (failures.length > 0) throw new Error(JSON.stringify(failures));
  }

  /**
   * Restores with a system that may kill the run. Returns true if the run came to its end. Errors after the kill are
   * ignored.
   */
  async mayDie(
    output: string,
    world: (base: System) => System,
    policy: PolicyOptions,
  ): Promise<boolean> {
    const ledger = new Ledger(inlineSystem());
    try {
      await this.restore(output, world(ledger.system), policy);
      return true;
    } catch {
      return false;
    } finally {
      ledger.closeAll();
    }
  }

  /** Runs the same restore again, which must complete it. */
  async again(t: ExecutionContext, output: string, policy: PolicyOptions, what: string) {
    await this.restore(output, inlineSystem(), policy);
    t.deepEqual(differences(this.wanted, look(path.join(output, 'tree'))), [], what);
    t.deepEqual(fs.readdirSync(output), ['tree'], `${what}: something was left behind`);
  }
}

const POLICIES: readonly PolicyOptions[] = [{}, { overwrite: 'always' }, { overwrite: 'never' }];

/** An operation of a restore, by its number; 1 is the first. */
interface Point {
  readonly operation: string;
  readonly at: number;
}

/** Returns the operations of a restore that a plan has seen. */
function pointsIn(watch: Plan): Point[] {
  return watch.seen.map((operation, index) => ({ operation, at: index + 1 }));
}

/** Operations on the catalog leave nothing behind. */
const isOfTarget = ({ operation }: Point): boolean => !operation.startsWith('sql.');

/** Returns a share of the points that TEST_SEED chooses, with each name of an operation. */
function somePoints(points: readonly Point[]): Point[] {
  return partOf(points, share, random, ({ operation }) => [operation]);
}

for (const policy of POLICIES) {
  test.serial(
    `killed at every operation, overwriting ${policy.overwrite ?? 'nothing'}`,
    async (t) => {
      const lab = await Lab.with(t);
      const watch = watchOnly();
      await lab.restore(lab.freshOutput(), faultySystem(inlineSystem(), watch), policy);
      t.true(watch.seen.length > 50);
      // One mode resembles another, so a sample of it is enough.
      const stride = policy.overwrite === 'never' ? 4 : 1;
      const all = pointsIn(watch).filter((point) => isOfTarget(point) && point.at % stride === 0);
      const points = somePoints(all);
      for (const { at } of points) {
        const output = lab.freshOutput();
        const plan = new Plan(at, { kind: 'kill' });
        await lab.mayDie(output, (base) => faultySystem(base, plan), policy);
        await lab.again(t, output, policy, `killed at operation ${at}, ${plan.hit} (seed ${seed})`);
      }
      t.log(`seed ${seed}: ${points.length} of ${all.length} operations`);
    },
  );
}

/** One error, which the restore either reports or fails with. */
const ONE_ERROR = { kind: 'fail-once', code: 'EIO' } as const;

/** Returns the operations of a restore that may fail, without those on the catalog. */
async function pointsOf(lab: Lab, policy: PolicyOptions): Promise<Point[]> {
  const watch = watchOnly();
  await lab.restore(lab.freshOutput(), faultySystem(inlineSystem(), watch), policy);
  return pointsIn(watch).filter(isOfTarget);
}

for (const policy of [{}, { overwrite: 'always' }] as const) {
  test.serial(
    `what failed once is there after the same command, overwriting ${policy.overwrite ?? 'nothing'}`,
    async (t) => {
      const lab = await Lab.with(t);
      const all = await pointsOf(lab, policy);
      t.true(all.length > 50);
      const points = somePoints(all);
      let failed = 0;
      for (const { at } of points) {
        const output = lab.freshOutput();
        const plan = new Plan(at, ONE_ERROR);
        const isDone = await lab.mayDie(output, (base) => faultySystem(base, plan), policy);
        failed += isDone ? 0 : 1;
        await lab.again(t, output, policy, `failed at operation ${at}, ${plan.hit} (seed ${seed})`);
      }
      t.log(`seed ${seed}: ${failed} of ${points.length} failed, of ${all.length} operations`);
      t.true(failed > points.length / 4);
    },
  );
}

/** Runs a restore to its end in which writing the first small file fails. Returns its target. */
async function endedWithFailure(lab: Lab): Promise<string> {
  const base = inlineSystem();
  let isFirst = true;
  const writeFileAt: NativeCalls['writeFileAt'] = (...args) => {
    const isHit = isFirst;
    isFirst = false;
    if (isHit) throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
    return base.native.writeFileAt(...args);
  };
  const system = {
    ...base,
    clock: base.clock,
    native: { ...base.native, ...oneByOne({ writeFileAt }) },
  };
  const output = lab.freshOutput();
  const failures = await restoreInline(system, lab.place, { paths: [lab.source], output });
  if (failures.length === 0) throw new Error('nothing failed');
  return output;
}

test.serial(
  'a run that goes on with one that ended with failures may be killed, too',
  async (t) => {
    const lab = await Lab.with(t);
    const watch = watchOnly();
    await lab.restore(await endedWithFailure(lab), faultySystem(inlineSystem(), watch), {});
    let killed = 0;
    for (const { at } of somePoints(pointsIn(watch))) {
      const output = await endedWithFailure(lab);
      const plan = new Plan(at, { kind: 'kill' });
      if (await lab.mayDie(output, (base) => faultySystem(base, plan), {})) continue;
      killed += 1;
      await lab.again(t, output, {}, `killed at operation ${at}, ${plan.hit} (seed ${seed})`);
    }
    t.log(`seed ${seed}: killed at ${killed} of ${watch.seen.length} operations`);
    t.true(killed > 5);
  },
);

test.serial(
  'after a run that ended with failures, what somebody puts there is his own',
  async (t) => {
    const lab = await Lab.with(t);
    const output = await endedWithFailure(lab);
    const at = (name: string): string => path.join(output, 'tree', name);
    const missing = [...lab.wanted.keys()].filter((name) => !fs.existsSync(at(name)));
    t.true(missing.length > 0);
    for (const name of missing) fs.writeFileSync(at(name), 'm', { mode: 0o600 });
    fs.rmSync(at('link'));
    fs.symlinkSync('mine', at('link'));
    const failures = await restoreInline(inlineSystem(), lab.place, {
      paths: [lab.source],
      output,
    });
    const reported = failures.map(({ path: name }) => String(name));
    for (const name of [...missing, 'link']) t.true(reported.includes(`tree/${name}`), name);
    for (const name of missing) t.is(fs.readFileSync(at(name), 'utf8'), 'm');
    t.is(fs.readlinkSync(at('link')), 'mine');
  },
);

type Leave = (fd: number, bytes: Uint8Array, mode: number) => void;
const NOTHING_WRITTEN: Leave = () => undefined;

/** States of a file after a kill while it was written. */
const HALVES: readonly (readonly [what: string, leave: Leave])[] = [
  ['nothing but the name', NOTHING_WRITTEN],
  ['half of the bytes', (fd, bytes) => void fs.writeSync(fd, bytes.subarray(0, bytes.length >> 1))],
  ['all bytes, still closed', (fd, bytes) => void fs.writeSync(fd, bytes)],
  [
    'all but the times',
    (fd, bytes, mode) => {
      fs.writeSync(fd, bytes);
      fs.fchmodSync(fd, mode);
    },
  ],
];

/** Returns a system that kills the run in the middle of the n-th small file. */
function endingAt(n: number, leave: Leave): (base: System) => System {
  let written = 0;
  let isDead = false;
  const around = (real: NativeCalls): Partial<NativeCalls> => ({
    writeFileAt: (fd, name, data, offset, bytes, rows, rowAt, options) => {
      if (isDead) throw new KilledError();
      written += 1;
      if (written < n) {
        real.writeFileAt(fd, name, data, offset, bytes, rows, rowAt, options);
        return;
      }
      isDead = true;
      const made = real.createFileAt(fd, name);
      const mode = Buffer.from(rows.buffer, rows.byteOffset + rowAt).readUInt16LE(10);
      leave(made, data.subarray(offset, offset + bytes), mode);
      real.close(made);
      throw new KilledError();
    },
    unlinkAt: (fd, name) => {
      if (!isDead) real.unlinkAt(fd, name);
    },
    renameAt: (...args) => {
      if (isDead) throw new KilledError();
      real.renameAt(...args);
    },
    setDirectoryMetadata: (...args) => {
      if (isDead) throw new KilledError();
      real.setDirectoryMetadata(...args);
    },
  });
  return (base) => ({
    ...base,
    clock: base.clock,
    native: { ...base.native, ...oneByOne(around(base.native)) },
  });
}

for (const [what, leave] of HALVES) {
  test.serial(`killed in the middle of a file: ${what}`, async (t) => {
    const lab = await Lab.with(t);
    for (const policy of POLICIES) {
      for (let n = 1; ; n += 1) {
        const output = lab.freshOutput();
        if (await lab.mayDie(output, endingAt(n, leave), policy)) break;
        t.true(n < 20);
        await lab.again(t, output, policy, `${policy.overwrite}, file ${n}`);
      }
    }
  });
}

test.serial(
  'a file being replaced is the old one or the new one, whatever the moment',
  async (t) => {
    const lab = await Lab.with(t);
    const policy = { overwrite: 'always' } as const;
    const old = new Map([
      ['a/one', 'my one'],
      ['b/large', 'my large'],
    ]);
    const prepared = (): string => {
      const output = lab.freshOutput();
      for (const [name, content] of old) {
        const there = path.join(output, 'tree', name);
        fs.mkdirSync(path.dirname(there), { recursive: true });
        fs.writeFileSync(there, content);
      }
      return output;
    };
    const watch = watchOnly();
    await lab.restore(prepared(), faultySystem(inlineSystem(), watch), policy);
    const all = pointsIn(watch)
      .filter(isOfTarget)
      .map(({ operation }, index) => ({ operation, at: index + 1 }));
    let killed = 0;
    for (const { at } of somePoints(all)) {
      const output = prepared();
      const top = path.join(output, 'tree');
      const plan = new Plan(Infinity, { kind: 'kill' }, undefined, (operation, { seen }) => {
        const isOurs = operation.startsWith('native.') || operation === 'files.write';
        return isOurs && seen.filter((name) => !name.startsWith('sql.')).length >= at;
      });
      // After the last call that changes the target, nothing is left to be killed at.
      if (await lab.mayDie(output, (base) => faultySystem(base, plan), policy)) continue;
      killed += 1;
      for (const [name, content] of old) {
        const found = fs.readFileSync(path.join(top, name));
        const isWhole =
          found.equals(Buffer.from(content)) ||
          found.equals(fs.readFileSync(path.join(lab.source, name)));
        t.true(isWhole, `${name} is neither the old nor the new one, ${plan.hit} (${at})`);
      }
      await lab.again(t, output, policy, `killed at ${plan.hit} (${at}, seed ${seed})`);
    }
    t.log(`seed ${seed}: killed at ${killed} of ${all.length} operations`);
    t.true(killed > 5);
  },
);

test.serial(
  'after a power cut, a further name with a torn file becomes a link, and one with other bytes stays',
  async (t) => {
    const lab = await Lab.with(t);
    const watch = watchOnly();
    await lab.restore(lab.freshOutput(), faultySystem(inlineSystem(), watch), {});
    const links = watch.seen.filter((operation) => operation === 'native.linkAt').length;
    for (const isTorn of [true, false]) {
      const output = lab.freshOutput();
      const plan = new Plan(Infinity, { kind: 'kill' }, undefined, (operation, { seen }) => {
        const made = seen.filter((name) => name === 'native.linkAt').length;
        return operation === 'native.linkAt' && made >= links;
      });
      t.false(await lab.mayDie(output, (base) => faultySystem(base, plan), {}));
      const journal = fs.readdirSync(output).find((name) => name.startsWith('.tardis-restore-'))!;
      const text = fs.readFileSync(path.join(output, journal), 'utf8');
      fs.writeFileSync(
        path.join(output, journal),
        text.replace(/"boot":"[^"]*"/, '"boot":"earlier"'),
      );
      const name = path.join(output, 'tree', 'a', 'one');
      const bytes = fs
        .readFileSync(path.join(lab.source, 'a', 'one'))
        .fill(isTorn ? 0 : 'x', 100, 200);
      fs.rmSync(name, { force: true });
      fs.writeFileSync(name, bytes, { mode: 0o600 });
      if (isTorn) await lab.again(t, output, {}, 'torn');
      else {
        const error = await t.throwsAsync(lab.restore(output, inlineSystem(), {}));
        t.regex(error.message, /TARGET_EXISTS/);
        t.deepEqual(fs.readFileSync(name), bytes);
      }
    }
  },
);

test.serial("what somebody puts there meanwhile is not taken for the killed run's", async (t) => {
  const lab = await Lab.with(t);
  const output = lab.freshOutput();
  t.false(await lab.mayDie(output, endingAt(2, NOTHING_WRITTEN), {}));
  const mine = path.join(output, 'tree', 'a', 'one');
  fs.mkdirSync(path.dirname(mine), { recursive: true });
  fs.rmSync(mine, { force: true });
  fs.writeFileSync(mine, 'mine, and short', { mode: 0o644 });
  const request = { paths: [lab.source], output };
  const failures = await restoreInline(inlineSystem(), lab.place, request);
  t.true(failures.some(({ path: name }) => String(name) === 'tree/a/one'));
  t.is(fs.readFileSync(mine, 'utf8'), 'mine, and short');
});

/** Ways in which somebody replaces an entry that a killed run has restored. */
const REPLACEMENTS: readonly (readonly [
  what: string,
  name: string,
  replace: (at: string) => void,
])[] = [
  ['a file of equal size', 'a/one', (at) => fs.writeFileSync(at, 'm'.repeat(3000))],
  ['a closed file', 'a/closed', (at) => fs.writeFileSync(at, 'mine', { mode: 0o600 })],
  ['an empty file', 'a/one', (at) => fs.writeFileSync(at, '')],
  ['a link', 'link', (at) => fs.symlinkSync('mine', at)],
  ['a further name', 'second', (at) => fs.writeFileSync(at, 's'.repeat(3000))],
  ['a large file', 'b/large', (at) => fs.writeFileSync(at, noise(9, 2 * MIB))],
];

/** Returns the bytes of a file, or the target of a link. */
function contentOf(at: string): Buffer {
  return fs.lstatSync(at).isSymbolicLink() ? Buffer.from(fs.readlinkSync(at)) : fs.readFileSync(at);
}

test.serial(
  "a killed run's successor replaces nothing that somebody has changed since",
  async (t) => {
    const lab = await Lab.with(t);
    const finishing = (base: System): System => ({
      ...base,
      clock: base.clock,
      native: {
        ...base.native,
        setDirectoryMetadata: () => {
          throw new KilledError();
        },
      },
    });
    const args = ['-D', lab.place.store, '-C', 'me'];
    for (const [what, name, replace] of REPLACEMENTS) {
      for (const overwrite of [[], ['--overwrite', 'never'], ['--compare-contents']]) {
        const output = lab.freshOutput();
        t.false(await lab.mayDie(output, finishing, {}));
        const at = path.join(output, 'tree', name);
        fs.rmSync(at);
        replace(at);
        const mine = contentOf(at);
        const command = [...args, ...overwrite, '-o', output, lab.source];
        const { status, stdout, stderr } = await run('regenerate', command);
        t.true(contentOf(at).equals(mine), `${what}: ${stderr}`);
        const isKept = overwrite.includes('never');
        t.is(status, isKept ? 0 : 3, `${what}: ${stderr}`);
        if (isKept) t.regex(stdout, /1 was already present but different/, what);
        else t.regex(stderr, new RegExp(`tree/${name}: .*TARGET_EXISTS`), what);
        const others = differences(lab.wanted, look(path.join(output, 'tree')));
        t.true(
          others.every((line) => new RegExp(`${name}|second|a/one`).test(line)),
          others.join(),
        );
      }
    }
  },
);

test.serial('the same restore does not run twice at once', async (t) => {
  const lab = await Lab.with(t);
  const output = lab.freshOutput();
  t.false(await lab.mayDie(output, endingAt(3, NOTHING_WRITTEN), {}));
  const mark = fs.readdirSync(output).find((name) => name.startsWith('.tardis-restore-'))!;
  const { native } = inlineSystem();
  const fd = fs.openSync(path.join(output, mark), 'r');
  // Child processes of other tests may have the file open for a moment, between fork and exec.
  const tries = 1000;
  let isLocked = false;
  for (let nth = 0; nth < tries && !isLocked; nth += 1) {
    isLocked = native.flock(fd, true);
    if (!isLocked) await pause(10);
  }
  t.true(isLocked);
  const busy = { code: 'CLIENT_BUSY' };
  await t.throwsAsync(lab.restore(output, inlineSystem(), {}), busy);
  fs.closeSync(fd);
  await lab.again(t, output, {}, 'when the other one has ended');
});

test.serial('kill -9 at random moments, until a run comes through', async (t) => {
  const { source, place, at } = lab(t, [
    ...Array.from({ length: 60 }, (_, index) =>
      dir(
        `d${index}`,
        Array.from({ length: 30 }, (_unused, n) =>
          file(`f${n}`, text(index * 100 + n, 400 + n * 90)),
        ),
      ),
    ),
    file('large', noise(5, 20 * MIB)),
  ]);
  await backup([...place, '--local', '--create', source]);
  const out = at('out');
  const args = [...place, '-o', out, source];
  let killed = 0;
  let waitMs = 100;
  for (;;) {
    const running = new Running('regenerate', args);
    const mark = (): boolean => fs.existsSync(out) && fs.readdirSync(out).length > 0;
    // Measured from the first write, because the machine may take any time to start the command.
    while (!running.hasEnded && !mark()) await pause(1);
    await pause(Math.random() * waitMs);
    running.signalGroup('SIGKILL');
    const { signal, status, stderr } = await running.ended;
    if (signal !== 'SIGKILL') {
      t.is(status, 0, stderr);
      break;
    }
    killed += 1;
    waitMs *= killed > 4 ? 2 : 1;
  }
  t.log(`killed ${killed} times`);
  t.deepEqual(differences(look(source), look(path.join(out, 'tree'))), []);
  t.deepEqual(fs.readdirSync(out), ['tree']);
});

test.serial('a restore that was stopped reports that, and that it goes on', async (t) => {
  const lab = await Lab.with(t);
  const output = lab.freshOutput();
  t.false(await lab.mayDie(output, endingAt(3, NOTHING_WRITTEN), {}));
  const args = ['-D', lab.place.store, '-C', 'me', '-o', output, lab.source];
  const dry = await succeed('regenerate', ['--json', '-n', ...args]);
  t.like(JSON.parse(dry), { resumed: true, failures: 0 });
  const { status, stderr } = await run('regenerate', args);
  t.is(status, 0, stderr);
  t.regex(stderr, /continued a restore that was interrupted/);
  t.deepEqual(differences(lab.wanted, look(path.join(output, 'tree'))), []);
});
