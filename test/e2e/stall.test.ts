// Pace: long
/** A server that hangs or ends, and a client that is interrupted, in the middle of a backup. */
import path from 'node:path';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import {
  backup,
  backupsRunHere,
  listedSets,
  residentBytes,
  Running,
  Server,
  succeed,
  poolsStayAway,
} from '../helpers/commands.js';
import { lab, restoredBy } from '../helpers/lab.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { dir, file, makeTree, noise, text } from '../helpers/tree.js';
import { pause } from '../helpers/until.js';

backupsRunHere();
poolsStayAway();

const MIB = 1 << 20;
const FILES = 100;
const LARGE = 20;
/** Number of directories of a tree that is much larger than the bytes that may be in flight. */
const MANY = 120;
const FEW = 10;
/** Milliseconds between two looks at a client whose server hangs; MOST_LOOKS is the largest number of looks. */
const LOOK_MS = 2500;
const MOST_LOOKS = 8;
/** Once this many megabytes are sent, some files have arrived completely. */
const MUCH_MB = 12;

// One after the other: what a test beside it does at once, as making and comparing trees, takes seconds on a busy machine. A
// client would come to its end before this thread sees that it has begun.

function makeLargeTree(source: string, directories: number): void {
  makeTree(source, [
    ...Array.from({ length: directories }, (_, at) =>
      dir(
        `directory ${at}`,
        Array.from({ length: FILES }, (_unused, index) =>
          file(`file ${index}`, text(`${at} ${index}`, 3000)),
        ),
      ),
    ),
    ...Array.from({ length: LARGE }, (_, at) => file(`large ${at}`, noise(at, 2 * MIB))),
  ]);
}

/** Options by which little is in flight and progress is shown. */
const SLOWLY = ['--budget', '4M', '--budget-items', '1000', '--progress'];

interface Sight {
  readonly entries: number;
  readonly bytes: number;
}

function scanned(running: Running): number {
  const all = [...running.stderr.matchAll(/scanned ([\d,]+) entries/g)];
  return Number(all.at(-1)?.[1]?.replaceAll(',', '') ?? 0);
}

/** Slow on any machine: a fast one would finish too soon, and on a busy one the test may react seconds late. */
const AT_ANY_PACE = [...SLOWLY, '--bandwidth-limit', '3M'];

function hasSentMuch(running: Running): boolean {
  const all = [...running.stderr.matchAll(/sent ([\d.]+) MB/g)];
  return Number(all.at(-1)?.[1] ?? 0) >= MUCH_MB;
}

test.serial(
  'while the server stands still the walk stops and memory stays; then all goes on',
  async (t) => {
    const { store, source, at } = lab(t, []);
    const server = await Server.during(t, store, [], { isProcess: true });
    const place = ['-C', 'me', ...server.clientArgs];
    // Only a later backup prints the number of scanned entries; a first backup prints a percentage.
    await succeed('tardis', [...place, '--create', source]);
    makeLargeTree(path.join(source, 'all'), MANY);
    const args = [...place, ...SLOWLY, '--bandwidth-limit', '8M', source];
    const running = new Running('tardis', args);
    await running.until('progress', () => scanned(running) > 0);
    server.running.signal('SIGSTOP');
    const entries = MANY * (FILES + 1) + LARGE;
    const sight = (): Sight => ({ entries: scanned(running), bytes: residentBytes(running.pid) });
    let [before, after] = [sight(), sight()];
    // Work in flight ends first, which takes longer on a slower machine.
    for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
      before = after;
      await pause(LOOK_MS);
      after = sight();
      if (looks > 0 && after.entries === before.entries) break;
    }
    t.log(`stopped at ${after.entries} of ${entries} entries, ${after.bytes >> 20} MiB resident`);
    t.false(running.hasEnded);
    t.true(after.entries < entries, 'the walk went on to the end');
    t.is(after.entries, before.entries);
    t.true(after.bytes - before.bytes < 16 * MIB, `grew by ${after.bytes - before.bytes} bytes`);
    server.running.signal('SIGCONT');
    exited(t, 0, await running.ended);
    t.deepEqual(await restoredBy(['-D', store, '-C', 'me'], source, at('out')), []);
  },
);

test.serial(
  'a server that is stopped ends at a checkpoint; the next run has less to send',
  async (t) => {
    const home = scratchInMemory(t);
    const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
    makeLargeTree(source, FEW);
    const server = await Server.during(t, store, [], { isProcess: true });
    const impatient = ['--reconnect', '0'];
    const args = [
      '-C',
      'me',
      '--create',
      ...server.clientArgs,
      ...impatient,
      ...AT_ANY_PACE,
      source,
    ];
    const running = new Running('tardis', args);
    await running.until('contents sent', () => hasSentMuch(running));
    t.is((await server.stop()).status, 0);
    t.regex(exited(t, 1, await running.ended).stderr, /\[SERVER_STOPPING\]/);
    t.deepEqual(
      (await listedSets(store, 'me')).map(({ state }) => state),
      ['unfinished'],
    );

    const place = ['-D', store, '-C', 'me'];
    const next = await backup([...place, '--local', source]);
    const total = FEW * FILES + LARGE;
    t.true(next.progress.contentsSent < total, `${next.progress.contentsSent} of ${total} sent`);
    t.deepEqual(
      (await listedSets(store, 'me')).map(({ set, state }) => [set, state]),
      [[2, 'complete']],
    );
    t.deepEqual(await restoredBy(place, source, path.join(home, 'out')), []);
  },
);

for (const [name, interrupt] of [
  ['the client', (running: Running) => running.signal('SIGINT')],
  ['client and server, as by Ctrl-C,', (running: Running) => running.signalGroup('SIGINT')],
] as const) {
  test.serial(
    `an interrupt of ${name} leaves an unfinished set, and the next run completes`,
    async (t) => {
      const home = scratchInMemory(t);
      const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
      makeLargeTree(source, FEW);
      const place = ['-D', store, '-C', 'me'];
      const args = [...place, '--local', '--create', ...AT_ANY_PACE, source];
      const running = new Running('tardis', args);
      await running.until('contents sent', () => hasSentMuch(running));
      interrupt(running);
      const { status, stderr } = await running.ended;
      t.is(status, 130, stderr);
      t.regex(stderr, /\[INTERRUPTED\]/);
      t.notRegex(stderr, /\n\s+at /);
      const sets = await listedSets(store, 'me');
      t.deepEqual(
        sets.map(({ state }) => state),
        ['unfinished'],
      );
      t.regex(await succeed('lstardis', place), /unfinished/);

      const next = await backup([...place, '--local', source]);
      t.true(next.progress.contentsSent < FEW * FILES + LARGE);
      const after = await listedSets(store, 'me');
      t.deepEqual(
        after.map(({ set, state }) => [set, state]),
        [[2, 'complete']],
      );
      t.deepEqual(await restoredBy(place, source, path.join(home, 'out')), []);
    },
  );
}
