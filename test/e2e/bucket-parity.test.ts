// Pace: slow
/** Parity in a bucket: what a service damages is healed without the source. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { ServedLab, STORE } from '../helpers/bucket-lab.js';
import { exited } from '../helpers/codes.js';
import { backupsRunHere, type Outcome, poolsStayAway, run } from '../helpers/commands.js';
import { seed } from '../helpers/seed.js';
import { file, makeTree, noise } from '../helpers/tree.js';
import { findInnerParity, ParityMaker } from '../../src/store/index.js';
import { nodeSystem } from '../../src/system/index.js';
import { MemoryBackend } from '../support/memory-backend.js';
import { seededRandom } from '../support/seeded-random.js';

backupsRunHere();
poolsStayAway();

const random = seededRandom(seed);
const PARITY = ['--parity', '3'];

/** Starts machines whose bucket has a copy of two sets with parity. No test may change the tree. */
const withSets = ServedLab.alike(test, async (model) => {
  await model.backUp('one', ['--create', ...PARITY]);
  model.change(1);
  await model.backUp('one', PARITY);
});

/** Returns the bytes of all commits and packs. */
function bytesIn(lab: ServedLab): Map<string, string> {
  const all = lab.names(/\/(?:log|packs)\//);
  return new Map(all.map((name) => [name, lab.server.objects.bytesOf(name)!.toString('base64')]));
}

function below(most: number): number {
  return random.bytes(6).readUIntBE(0, 6) % most;
}

/** Changes a run of bytes somewhere in an object. */
function spoil({ server }: ServedLab, name: string, most = 1): void {
  server.objects.spoil(name, (bytes) => {
    const copy = Buffer.from(bytes);
    const at = below(copy.length);
    const end = Math.min(copy.length, at + 1 + below(most));
    for (let byte = at; byte < end; byte += 1) copy[byte]! ^= 1 + below(255);
    return copy;
  });
}

async function mend(
  lab: ServedLab,
  machine: string,
  args: readonly string[] = [],
): Promise<Outcome> {
  return lab.run(machine, 'sonic', ['check', '--repair', ...args]);
}

test('damage in every object of a bucket is healed on a machine that knows nothing', async (t) => {
  const lab = await withSets(t);
  const before = bytesIn(lab);
  t.true(before.size >= 4, [...before.keys()].join(' '));
  for (const name of before.keys()) spoil(lab, name);
  t.not((await lab.run('two', 'lstardis', [])).status, 0);
  const { stdout } = exited(t, 0, await mend(lab, 'three'));
  t.deepEqual(bytesIn(lab), before);
  t.deepEqual(await lab.restored('four'), []);
  t.regex(stdout, /Parity protects 6 of 6 files/);
});

/** Returns where the parity in an object begins; undefined if it has none. */
async function coveredIn(bytes: Buffer): Promise<number | undefined> {
  const reader = {
    size: async () => bytes.length,
    read: async (_name: string, at: number, target: Uint8Array, most: number) =>
      bytes.copy(target, 0, at, at + most),
  };
  return (await findInnerParity(reader, '', false))?.coveredBytes;
}

/** Returns bytes and their parity, as an attacker may make it. */
async function withParity(bytes: Buffer, percent: number): Promise<Buffer> {
  const all = [bytes];
  const read = async (_name: string, at: number, target: Uint8Array, most: number) =>
    bytes.copy(target, 0, at, at + most);
  const maker = new ParityMaker(nodeSystem().native, new MemoryBackend(), percent);
  await maker.append({ read }, bytes.length, (piece) => all.push(Buffer.from(piece)));
  return Buffer.concat(all);
}

test('forged parity, that of another object and a wrong checksum change no sound object', async (t) => {
  const lab = await withSets(t);
  const { objects } = lab.server;
  const before = bytesIn(lab);
  const [pack, other] = lab.names(/\/packs\//) as [string, string];
  const [own, foreign] = [objects.bytesOf(pack)!, objects.bytesOf(other)!];
  const data = own.subarray(0, await coveredIn(own));
  const foreignParity = foreign.subarray(await coveredIn(foreign));
  const changed = Buffer.from(data);
  changed.fill(0, changed.length >> 1, (changed.length >> 1) + 5000);
  const parityOfChanged = (await withParity(changed, 3)).subarray(changed.length);
  t.true((await withParity(data, 3)).equals(own));
  const cases = [
    ['parity of another object', Buffer.concat([data, foreignParity]), 3],
    ['parity of other bytes', Buffer.concat([data, parityOfChanged]), 0],
    ['other bytes with parity of theirs', Buffer.concat([changed, parityOfChanged]), 3],
    ['more parity', await withParity(data, 20), 3],
    ['other bytes with parity of another object', Buffer.concat([changed, foreignParity]), 3],
    ['no parity', data, 3],
  ] as const;
  for (const [what, forged, status] of cases) {
    objects.spoil(pack, () => forged);
    const reported = await mend(lab, 'forged', ['--no-mark']);
    t.is(reported.status, status, `${what}: ${reported.stdout}${reported.stderr}`);
    t.true(objects.bytesOf(pack)!.equals(status === 0 ? own : forged), what);
  }
  objects.spoil(pack, () => own);
  objects.versionsOf(pack).at(-1)!.headers['x-amz-meta-sha256'] = 'ab'.repeat(32);
  exited(t, 3, await mend(lab, 'wrong-checksum', ['--no-mark']));
  t.deepEqual(bytesIn(lab), before);
});

test('the marks of damage that a restore stores have parity if it is set', async (t) => {
  for (const [how, env] of [
    [[], {}],
    [PARITY, {}],
    [[], { TARDIS_PARITY: '3' }],
  ] as const) {
    const lab = await withSets(t);
    const { objects } = lab.server;
    for (const name of lab.names(/\/packs\//)) objects.versions.delete(name);
    const before = lab.names(/\/log\//);
    const words = [
      lab.source,
      '-o',
      fs.mkdtempSync(lab.at('out-')),
      '-D',
      STORE,
      '-C',
      'me',
      ...how,
    ];
    const { stderr } = await run('regenerate', words, { env: { ...lab.on('two'), ...env } });
    t.regex(stderr, /the damage was marked/);
    const marks = lab.names(/\/log\//).filter((name) => !before.includes(name));
    t.true(marks.length > 0);
    for (const name of marks) {
      const found = await coveredIn(objects.bytesOf(name)!);
      t.is(found !== undefined, how.length > 0 || 'TARDIS_PARITY' in env, name);
    }
  }
});

test('packs with much parity are not rewritten for it, and are deleted with it', async (t) => {
  const lab = await ServedLab.start(t);
  const much = ['--parity', '50'];
  const packs = (): string[] => lab.names(/\/packs\//);
  makeTree(lab.source, [file('gone', noise(1, 2_000_000))]);
  await lab.backUp('one', ['--create', ...much]);
  fs.rmSync(path.join(lab.source, 'gone'));
  fs.writeFileSync(path.join(lab.source, 'stays'), noise(2, 2_000_000));
  await lab.backUp('one', much);
  const before = packs();
  t.is(before.length, 2);
  await lab.succeed('one', 'sonic', ['orphans', ...much]);
  t.deepEqual(packs(), before, 'half of each is parity');
  await lab.succeed('one', 'sonic', ['delete', '1', '--yes', ...much]);
  t.deepEqual(packs(), before.slice(1));
  t.deepEqual(await lab.restored('two'), []);
});

test('a healed object in a bucket with locks is locked, and nobody takes it for that of a thief', async (t) => {
  const locked = ['--lock-days', '30'];
  const lab = await ServedLab.start(t, { locks: 'honoured' });
  const { objects } = lab.server;
  lab.grow();
  await lab.backUp('one', ['--create', ...PARITY, ...locked]);
  const before = bytesIn(lab);
  const [withTag, withoutTag] = lab.names(/\/(?:log|packs)\//) as [string, string];
  for (const name of [withTag, withoutTag]) spoil(lab, name);
  // A service whose tags are no digests of the bytes gives another one to the healed version.
  const versions = objects.versions.get(withoutTag)!;
  versions[0] = { ...versions[0]!, etag: '"another"' };
  exited(t, 0, await mend(lab, 'two', locked));
  t.deepEqual(bytesIn(lab), before);
  for (const name of [withTag, withoutTag]) {
    const all = objects.versionsOf(name);
    t.is(all.length, 2);
    t.true(all.at(-1)!.retainUntilMs > Date.now());
  }
  const there = (args: readonly string[]): Promise<Outcome> =>
    run('sonic', ['bucket', '-D', STORE, ...locked, ...args], { env: lab.on('two') });
  exited(t, 0, await there(['--extend', '--json']));
  exited(t, 0, await there(['--recover']));
  t.deepEqual(bytesIn(lab), before);
  t.is(objects.versionsOf(withTag).length, 2);
});
