/**
 * Work whose every step is a crash point: it runs once with a trace, and from the trace come the states in
 * which a power cut may leave the disk, each to be checked with the real code. TEST_SEED replays
 * a run, TARDIS_DISK_TIMES looks at so many times more states.
 */
import fs from 'node:fs';
import path from 'node:path';
import {
  ARRIVED,
  byChance,
  type CrashChoice,
  type DiskState,
  DiskTrace,
  HOLLOW,
  LOST,
  NAMELESS,
  seededRandom,
  SimulatedDisk,
  type System,
  type TracedAct,
  tracedSystem,
} from '../../src/system/index.js';
import { readHeader, RecordKind } from '../../src/store/index.js';
import { putState, STORE_MODES, TARGET_MODES } from './disk-states.js';
import { ANSWER, END, KILLED } from './durable-order.js';
import { inlineSystem, type Place } from './inline.js';
import { SqliteDisk } from './sqlite-disk.js';
import { seed } from './seed.js';

export const times = Number(process.env['TARDIS_DISK_TIMES'] ?? 1);

/** Where a scenario plays: everything is below `home`. */
export interface Ground {
  readonly home: string;
  readonly place: Place;
  /** The tree that is backed up. */
  readonly source: string;
  /** What a restore writes to. */
  readonly output: string;
}

/** What was told to somebody before the power cut. */
export interface Told {
  /** Answers, without what they begin with, in order. */
  readonly answers: readonly string[];
  /** Commit records that were written before the last answer. */
  readonly commits: number;
  readonly isOver: boolean;
}

/** One state of the disk, for a check. */
export interface Crash {
  readonly ground: Ground;
  readonly told: Told;
  /** Do all that is to be done afterwards too, which takes longer. */
  readonly isThorough: boolean;
}

/** One entry of a table: to add one is all that a new kind of work needs. */
export interface Scenario<T = unknown> {
  readonly name: string;
  /** How many states are looked at. */
  readonly states: number;
  /** One state in so many is checked thoroughly. */
  readonly thoroughEvery: number;
  /** What the power cut strikes; the store if not given. */
  readonly traced?: 'store' | 'output';
  /** What is there before; nothing of it is traced. */
  prepare(ground: Ground): Promise<void>;
  /** `answer` says that something was told to somebody, who may rely on it. */
  work(system: System, ground: Ground, answer: (what: string) => void): Promise<void>;
  /** What is known after the work was done in peace. */
  truth(ground: Ground): Promise<T>;
  /** What is wrong with a state; nothing is left to be done by hand. */
  check(crash: Crash, truth: T): Promise<string[]>;
}

export interface Run<T> {
  readonly scenario: Scenario<T>;
  readonly ground: Ground;
  readonly trace: DiskTrace;
  readonly truth: T;
}

/** Does the work once, in peace, and traces it. */
export async function record<T>(scenario: Scenario<T>, home: string): Promise<Run<T>> {
  const ground = newGround(home);
  await scenario.prepare(ground);
  const trace = await traceWork(scenario, ground);
  return { scenario, ground, trace, truth: await scenario.truth(ground) };
}

/** An empty place to play. */
export function newGround(home: string): Ground {
  const ground: Ground = {
    home,
    place: { store: path.join(home, 'store'), client: 'me' },
    source: path.join(home, 'tree'),
    output: path.join(home, 'output'),
  };
  for (const directory of [home, ground.place.store, ground.output]) {
    fs.mkdirSync(directory, { recursive: true });
  }
  return ground;
}

type Earlier = ConstructorParameters<typeof DiskTrace>[2];

/** `earlier`: what led to what is there, if not all of it is durable. */
async function traceWork(
  scenario: Pick<Scenario, 'traced' | 'work'>,
  ground: Ground,
  earlier?: Earlier,
): Promise<DiskTrace> {
  const traced = tracedOf(scenario, ground);
  const sqlite = new SqliteDisk(traced);
  try {
    const trace = new DiskTrace(traced, () => sqlite.take(), earlier);
    if (earlier !== undefined) trace.mark(KILLED);
    const system = tracedSystem(inlineSystem(), trace);
    await scenario.work(system, ground, (what) => trace.mark(`${ANSWER}${what}`));
    trace.mark(END);
    return trace;
  } finally {
    sqlite.close();
  }
}

/** What went before a run that recovers. */
export interface Before<T> {
  readonly run: Run<T>;
  readonly point: number;
  readonly choice: CrashChoice;
  /** A kill, and not a power cut: what was not synced is not durable yet. */
  readonly isKill: boolean;
}

/**
 * The run that comes after a crash, traced as well, so that it can be struck again. It needs no
 * preparing: what it finds is what the crash left.
 */
export async function recordAfter<T>(
  { run, point, choice, isKill }: Before<T>,
  work: Scenario<T>['work'],
  home: string,
): Promise<Run<T>> {
  const acts = run.trace.acts.slice(0, point);
  const disk = new SimulatedDisk(run.trace.start);
  for (const act of acts) disk.apply(act);
  const ground = groundOf(run.scenario, run.ground, home);
  fs.mkdirSync(ground.home);
  putState(disk.crash(choice), tracedOf(run.scenario, ground), STORE_MODES);
  const scenario: Scenario<T> = { ...run.scenario, work };
  const earlier = isKill ? { start: run.trace.start, acts } : undefined;
  const trace = await traceWork(scenario, ground, earlier);
  return { scenario, ground, trace, truth: run.truth };
}

