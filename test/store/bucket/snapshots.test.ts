// Pace: long
/**
 * Copies of the catalog in a bucket: a machine without a catalog begins with one. Whatever is wrong with a copy, the machine
 * finds what the log has.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asTardisError, TardisError } from '../../../src/errors/index.js';
import {
  type ClientDirectory,
  logPack,
  mediumOf,
  parseCommitObject,
} from '../../../src/store/index.js';
import {
  catchUp,
  changeSetting,
  makeSnapshot,
  packPiece,
  StoreWriter,
  unpackPiece,
} from '../../../src/store/writer/index.js';
import { backUpFrom, restoreFrom, startsIn } from '../../helpers/bucket-machines.js';
import { foldNow, forgeSnapshot } from '../../helpers/forged-snapshots.js';
import { inlineSystem, SMALL_STORE } from '../../helpers/inline.js';
import { folderIn, scratchInMemory } from '../../helpers/scratch.js';
import { differences, look } from '../../helpers/tree.js';
import type { BeforeRequest, Objects } from '../../support/memory-object-store.js';

const LIMITS = SMALL_STORE.store;
/** With long names, a catalog of these has more than 512 KiB. */
const FILES = 3000;
/** Changes of a setting, of two commits each, that make a new copy due. */
const CHANGES = 32;
/** Maximum number of requests that are tried. */
const MOST_REQUESTS = 60;
/** Requests for a copy, at least: a piece, a commit, and a list; or a commit, a list, another commit, and a piece. */
const LEAST_REQUESTS = 3;
const system = inlineSystem();

/** Machines after a first backup, which has made a copy. */
type Lab = Awaited<ReturnType<typeof start>>;

async function start(t: ExecutionContext) {
  const home = scratchInMemory(t);
  const source = folderIn(home, 'tree');
  for (let file = 0; file < FILES; file += 1) {
    fs.writeFileSync(path.join(source, `${'n'.repeat(180)}-${file}`), file % 500 === 0 ? 'x' : '');
  }
  const shared = { objects: new Map() as Objects };
  const on = await startsIn(home, () => shared.objects);
  const first = on();
  await backUpFrom(first, source);
  return Object.assign(shared, { home, source, on, first });
}

function pieces({ objects }: Lab): string[] {
  return [...objects.keys()].filter((name) => name.includes('/snap/')).sort();
}

function slotOf(piece: string): number {
  return Number(/\/snap\/(\d{10})-/.exec(piece)![1]);
}

function commitObject(commit: number): string {
  return `c/me/g1/log/${commit.toString().padStart(10, '0')}`;
}

/** Returns what a catalog has of sets, entries and settings. */
function factsIn({ catalogPath }: ClientDirectory): string {
  const database = system.openDatabase(catalogPath, { readonly: true });
  try {
    const rows = [
      'SELECT * FROM backup_sets ORDER BY 1',
      'SELECT directory_id, hex(name), first_set, last_set, type, size_bytes, hex(metadata) FROM entries ORDER BY 1, 2, 3',
      'SELECT hex(digest), size_bytes FROM contents ORDER BY 1',
      'SELECT * FROM settings ORDER BY 1',
      "SELECT * FROM state WHERE key LIKE 'commit.%' OR key LIKE 'counter.%' ORDER BY 1",
    ].map((sql) => database.prepare(sql).all());
    return createHash('sha256').update(JSON.stringify(rows)).digest('hex');
  } finally {
    database.close();
  }
}

/** Brings a catalog to a machine that has none. Returns the facts in it, and the commits that were read. */
async function cold(lab: Lab, before: BeforeRequest = () => undefined) {
  const commits: number[] = [];
  const directory = lab.on((kind, name, apply) => {
    if (kind === 'read' && name.includes('/log/')) commits.push(Number(name.slice(-10)));
    return before(kind, name, apply);
  });
  await catchUp(system, directory);
  return { directory, commits, facts: factsIn(directory) };
}

/** Returns the facts that the log alone has. */
async function inLog(lab: Lab): Promise<string> {
  const objects = lab.objects;
  lab.objects = new Map([...objects].filter(([name]) => !name.includes('/snap/')));
  const { facts } = await cold(lab);
  lab.objects = objects;
  return facts;
}

/** Makes a copy due, and then one in a session of its own. */
async function makeDue(lab: Lab): Promise<void> {
  for (let value = 0; value < CHANGES; value += 1) {
    await changeSetting(system, lab.first, LIMITS, { text: 'KeepDaily', value: String(value + 1) });
  }
}

async function copyNow(directory: ClientDirectory): Promise<TardisError | undefined> {
  const store = await StoreWriter.open(system, directory, LIMITS);
  await store.checkpoint();
  const failure = await makeSnapshot(system, directory, store);
  store.close();
  return failure;
}

