// Pace: long
/** Clocks of client and server that jump during backups and between them: nothing is lost or refused. */
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { Address, Clock } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { jsonLines, succeed } from '../helpers/commands.js';
import {
  backupTo,
  inlineSystem,
  rebuildInline,
  restoreInline,
  startInline,
  withHistory,
} from '../helpers/inline.js';
import { sha256 } from '../helpers/rows.js';
import { scratchInMemory } from '../helpers/scratch.js';
import { differences, dir, file, look, makeTree, text } from '../helpers/tree.js';
import { seed } from '../helpers/seed.js';
import { shareOf } from '../helpers/share.js';

const YEAR_DAYS = 365;
const DAYS = Math.min(YEAR_DAYS, shareOf(3 * YEAR_DAYS));
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const YEAR_MS = YEAR_DAYS * DAY_MS;
/** Number of days between comparisons of a whole restore. */
const RESTORE_EVERY = Math.floor(DAYS / 5);

/** Times that a broken clock may show. */
const ODD_MOMENTS: readonly number[] = [
  0, // 1970
  -1, // before 1970
  -YEAR_MS,
  2 ** 31 * 1000 - 1, // 2038
  2 ** 31 * 1000 + 1,
  2 ** 32 * 1000 - 1, // 2106
  2 ** 32 * 1000 + 1,
  253_402_300_800_000, // the year 10000
  8_640_000_000_000_000, // the largest time of a Date
  Date.UTC(2026, 2, 29, 0, 59, 59, 999), // just before European summer time begins
  Date.UTC(2026, 9, 25, 0, 59, 59, 999), // just before it ends
  NaN,
  Infinity,
];
const JUMPS_MS: readonly number[] = [5 * MINUTE_MS, 60 * MINUTE_MS, DAY_MS, YEAR_MS, 10 * YEAR_MS];

/** A wall clock that advances by days, and jumps at the n-th call. */
class JumpyClock implements Clock {
  private readonly base: Clock;
  private offsetMs = 0;
  private fixedMs: number | undefined;
  private callsToJump = Infinity;
  private readonly random: ReturnType<typeof seededRandom>;

  constructor(base: Clock, seed: number) {
    this.base = base;
    this.random = seededRandom(seed);
  }

  monotonicMs(): number {
    return this.base.monotonicMs();
  }

  nowMs(): number {
    this.callsToJump -= 1;
    if (this.callsToJump === 0) this.jump();
    return this.fixedMs ?? this.base.nowMs() + this.offsetMs;
  }

  /** Advances by a day. The clock may also jump, at once or at a later call in the middle of a backup. */
  nextDay(): void {
    this.offsetMs += DAY_MS;
    this.callsToJump = Infinity;
    if (this.fixedMs !== undefined && this.random.next() < 0.5) this.fixedMs = undefined;
    const chance = this.random.next();
    if (chance < 0.2) this.jump();
    else if (chance < 0.5) this.callsToJump = 1 + Math.floor(this.random.next() * 12);
  }

  private jump(): void {
    const { next } = this.random;
    this.fixedMs = undefined;
    if (next() < 0.3) {
      this.fixedMs = ODD_MOMENTS[Math.floor(next() * ODD_MOMENTS.length)];
      return;
    }
    const byMs = JUMPS_MS[Math.floor(next() * JUMPS_MS.length)]!;
    this.offsetMs += next() < 0.5 ? byMs : -byMs;
  }
}

test('backups on days with clocks that jump: each set is complete, in order, and has what was there', async (t) => {
  t.timeout(240_000);
  t.log(`seed ${seed}`);
  const home = scratchInMemory(t);
  const [store, source] = [path.join(home, 'store'), path.join(home, 'tree')];
  const files = Array.from({ length: 8 }, (_, at) => file(`f${at}`, text(at, 3000)));
  makeTree(source, [dir('a', files), dir('b', [dir('c', files)])]);
  const base = inlineSystem();
  const [ours, theirs] = [new JumpyClock(base.clock, seed), new JumpyClock(base.clock, seed + 1)];
  const client = inlineSystem({ clock: ours });
  const daemon = await startInline(inlineSystem({ clock: theirs }), store);
  t.teardown(() => daemon.stop());
  const reach = async (): Promise<Address> => daemon.address;
  const place = { store, client: 'me' };
  const { next } = seededRandom(seed + 2);
  for (let day = 1; day <= DAYS; day += 1) {
    ours.nextDay();
    theirs.nextDay();
    const name = path.join(next() < 0.5 ? 'a' : 'b/c', `f${Math.floor(next() * 9)}`);
    const content = text(`${seed} ${day}`, 100 + Math.floor(next() * 4000));
    fs.writeFileSync(path.join(source, name), content);
    const result = await backupTo(client, reach, 'me', [source], { create: day === 1 });
    t.is(result.set, day);
    const saved = await withHistory(place, async (history) => {
      const newest = await history.findSet(undefined);
      t.is(newest.set, day, 'order is by number');
      return history.find(Buffer.from(path.join(source, name)), day);
    });
    t.deepEqual(saved?.digest, sha256(content), `day ${day}: ${name}`);
    if (day % RESTORE_EVERY > 0) continue;
    const output = path.join(home, `out ${day}`);
    t.deepEqual(await restoreInline(client, place, { paths: [source], output }), []);
    t.deepEqual(differences(look(source), look(path.join(output, 'tree'))), [], `day ${day}`);
  }
  await daemon.stop();
  const shown = [await succeed('lstardis', ['-D', store, '-C', 'me'])];
  shown.push(await succeed('sonic', ['list', '-D', store, '-C', 'me']));
  t.false(
    shown.some((one) => one.includes('NaN') || one.includes('undefined')),
    shown.join('\n'),
  );
  const reported = jsonLines<{ sets: { set: number; openedAtMs: number; state: string }[] }>(
    await succeed('lstardis', ['-D', store, '-C', 'me', '--json']),
  );
  const { sets } = reported[0]!;
  t.deepEqual(
    sets.map(({ set }) => set),
    Array.from({ length: DAYS }, (_, at) => at + 1),
  );
  t.true(
    sets.every(({ state, openedAtMs }) => state === 'complete' && Number.isInteger(openedAtMs)),
  );
  t.true(sets.some(({ openedAtMs }, at) => openedAtMs < (sets[at - 1]?.openedAtMs ?? 0)));
  const { damagedRecords } = await rebuildInline(place);
  t.is(damagedRecords, 0, 'an event with such a date is none');
});
