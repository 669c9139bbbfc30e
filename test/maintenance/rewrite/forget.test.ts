// Pace: slow
/**
 * A client forgets paths. The remaining history is what a naive second computation expects, and no forgotten byte can
 * be found. After a failure or a kill, the client is as before or as after. TEST_SHARE multiplies the number of
 * histories, TEST_SEED replays a run, TEST_SHARE multiplies the number of operations that fail.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ForgetRequest } from '../../../src/model/index.js';
import { forgetHere } from '../../../src/maintenance/rewrite/index.js';
import {
  addTokenAccount,
  Codec,
  listTokenAccounts,
  newestKeys,
  openClientDirectory,
  removeAccount,
  tokenHash,
} from '../../../src/store/index.js';
import { faultySystem } from '../../support/faults.js';
import { nodeSystem } from '../../../src/system/index.js';
import { seededRandom } from '../../support/seeded-random.js';
import { TROUBLES, watchOnly } from '../../helpers/faults.js';
import {
  requestInline,
  decodedBytes,
  forgetInline,
  requestFor,
  dumpedWithout,
} from '../../helpers/forgets.js';
import { rejectedCode } from '../../helpers/codes.js';
import {
  backupInline,
  inlineLab,
  inlineSystem,
  type Place,
  rebuildInline,
  SMALL_STORE,
} from '../../helpers/inline.js';
import { copyAt, strike } from '../../helpers/strike.js';
import {
  giveKeys,
  keysIn,
  PASSWORD,
  rewriteInline,
  ringOf,
  dumpedHistory,
} from '../../helpers/rewrites.js';
import { removeScratch, ownState } from '../../helpers/scratch.js';
import { dir, file, makeTree, noise } from '../../helpers/tree.js';
import { seed } from '../../helpers/seed.js';
import { sweepShare } from '../../helpers/share.js';
import { untilLocked } from '../../helpers/until.js';

const runs = Math.ceil(50 * sweepShare);
/** The number of operations that each kind of trouble hits. */
const points = Math.round(100 * Math.min(1, 1.6 * sweepShare));
const SETS = 7;
const CHANGES = 6;
const RAW = { settings: { compression: { codec: Codec.none, level: 0 } } } as const;

type Source = ReturnType<typeof seededRandom>;

ownState(test);

/** Makes one random change: writes a file, or creates, deletes or moves a directory. */
function change(source: string, random: Source, number: number): void {
  const directories = ['', 'a', 'b', 'a/c', 'b/d', 'a/c/e'];
  const at = (name: string): string => path.join(source, name);
  const one = <T>(of: readonly T[]): T => of[Math.floor(random.next() * of.length)]!;
  const there = directories.filter((name) => fs.existsSync(at(name)));
  const chance = random.next();
  if (chance < 0.5) {
    // Few different contents, so that some have several places; some are large enough for deltas.
    const content = Math.floor(random.next() * 12);
    const bytes = noise(content, content < 3 ? 150_000 : 300);
    const isChanged = content < 3 && random.next() < 0.5;
    const name = path.join(at(one(there)), `f${Math.floor(random.next() * 4)}`);
    if (fs.statSync(name, { throwIfNoEntry: false })?.isDirectory() === true) return;
    fs.writeFileSync(name, isChanged ? Buffer.concat([bytes, Buffer.from(String(number))]) : bytes);
    return;
  }
  const name = one(directories.slice(1));
  if (!fs.existsSync(at(name))) fs.mkdirSync(at(name), { recursive: true });
  else if (chance < 0.65) fs.rmSync(at(name), { recursive: true });
  else {
    const to = one(directories.slice(1));
    const isFree = !fs.existsSync(at(to)) && fs.existsSync(path.dirname(at(to)));
    if (isFree && !`${to}/`.startsWith(`${name}/`)) fs.renameSync(at(name), at(to));
  }
}

async function lived(
  t: ExecutionContext,
  random: Source,
  password?: string,
): Promise<{ place: Place; source: string }> {
  const { place, source } = inlineLab(t, [
    dir('a', [dir('c'), file('f1', noise(1, 150_000))]),
    file('f0', 'zero'),
  ]);
  for (let set = 1; set <= SETS; set += 1) {
    await backupInline(inlineSystem(), place, [source], {
      create: set === 1,
      ...(password === undefined ? {} : { password }),
    });
    for (let count = 0; count < CHANGES; count += 1) change(source, random, set * 100 + count);
  }
  return { place, source };
}

function requestsFor(source: string, random: Source): ForgetRequest[] {
  const paths = ['a', 'a/c', 'b/d', 'f1', 'a/f2', 'b'].filter(() => random.next() < 0.35);
  if (paths.length === 0) paths.push('a/c');
  return paths.map((name, index) => {
    const lastSet = random.next() < 0.5 ? SETS : 1 + Math.floor(random.next() * SETS);
    return requestFor(index + 1, path.join(source, name), lastSet);
  });
}