test('a machine without a catalog begins with the copy, and reads the commits behind it', async (t) => {
  const lab = await start(t);
  const [piece, ...more] = pieces(lab);
  t.deepEqual(more, []);
  const slot = slotOf(piece!);
  t.true(slot > 3, `the copy ends at commit ${slot}`);
  fs.writeFileSync(path.join(lab.source, 'later'), 'new');
  await backUpFrom(lab.first, lab.source);
  t.deepEqual(pieces(lab), [piece!], 'a small change makes no copy');
  const { directory, commits, facts } = await cold(lab);
  t.deepEqual(commits.slice(0, 3), [1, slot + 1, slot + 2]);
  t.is(facts, await inLog(lab));
  const output = path.join(lab.home, 'out');
  t.deepEqual(await restoreFrom(directory, { source: lab.source, output }), []);
  t.deepEqual(differences(look(lab.source), look(path.join(output, 'tree'))), []);
  t.deepEqual(
    fs.readdirSync(directory.path).filter((name) => name.includes('fetched')),
    [],
  );
  fs.writeFileSync(path.join(lab.source, 'from another machine'), 'new');
  await backUpFrom(directory, lab.source);
  await catchUp(system, lab.first);
  t.is(factsIn(lab.first), (await cold(lab)).facts);
});

test('a session makes a copy after 64 commits, and the last two are kept', async (t) => {
  const lab = await start(t);
  const slots = (): number[] => [...new Set(pieces(lab).map(slotOf))];
  const [first] = slots();
  t.is(await copyNow(lab.first), undefined);
  t.deepEqual(slots(), [first!], 'none is due');
  for (let round = 0; round < 2; round += 1) {
    await makeDue(lab);
    t.is(await copyNow(lab.first), undefined);
  }
  const [second, third, ...more] = slots();
  t.deepEqual(more, []);
  t.true(second! > first! + 64 && third! > second! + 64, slots().join());
  const { commits, facts } = await cold(lab);
  t.deepEqual(commits, [1, third! + 1, third! + 2]);
  t.is(facts, await inLog(lab));
});

/** Damages of a copy, and lies about it. */
const DAMAGES: Readonly<Record<string, (lab: Lab, piece: string) => void | Promise<void>>> = {
  'is missing': ({ objects }, piece) => void objects.delete(piece),
  'has other bytes': ({ objects }, piece) => change(objects, piece, (bytes) => flip(bytes, 1000)),
  'is cut off': ({ objects }, piece) => change(objects, piece, (bytes) => bytes.subarray(0, -1)),
  'is too long': ({ objects }, piece) =>
    change(objects, piece, (bytes) => Buffer.concat([bytes, Buffer.alloc(40 << 20)])),
  'has another name': ({ objects }, piece) => {
    objects.set(piece.replace(/-[0-9a-f]{16}/, `-${'0'.repeat(16)}`), objects.get(piece)!);
    objects.delete(piece);
  },
  'is said to be newer': ({ objects }, piece) => {
    objects.set(piece.replace(/snap\/\d{10}/, 'snap/0000000003'), objects.get(piece)!);
    objects.set(piece.replace(/snap\/\d{10}/, 'snap/9999999999'), objects.get(piece)!);
    objects.delete(piece);
  },
  'has other rows': async ({ objects, first }, piece) => {
    const copy = `${first.catalogPath}.copy`;
    fs.copyFileSync(first.catalogPath, copy);
    const database = system.openDatabase(copy, { readonly: false });
    database.exec('UPDATE entries SET size_bytes = size_bytes + 1');
    // The copy ends one commit before the catalog.
    const [slot, before] = [slotOf(piece), objects.get(commitObject(slotOf(piece)))!.bytes];
    const { checksum } = parseCommitObject(before, slot);
    const put = database.prepare('UPDATE state SET value = ? WHERE key = ?');
    put.run(slot, 'commit.number');
    put.run(logPack(slot), 'commit.pack');
    put.run(before.length, 'commit.position');
    put.run(checksum, 'commit.checksum');
    database.exec("UPDATE state SET value = value - 2 WHERE key = 'counter.sequence'");
    database.close();
    const fd = fs.openSync(copy, 'r');
    const place = { fd, at: 0, sizeBytes: fs.fstatSync(fd).size };
    const bytes = await packPiece(system.files, place, () => undefined);
    fs.closeSync(fd);
    fs.unlinkSync(copy);
    change(objects, piece, () => bytes);
  },
  'ends at a commit that is missing': ({ objects }, piece) => {
    objects.delete(commitObject(slotOf(piece)));
  },
  'ends at a commit of another size': ({ objects }, piece) =>
    change(objects, commitObject(slotOf(piece)), (bytes) => bytes.subarray(0, -1)),
  'follows another commit': ({ objects }, piece) => {
    objects.set(commitObject(slotOf(piece) + 1), objects.get(commitObject(slotOf(piece)))!);
  },
};

