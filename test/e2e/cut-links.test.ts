// Pace: long
/**
 * Backups over links that are cut anywhere, in either direction, several times in one backup. The store gets the same
 * data as over an uncut link, and only data that may not have arrived is sent again. TEST_SHARE multiplies the number
 * of cuts, TEST_SEED replays.
 */
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Address } from '../../src/system/index.js';
import { backupTo, type InlineBackup, inlineSystem, startInline } from '../helpers/inline.js';
import { type Fate, Link, randomFates, UPGRADE_BYTES } from '../helpers/link.js';
import { PASSWORD, dumpedHistory } from '../helpers/rewrites.js';
import { makeScratch, removeScratch } from '../helpers/scratch.js';
import { dir, file, makeTree, noise, text } from '../helpers/tree.js';
import { seed } from '../helpers/seed.js';
import { smallShare } from '../helpers/share.js';

const KIB = 1 << 10;
const CUTS = Math.round(600 * smallShare);
/** Credit of a session. One message may exceed it; the largest one of these trees is a chunk of 1 MiB. */
const CREDIT_BYTES = 512 * KIB;
const LARGEST_BYTES = 1100 * KIB;
/** Allowance for greetings, logins, acknowledgements, and parcels that end elsewhere because answers came later. */
const AROUND_BYTES = 160 * KIB;
/**
 * After this many bytes in either direction a session is open. Greeting, proof and challenge take about 1,600; more
 * if the login has to wait.
 */
const OPENED_BYTES = 4 * KIB;
const MOST_CUTS = 5;
const PATIENCE = { forMs: 60_000, firstWaitMs: 1 };

const home = makeScratch();
const source = path.join(home, 'tree');
const state = path.join(home, 'state');
process.env['XDG_STATE_HOME'] = state;
const system = inlineSystem();

test.after.always(() => removeScratch(home));

interface Scenario {
  readonly name: string;
  readonly password: string | undefined;
  /** The store to start from; undefined if the backup creates the client. */
  readonly base: string | undefined;
}

type Uncut = Awaited<ReturnType<typeof uncut>>;

const LARGE = noise('large', 3 << 20);

function makeSource(): void {
  const small = (from: number): ReturnType<typeof file>[] =>
    Array.from({ length: 25 }, (_, at) => file(`f${at}`, text(from + at, 900 * (at + 1))));
  makeTree(source, [
    dir('one', small(0)),
    dir('two', [dir('three', small(100)), file('noise', noise('n', 300 * KIB))]),
    file('large', LARGE),
    file('copy of large', LARGE),
    file('another', noise('another', 2 << 20)),
  ]);
}

/** Changes part of the source, so that listings are compared and deltas made. */
function changeSource(): void {
  const changed = Buffer.from(LARGE);
  noise('change', 64 * KIB).copy(changed, 1 << 20);
  fs.writeFileSync(path.join(source, 'large'), changed);
  fs.writeFileSync(path.join(source, 'two', 'three', 'f3'), text('changed', 9000));
  fs.rmSync(path.join(source, 'one', 'f7'));
  fs.writeFileSync(path.join(source, 'one', 'new'), text('new', 30 * KIB));
  fs.writeFileSync(path.join(source, 'new large'), noise('new large', 2 << 20));
}

async function backUp(scenario: Scenario, fates: readonly Fate[]) {
  const store = path.join(home, 'store');
  fs.rmSync(store, { recursive: true, force: true });
  fs.rmSync(state, { recursive: true, force: true });
  if (scenario.base !== undefined) fs.cpSync(scenario.base, store, { recursive: true });
  const daemon = await startInline(system, store, { creditBytes: CREDIT_BYTES });
  const { port } = daemon.address as Extract<Address, { kind: 'tcp' }>;
  const link = await Link.start({ port: () => port, fates });
  const { password, base } = scenario;
  const options: InlineBackup = {
    create: base === undefined,
    ...(password === undefined ? {} : { password }),
    patience: PATIENCE,
  };
  try {
    const reach = async (): Promise<Address> => ({
      kind: 'tcp',
      host: '127.0.0.1',
      port: link.port,
    });
    const result = await backupTo(system, reach, 'me', [source], options);
    await daemon.stop();
    return { result, link, reported: entriesOf(await dumpedHistory({ store, client: 'me' })) };
  } finally {
    await daemon.stop();
    await link.close();
  }
}

/** Removes from the lines of sets their times and the bytes sent, which differ between runs. */
function entriesOf(reported: readonly string[]): string[] {
  return reported.map((line) => {
    if (!line.startsWith('set ')) return line;
    const { set, state: how } = JSON.parse(line.slice(4)) as { set: number; state: string };
    return `set ${set} ${how}`;
  });
}