/** Returns the lines without spans of sets, which end at forgotten versions. */
const plain = (lines: readonly string[]): string[] => dumpedWithout(lines, []);

test('whatever a history was, it is the same but for what is forgotten', async (t) => {
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(seed + run);
    const { place, source } = await lived(t, random);
    const requests = requestsFor(source, random);
    const what = `seed ${seed + run}: ${requests.map(({ path: p, lastSet }) => `${p.toString()} up to ${lastSet}`).join(', ')}`;
    const wanted = dumpedWithout(await dumpedHistory(place), requests);
    await requestInline(place, requests);
    await forgetInline(nodeSystem(), place);
    t.deepEqual(plain(await dumpedHistory(place)), wanted, what);
    t.is((await rebuildInline(place)).damagedRecords, 0, what);
    t.deepEqual(plain(await dumpedHistory(place)), wanted, `${what}: rebuilt`);
    t.deepEqual(fs.readdirSync(place.store), ['me'], what);
    const more = await backupInline(inlineSystem(), place, [source]);
    t.deepEqual(more.doubts, [], `${what}: the next backup`);
  }
  t.log(`seed ${seed}, ${runs} histories`);
});

test('the same of a client that encrypts, with new keys and seals', async (t) => {
  for (let run = 0; run < Math.ceil(runs / 4); run += 1) {
    const random = seededRandom(seed + run);
    const { place, source } = await lived(t, random, PASSWORD);
    const before = newestKeys(nodeSystem(), path.join(place.store, 'me'))!;
    const requests = requestsFor(source, random);
    const wanted = dumpedWithout(await dumpedHistory(place), requests);
    const keys = await keysIn(nodeSystem(), path.join(place.store, 'me'));
    const ring = ringOf(nodeSystem(), keys!);
    const sealed = requests.map((request) => ({ ...request, path: ring.names.path(request.path) }));
    await requestInline(place, sealed);
    await rewriteInline(nodeSystem(), place, { forgotten: sealed });
    t.deepEqual(plain(await dumpedHistory(place)), wanted, `seed ${seed + run}`);
    const after = newestKeys(nodeSystem(), path.join(place.store, 'me'))!;
    t.notDeepEqual(after.bytes, before.bytes);
    t.is((await rebuildInline(place)).damagedRecords, 0);
    t.deepEqual(plain(await dumpedHistory(place)), wanted, `seed ${seed + run}: rebuilt`);
  }
});

const SECRET = 'Quastenflosser-3C9E77';

/** Makes a client with a file and a directory to forget. They share frames with others, and a delta depends on them. */
async function withSecrets(t: ExecutionContext): Promise<{ place: Place; source: string }> {
  const large = noise(20, 400_000);
  const { place, source } = inlineLab(t, [
    file('stays', 'what stays'),
    file('secret', `${SECRET} in a frame`),
    dir(`${SECRET}-dir`, [file('below', noise(21, 200)), file('large', large)]),
  ]);
  const run = (create = false): ReturnType<typeof backupInline> =>
    backupInline(inlineSystem(), place, [source], { create, ...RAW });
  await run(true);
  fs.appendFileSync(path.join(source, `${SECRET}-dir`, 'large'), 'more');
  await run();
  fs.renameSync(path.join(source, `${SECRET}-dir`, 'large'), path.join(source, 'large'));
  await run();
  return { place, source };
}

const secretsOf = (source: string): ForgetRequest[] => [
  requestFor(1, path.join(source, 'secret'), 3),
  requestFor(2, path.join(source, `${SECRET}-dir`), 3),
];

test('no byte of it is left in frames, records, names or copies, and what rested on it is whole', async (t) => {
  const { place, source } = await withSecrets(t);
  const all = await decodedBytes(place);
  const below = noise(21, 200);
  t.true(all.includes(`${SECRET} in a frame`) && all.includes(`${SECRET}-dir`));
  t.true(all.includes(below));
  await requestInline(place, secretsOf(source));
  await forgetInline(nodeSystem(), place);
  const left = await decodedBytes(place);
  t.true(left.includes('what stays'), 'it is looked for where it would be');
  t.false(left.includes(SECRET));
  t.false(left.includes(below));
  t.regex((await dumpedHistory(place)).join('\n'), /\/large /);
});

test('what no listed set shows is forgotten with it, and what was deleted is cleared up later', async (t) => {
  const { place, source } = await withSecrets(t);
  await requestInline(place, secretsOf(source));
  const other = path.join(path.dirname(source), 'other');
  makeTree(other, [file('elsewhere', 'elsewhere')]);
  // This set has another root only. It does not show the path, whose version is still open.
  await backupInline(inlineSystem(), place, [other], RAW);
  await forgetInline(nodeSystem(), place);
  t.false((await decodedBytes(place)).includes(SECRET));
  t.is((await rebuildInline(place)).damagedRecords, 0);
});