function change(objects: Objects, name: string, how: (bytes: Buffer) => Buffer): void {
  const there = objects.get(name)!;
  objects.set(name, { ...there, bytes: how(Buffer.from(there.bytes)) });
}

function flip(bytes: Buffer, at: number): Buffer {
  bytes[at]! ^= 1;
  return bytes;
}

/** Returns the facts that were found, or the code of the error. */
async function outcome(work: Promise<string | { readonly facts: string }>): Promise<string> {
  try {
    const found = await work;
    return typeof found === 'string' ? found : found.facts;
  } catch (error) {
    return asTardisError(error).code;
  }
}

test('a copy that is damaged, missing or misplaced is not used: the log is read', async (t) => {
  const lab = await start(t);
  const { objects } = lab;
  const [piece] = pieces(lab);
  for (const [what, damage] of Object.entries(DAMAGES)) {
    lab.objects = new Map(objects);
    await damage(lab, piece!);
    const [found, wanted] = [await outcome(cold(lab)), await outcome(inLog(lab))];
    t.is(found, wanted, what);
  }
});

test('a copy that is older than the newest one is used if the newest one is damaged', async (t) => {
  const lab = await start(t);
  const [old] = pieces(lab);
  await makeDue(lab);
  await copyNow(lab.first);
  const newest = pieces(lab).at(-1)!;
  t.not(newest, old);
  change(lab.objects, newest, (bytes) => flip(bytes, 2000));
  const { commits, facts } = await cold(lab);
  t.true(commits.includes(slotOf(old!) + 1) && !commits.includes(2), commits.join());
  t.is(facts, await inLog(lab));
});

/** Statements by which somebody with the access key may change a copy that a commit of theirs names. */
const FORGERIES = {
  trigger: 'CREATE TRIGGER evil AFTER INSERT ON state BEGIN DELETE FROM entries; END',
  view: 'CREATE VIEW evil AS SELECT 1',
  index: 'CREATE INDEX evil ON entries (abs(size_bytes))',
  check: 'CREATE TABLE evil (x CHECK (x > 1))',
  'no index': 'DROP INDEX contents_by_digest',
  'later version': 'PRAGMA user_version = 77',
  'another last commit': "UPDATE state SET value = value + 1 WHERE key = 'commit.checksum'",
  'a position behind the end': "UPDATE state SET value = value * 2 WHERE key = 'commit.position'",
  'another pack': "UPDATE state SET value = value + 1 WHERE key = 'commit.pack'",
  'low numbers': "UPDATE state SET value = 0 WHERE key = 'counter.set'",
  'high numbers': "UPDATE state SET value = value + 9 WHERE key = 'counter.directory'",
} as const;

test('a forged copy that a commit names is not used if it does not fit the log', async (t) => {
  const lab = await start(t);
  await makeDue(lab);
  const { objects, first } = lab;
  for (const [what, sql] of Object.entries(FORGERIES)) {
    lab.objects = new Map(objects);
    const forger = lab.on(undefined, first);
    const slot = await forgeSnapshot(forger, sql);
    const { commits, facts } = await cold(lab);
    const isOlder = commits.includes(slot) && !commits.includes(2);
    t.true(isOlder, `${what}: an older copy is used: ${commits.join()}`);
    t.is(facts, await inLog(lab), what);
  }
  lab.objects = new Map(objects);
  const slot = await forgeSnapshot(lab.on(undefined, first), 'PRAGMA user_version');
  const { commits } = await cold(lab);
  t.true(commits.includes(slot + 1) && commits.length <= 4, 'the same, unchanged, is used');
});

/** Ways in which a request fails. */
const FAULTS = ['fails', 'is applied, and fails', 'is the last one'] as const;

/** Returns what strikes at one request, and the number of requests. */
function striking(fault: (typeof FAULTS)[number], at: number) {
  let requests = 0;
  const before: BeforeRequest = (_kind, _name, apply) => {
    requests += 1;
    const isStruck = fault === 'is the last one' ? requests >= at : requests === at;
    if (!isStruck) return;
    if (fault === 'is applied, and fails') apply();
    throw new TardisError('SERVER_UNREACHABLE', 'a fault of this test');
  };
  return { before, requests: () => requests };
}

