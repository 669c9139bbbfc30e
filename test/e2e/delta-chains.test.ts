// Pace: long
/** Chains of deltas over many days: a full one begins again at the whole version below it. */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backup, backupsRunHere, rest, succeed } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { chainsIn } from '../helpers/packed-store.js';
import { type Lab, lab } from '../helpers/lab.js';
import { isRoot, noise } from '../helpers/tree.js';

backupsRunHere();

const MIB = 1 << 20;
const DAYS = 14;
const DAYS_AFTER_PURGE = 4;
const LONGEST_CHAIN = 5;
const SECRET = 'gravel-Otter9-lamp';

/** A large file that changes a little every day, and its versions by set. */
class Days {
  readonly file: string;
  readonly versions = new Map<number, Buffer>();
  private readonly place: readonly string[];
  private content = noise('first day', 3 * MIB);
  private outputs = 0;

  constructor(
    private readonly lab: Lab,
    private readonly keys: readonly string[],
  ) {
    this.file = path.join(lab.source, 'dump');
    this.place = [...lab.place, ...keys];
  }

  /** Changes the file, backs it up, and returns the number of bytes sent. */
  async next(): Promise<number> {
    const set = this.versions.size + 1;
    if (set > 1) {
      const grown = Buffer.concat([this.content, noise(`log of day ${set}`, 5000)]);
      noise(`edit of day ${set}`, 4000).copy(grown, set * 150_000);
      this.content = grown;
    }
    fs.writeFileSync(this.file, this.content);
    this.versions.set(set, this.content);
    await rest();
    const first = set === 1 ? ['--create'] : [];
    const args = [...this.place, '--local', '--send-sig', ...first, this.lab.source];
    return (await backup(args)).progress.sentBytes;
  }

  /** Requires that each of these sets restores its version, from the store or from another one. */
  async check(t: ExecutionContext, sets: readonly number[], store = this.lab.store): Promise<void> {
    for (const set of sets) {
      this.outputs += 1;
      const out = this.lab.at(`out ${this.outputs}`);
      const from = ['-D', store, '-C', 'me', ...this.keys];
      await succeed('regenerate', [...from, '-b', String(set), '-o', out, this.file]);
      const restored = fs.readFileSync(path.join(out, 'dump'));
      t.true(restored.equals(this.versions.get(set)!), `set ${set} of ${store}`);
      fs.rmSync(out, { recursive: true });
    }
  }

  /** Runs a command of `sonic` for the client. */
  sonic(command: string, ...args: string[]): Promise<unknown> {
    return succeed('sonic', [command, ...this.place, ...args]);
  }

  /** Returns the lengths of all chains in a store, one for each content. */
  chains(store = this.lab.store): number[] {
    return chainsIn(path.join(store, 'me', 'tardis.db'));
  }
}

const life = test.macro(async (t: ExecutionContext, isSealed: boolean) => {
  const ground = lab(t);
  const keys = isSealed ? [`--password=${SECRET}`] : [];
  const days = new Days(ground, keys);
  await days.next();
  for (let day = 2; day <= DAYS; day += 1) {
    const sentBytes = await days.next();
    t.true(sentBytes < 200_000, `day ${day}: ${sentBytes}`);
  }
  t.is(Math.max(...days.chains()), LONGEST_CHAIN);
  t.is(days.chains().filter((length) => length === 1).length, 3, 'three chains begin at day 1');
  await days.check(t, [...days.versions.keys()]);
  // Purges in the middle: of a link, of the last delta of a full chain, and of the first of the next one.
  await days.sonic('delete', '--yes', '3', '6', '7', '12');
  for (let day = 1; day <= DAYS_AFTER_PURGE; day += 1) {
    t.true((await days.next()) < 250_000, `${day} days after the purge`);
  }
  const kept = [...days.versions.keys()].filter((set) => ![3, 6, 7, 12].includes(set));
  t.true(Math.max(...days.chains()) <= LONGEST_CHAIN);
  await days.sonic('check');
  await days.check(t, kept);
  if (isSealed) await days.sonic('rekey', '--yes');
  await days.check(t, [1, 10, 14, 18]);
  await days.sonic('copy', '--to', ground.at('copy'), '--create');
  await days.check(t, [1, 8, 13, 18], ground.at('copy'));
  t.true(Math.max(...days.chains(ground.at('copy'))) <= LONGEST_CHAIN);
  for (const suffix of ['', '-wal', '-shm']) {
    fs.rmSync(path.join(ground.store, 'me', `tardis.db${suffix}`), { force: true });
  }
  await days.sonic('rebuild');
  await days.check(t, kept);
  await days.sonic('check');
});

test(
  '18 days of a large file are one whole version and deltas, also after purges, a copy and a rebuild',
  life,
  false,
);
test('so they are for a client that encrypts, and after new keys', life, true);

test('a chain does not begin again at what only another owner had', async (t) => {
  if (!isRoot) return leaveOut(t, 'not root: files of two owners cannot be made');
  const { source, store, written } = lab(t);
  const env = { TARDIS_LOCAL_CONFIG: written('server', '[Tardis]\nMaxDeltaChain = 1\n') };
  const save = async (...args: string[]) => {
    await rest();
    const { progress } = await backup(['-D', store, '-C', 'me', '--local', ...args, source], {
      env,
    });
    return progress;
  };
  const put = (name: string, uid: number, content: Buffer): void => {
    fs.writeFileSync(path.join(source, name), content);
    fs.chownSync(path.join(source, name), uid, uid);
  };
  const secret = noise('secret', 2 * MIB);
  const published = Buffer.from(secret);
  published.fill('redacted ', 100_000, 200_000);
  put('of one', 1001, secret);
  await save('--create');
  put('of one', 1001, published);
  t.is((await save()).deltasSent, 1);
  put('of other', 1002, published);
  t.is((await save()).contentsSent, 0, 'the contents are equal');
  put('of other', 1002, secret);
  put('of one', 1001, Buffer.concat([published, noise('more', 1000)]));
  const { contentsSent, deltasSent } = await save();
  t.deepEqual(
    { contentsSent, deltasSent },
    { contentsSent: 1, deltasSent: 1 },
    'the own chain does',
  );
  const guess = Buffer.from(secret);
  guess.write('a guess', 150_000);
  put('of third', 1003, published);
  await save();
  put('of third', 1003, guess);
  t.like(await save(), { contentsSent: 1, deltasSent: 0 });
});

test('a chain of dated dumps begins again at the first one', async (t) => {
  const { source, place, at } = lab(t);
  const content = noise('dated', 2 * MIB);
  const days = 2 * LONGEST_CHAIN + 3;
  for (let day = 1; day <= days; day += 1) {
    noise(`edit of day ${day}`, 3000).copy(content, day * 100_000);
    if (day > 1) fs.rmSync(path.join(source, `dump-${day - 1}`));
    fs.writeFileSync(path.join(source, `dump-${day}`), content);
    await rest();
    const first = day === 1 ? ['--create'] : [];
    const { progress } = await backup([...place, '--local', ...first, source]);
    t.is(progress.deltasSent, day === 1 ? 0 : 1, `day ${day}`);
  }
  await succeed('regenerate', [...place, '-o', at('out'), source]);
  t.true(fs.readFileSync(path.join(at('out'), 'tree', `dump-${days}`)).equals(content));
});