function tracedOf(scenario: Pick<Scenario, 'traced'>, ground: Ground): string {
  return scenario.traced === 'output' ? ground.output : ground.place.store;
}

const SURE: readonly CrashChoice[] = [LOST, ARRIVED, HOLLOW, NAMELESS];
const CHANCES = 4;
const POINT_STEP = 7919;

/** One state among those a crash point may leave. */
interface Candidate {
  readonly point: number;
  readonly choice: number;
}

function choiceOf({ point, choice }: Candidate): CrashChoice {
  return SURE[choice] ?? byChance(seededRandom(seed + point * POINT_STEP + choice));
}

export interface CrashOptions {
  /** Instead of the trace's own. */
  readonly acts?: readonly TracedAct[];
  /** False: the disk said that it had synced, and had not. */
  readonly isHonest?: (sync: TracedAct) => boolean;
  readonly states?: number;
  /** The first crash point. */
  readonly from?: number;
}

export interface CrashReport {
  readonly points: number;
  readonly states: number;
  readonly wrong: string[];
}

/** How much is told of what is wrong. */
const MOST_WRONG = 5;

/** Checks states of a run; ends when enough is wrong. */
export async function crashAll<T>(run: Run<T>, options: CrashOptions = {}): Promise<CrashReport> {
  const { scenario, ground, trace } = run;
  const acts = options.acts ?? trace.acts;
  const wanted = (options.states ?? scenario.states) * times;
  const chosen = choose(candidatesOf(run, acts, options), wanted);
  const disk = new SimulatedDisk(trace.start, options.isHonest);
  const wrong: string[] = [];
  let next = 0;
  for (let point = 0; point <= acts.length; point += 1) {
    if (point > 0) disk.apply(acts[point - 1]!);
    for (; chosen[next]?.point === point; next += 1) {
      const candidate = chosen[next]!;
      const choice = choiceOf(candidate);
      const what = `${scenario.name}, crash point ${point} of ${acts.length}, ${choice.name} ${candidate.choice} (seed ${seed})`;
      const crash: Crash = {
        ground: groundOf(scenario, ground, `crash ${next}`),
        told: toldBefore(acts, point),
        isThorough: next % scenario.thoroughEvery === 0,
      };
      const complaints = await checkState(run, crash, disk.crash(choice));
      wrong.push(...complaints.map((complaint) => `${what}: ${complaint}`));
      if (wrong.length >= MOST_WRONG) return { points: point, states: next + 1, wrong };
    }
  }
  return { points: acts.length, states: chosen.length, wrong };
}

async function checkState<T>(run: Run<T>, crash: Crash, state: DiskState): Promise<string[]> {
  const { scenario, truth } = run;
  const isOutput = scenario.traced === 'output';
  fs.mkdirSync(crash.ground.home);
  putState(state, tracedOf(scenario, crash.ground), isOutput ? TARGET_MODES : STORE_MODES);
  try {
    return await scenario.check(crash, truth);
  } catch (error) {
    return [`${(error as Error).stack}`];
  } finally {
    fs.rmSync(crash.ground.home, { recursive: true });
  }
}

/** A place of its own for what was struck; all else is what was there. */
function groundOf({ traced }: Pick<Scenario, 'traced'>, ground: Ground, name: string): Ground {
  const home = path.join(ground.home, name);
  if (traced === 'output') return { ...ground, home, output: path.join(home, 'output') };
  return { ...ground, home, place: { ...ground.place, store: path.join(home, 'store') } };
}

/** States that differ, in the order of their points. */
function candidatesOf(
  run: Run<unknown>,
  acts: readonly TracedAct[],
  { isHonest, from = 0 }: CrashOptions,
): Candidate[] {
  const disk = new SimulatedDisk(run.trace.start, isHonest);
  const seen = new Set<string>();
  const found: Candidate[] = [];
  let answers = 0;
  for (let point = 0; point <= acts.length; point += 1) {
    const act = acts[point - 1];
    if (act !== undefined) disk.apply(act);
    if (act?.act === 'mark') answers += 1;
    if (point < from) continue;
    for (let choice = 0; choice < SURE.length + CHANCES; choice += 1) {
      const candidate = { point, choice };
      const key = `${answers} ${disk.crash(choiceOf(candidate)).hash()}`;
      if (!seen.has(key)) found.push(candidate);
      seen.add(key);
    }
  }
  return found;
}

/** As many as are wanted, spread over all points. */
function choose(candidates: readonly Candidate[], wanted: number): Candidate[] {
  if (candidates.length <= wanted) return [...candidates];
  const random = seededRandom(seed);
  const step = candidates.length / wanted;
  return Array.from(
    { length: wanted },
    (_, index) => candidates[Math.floor((index + random.next()) * step)]!,
  );
}

function toldBefore(acts: readonly TracedAct[], point: number): Told {
  const answers: string[] = [];
  let written = 0;
  let commits = 0;
  let isOver = false;
  for (const act of acts.slice(0, point)) {
    if (act.act === 'write') {
      if (readHeader(act.bytes, 0)?.kind === RecordKind.commit) written += 1;
    } else if (act.act === 'mark') {
      isOver ||= act.what === END;
      if (!act.what.startsWith(ANSWER)) continue; // a kill promises nothing
      commits = written;
      answers.push(act.what.slice(ANSWER.length));
    }
  }
  return { answers, commits, isOver };
}