for (const fault of FAULTS) {
  test(`a machine without a catalog finds the same if a request ${fault}`, async (t) => {
    const lab = await start(t);
    const wanted = await inLog(lab);
    for (let at = 1; at <= MOST_REQUESTS; at += 1) {
      const strike = striking(fault, at);
      const machine = lab.on(strike.before);
      await catchUp(system, machine).catch(() => undefined); // another opening goes on
      const isStruck = strike.requests() >= at;
      const again = lab.on(undefined, machine);
      await catchUp(system, again);
      t.is(factsIn(again), wanted, `request ${at}`);
      if (!isStruck) return t.true(at > LEAST_REQUESTS, 'a copy was used');
    }
    t.fail('there are more requests');
  });

  test(`nothing is lost, and no session fails, if a request for a copy ${fault}`, async (t) => {
    const lab = await start(t);
    await makeDue(lab);
    const { objects, first } = lab;
    for (let at = 1; at <= MOST_REQUESTS; at += 1) {
      lab.objects = new Map(objects);
      let isCopying = false;
      const strike = striking(fault, at);
      const machine = lab.on((...request) => {
        if (isCopying) return strike.before(...request);
      }, first);
      const store = await StoreWriter.open(system, machine, LIMITS);
      await store.checkpoint();
      isCopying = true;
      const failure = await makeSnapshot(system, machine, store);
      isCopying = false;
      store.close();
      const isStruck = strike.requests() >= at;
      t.is(failure !== undefined, isStruck, `request ${at}: ${failure?.message}`);
      t.is((await cold(lab)).facts, await inLog(lab), `request ${at}`);
      const next = lab.on(undefined, machine);
      await changeSetting(system, next, LIMITS, { text: 'KeepDaily', value: '77' });
      t.is((await cold(lab)).facts, await inLog(lab), `request ${at}, and a later session`);
      t.is(factsIn(next), await inLog(lab), `request ${at}, the machine itself`);
      if (!isStruck) return t.true(at > LEAST_REQUESTS, 'a copy was made');
    }
    t.fail('there are more requests');
  });
}

test('a copy is not made of a catalog whose pages are damaged', async (t) => {
  const lab = await start(t);
  await makeDue(lab);
  const before = pieces(lab);
  const store = await StoreWriter.open(system, lab.first, LIMITS);
  await store.checkpoint();
  foldNow(store);
  const fd = fs.openSync(lab.first.catalogPath, 'r+');
  fs.writeSync(fd, Buffer.from('rot'), 0, 3, fs.fstatSync(fd).size - 5000);
  fs.closeSync(fd);
  t.is((await makeSnapshot(system, lab.first, store))?.code, 'CATALOG_DAMAGED');
  store.abandon();
  t.deepEqual(pieces(lab), before);
});

test('pieces of a copy are read as they were written, and hostile ones are refused', async (t) => {
  const home = scratchInMemory(t);
  const [from, to] = [path.join(home, 'from'), path.join(home, 'to')];
  const bytes = Buffer.alloc(3_000_000, 'some text that repeats');
  fs.writeFileSync(from, bytes);
  fs.writeFileSync(to, '');
  const source = fs.openSync(from, 'r');
  const target = fs.openSync(to, 'r+');
  t.teardown(() => [source, target].forEach((fd) => fs.closeSync(fd)));
  const piece = { at: 0, sizeBytes: bytes.length };
  const packed = await packPiece(system.files, { fd: source, ...piece }, () => undefined);
  const place = { fd: target, ...piece };
  unpackPiece(system.files, packed, place);
  t.true(fs.readFileSync(to).equals(bytes));
  const huge = Buffer.from(packed);
  huge.writeUInt32LE(0xffff_ffff, 0);
  for (const wrong of [huge, packed.subarray(0, 3), packed.subarray(0, -1), Buffer.alloc(0)]) {
    const error = t.throws(() => unpackPiece(system.files, wrong, place));
    t.is((error as TardisError).code, 'RECORD_DAMAGED');
  }
  const longer = Buffer.concat([packed, Buffer.alloc(1)]);
  t.throws(() => unpackPiece(system.files, longer, place), { message: /not whole/ });
});

test('a rewrite and removal leave no copy of a former generation', async (t) => {
  const lab = await start(t);
  const medium = mediumOf(system, lab.first);
  const built = { ...lab.first, generation: 'g2-0123456789abcdef' };
  const [piece] = pieces(lab);
  const name = piece!.replace('/g1/', `/${built.generation}/`);
  lab.objects.set(name, lab.objects.get(piece!)!);
  await medium.removeBuilt?.(built, () => undefined);
  t.false(lab.objects.has(name));
  t.true(lab.objects.has(piece!));
});