test('what was taken back meanwhile is not forgotten', async (t) => {
  const { place, source } = await withSecrets(t);
  const reported = await dumpedHistory(place);
  const how = {
    limits: SMALL_STORE.store,
    skipFile: 'skip',
    verify: true,
    acceptDamage: false,
    signal: new AbortController().signal,
    onProgress: () => undefined,
  };
  const directory = openClientDirectory(nodeSystem(), place);
  const code = await rejectedCode(forgetHere(nodeSystem(), directory, secretsOf(source), how));
  t.is(code, 'CLIENT_BUSY');
  t.deepEqual(await dumpedHistory(place), reported);
});

test('waiting keys and accounts of a client that does not encrypt stay as they are', async (t) => {
  const { place, source } = await withSecrets(t);
  await giveKeys(place, false);
  const account = path.join(place.store, 'me', 'accounts', 'phone');
  fs.mkdirSync(path.join(account, 'keys'), { recursive: true });
  fs.writeFileSync(path.join(account, 'rights'), 'add list\n');
  fs.writeFileSync(path.join(account, 'keys', '00000001.key'), 'record');
  const before = newestKeys(nodeSystem(), path.join(place.store, 'me'));
  await requestInline(place, secretsOf(source));
  await forgetInline(nodeSystem(), place);
  t.deepEqual(newestKeys(nodeSystem(), path.join(place.store, 'me')), before);
  t.is(fs.readFileSync(path.join(account, 'rights'), 'utf8'), 'add list\n');
  t.is(fs.readFileSync(path.join(account, 'keys', '00000001.key'), 'utf8'), 'record');
});

test('accounts that are changed after they were copied are changed in the generation that stays', async (t) => {
  const { place, source } = await withSecrets(t);
  const system = nodeSystem();
  const home = path.join(place.store, 'me');
  const [old, late] = ['old', 'late'].map((name) => ({ name, rights: ['read'] }) as const);
  await addTokenAccount(system, home, old!, tokenHash(SECRET));
  await requestInline(place, secretsOf(source));
  let changed: Promise<void> | undefined;
  const second = path.join(place.store, '.me.next');
  const syncDirectory = async (directory: string): Promise<void> => {
    await system.files.syncDirectory(directory);
    const isCopied = directory === second && fs.existsSync(path.join(second, 'accounts'));
    if (!isCopied || changed !== undefined) return;
    const started = await untilLocked(async (other) => {
      await removeAccount(other, home, 'old');
      await addTokenAccount(other, home, late!, tokenHash(SECRET));
    });
    changed = started.ended;
  };
  await forgetInline({ ...system, files: { ...system.files, syncDirectory } }, place);
  await changed;
  t.deepEqual(listTokenAccounts(system, home), [late]);
  t.deepEqual(fs.readdirSync(path.join(home, 'accounts')), ['late']);
});

test('a client is not written anew at the cost of what is to stay free', async (t) => {
  const { place, source } = await withSecrets(t);
  await requestInline(place, secretsOf(source));
  const before = plain(await dumpedHistory(place));
  const limits = { ...SMALL_STORE.store, leastFreeBytes: 2 ** 60 };
  t.is(await rejectedCode(forgetInline(nodeSystem(), place, limits)), 'DISK_FULL');
  t.deepEqual(fs.readdirSync(place.store), ['me']);
  t.deepEqual(plain(await dumpedHistory(place)), before);
});

for (const trouble of TROUBLES) {
  test.serial(`forgetting: ${trouble.name}`, async (t) => {
    const { place: start, source } = await withSecrets(t);
    const requests = secretsOf(source);
    const before = plain(await dumpedHistory(start));
    const after = dumpedWithout(await dumpedHistory(start), requests);
    await requestInline(start, requests);
    const watched = copyAt(start, `${start.store} watched`);
    const seen = watchOnly();
    await forgetInline(faultySystem(inlineSystem(), seen), watched);
    const random = seededRandom(seed);
    const step = seen.seen.length / points;
    for (let point = 0; point < points; point += 1) {
      const at = 1 + Math.floor((point + random.next()) * step);
      const place = copyAt(start, `${start.store} ${at}`);
      const { what } = await strike(t, place.store, { trouble, at, seed }, (system) =>
        forgetInline(system, place),
      );
      const reported = plain(await dumpedHistory(place));
      t.true(
        [before, after].some((one) => one.join() === reported.join()),
        `${what}: half of it`,
      );
      await forgetInline(nodeSystem(), place);
      t.deepEqual(plain(await dumpedHistory(place)), after, `${what}: after the next run`);
      t.false((await decodedBytes(place)).includes(SECRET), what);
      // A failed deletion may leave an empty lock file, which the next rewrite takes.
      const left = fs.readdirSync(place.store).filter((name) => name !== '.me.next.lock');
      t.deepEqual(left, ['me'], what);
      removeScratch(place.store);
    }
    t.log(`seed ${seed}: ${points} of ${seen.seen.length} operations`);
  });
}