async function uncut(scenario: Scenario) {
  const { link, reported, result } = await backUp(scenario, []);
  if (result.resentBytes > 0) throw new Error('an uncut link sends nothing twice');
  return { scenario, reported, bytes: link.bytes };
}

async function scenarios(): Promise<Uncut[]> {
  makeSource();
  const made: Uncut[] = [];
  const both = [
    { kind: 'plain', password: undefined },
    { kind: 'encrypted', password: PASSWORD },
  ];
  for (const { kind, password } of both) {
    await uncut({ name: `before, ${kind}`, password, base: undefined });
    fs.cpSync(path.join(home, 'store'), path.join(home, kind), { recursive: true });
  }
  changeSource();
  for (const { kind, password } of both) {
    made.push(await uncut({ name: `first, ${kind}`, password, base: undefined }));
    made.push(await uncut({ name: `later, ${kind}`, password, base: path.join(home, kind) }));
  }
  return made;
}

function missing(from: readonly string[], lines: readonly string[]): string[] {
  const all = new Set(lines);
  return from.filter((line) => !all.has(line)).slice(0, 20);
}

/** Returns the number of connections at the start that may end before a session is open. */
function beforeOpened(fates: readonly Fate[]): number {
  const first = fates.findIndex(({ afterBytes }) => afterBytes >= OPENED_BYTES);
  return first === -1 ? fates.length : first;
}

/** Runs one backup whose links are cut according to the fates, and checks it. Returns the number of cuts. */
async function cutBackup(
  t: ExecutionContext,
  { scenario, reported, bytes }: Uncut,
  fates: readonly Fate[],
  round: string,
  mostRestarts = beforeOpened(fates),
): Promise<number> {
  const { result, link, reported: found } = await backUp(scenario, fates);
  const [only, lacking] = [missing(found, reported), missing(reported, found)];
  t.deepEqual([only, lacking], [[], []], round);
  // A session that is cut before its set is open cannot be resumed, so the backup starts again.
  t.true(result.restarts <= mostRestarts, round);
  const most = link.cuts * (CREDIT_BYTES + LARGEST_BYTES);
  t.true(result.resentBytes <= most, `${round}: ${result.resentBytes} bytes sent again`);
  const sent = link.bytes['to-server'];
  t.true(sent <= bytes['to-server'] + most + AROUND_BYTES, `${round}: ${sent} bytes sent`);
  return link.cuts;
}

test.serial('random cuts: what is stored is what an uncut link would have stored', async (t) => {
  t.timeout(CUTS * 6000);
  t.log(`seed ${seed}`);
  const all = await scenarios();
  for (const { scenario, reported, bytes } of all) {
    t.log(`${scenario.name}: ${reported.length} lines, ${bytes['to-server']} bytes there`);
  }
  const wanted = { cuts: 0, resent: 0, rounds: 0 };
  for (let round = 0; wanted.cuts < CUTS; round += 1) {
    // The first rounds use each scenario once, so that none is left out.
    const one = all[round % all.length]!;
    const count = 1 + ((seed + round) % MOST_CUTS);
    const fates = randomFates(seed + round, count, one.bytes);
    const what = `round ${round}, ${one.scenario.name}, seed ${seed}: ${JSON.stringify(fates)}`;
    wanted.cuts += await cutBackup(t, one, fates, what);
    wanted.rounds += 1;
  }
  t.log(`${wanted.cuts} cuts in ${wanted.rounds} backups`);
});

test.serial('a cut at every step of the greeting and the login, and at the very end', async (t) => {
  t.timeout(600_000);
  fs.rmSync(source, { recursive: true, force: true });
  makeTree(source, [dir('a', [file('b', text('b', 20 * KIB))]), file('c', noise('c', 100 * KIB))]);
  const encrypted = await uncut({ name: 'small', password: PASSWORD, base: undefined });
  // The upgrade takes about 200 bytes each way, the greeting 500, the proof 450, the challenge 450.
  for (const way of ['to-server', 'to-client'] as const) {
    for (const afterBytes of [UPGRADE_BYTES, 400, 700, 900, 1100, 1300, 1500]) {
      const fates: Fate[] = [{ way, afterBytes, how: afterBytes % 3 === 0 ? 'end' : 'reset' }];
      await cutBackup(t, encrypted, fates, `${way} after ${afterBytes}`);
    }
    const { [way]: all } = encrypted.bytes;
    for (const beforeEnd of [4, 40, 200]) {
      const fates: Fate[] = [{ way, afterBytes: all - beforeEnd, how: 'reset' }];
      await cutBackup(t, encrypted, fates, `${way}, ${beforeEnd} before the end`);
    }
  }
});
