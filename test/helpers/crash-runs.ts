/**
 * Runs work in which every step is a crash point. The work runs once with a trace. The trace yields the states in
 * which a power cut may leave the disk, and the real code checks each of them. TEST_SEED replays a run;
 * TEST_SHARE multiplies the number of states.
 */
import fs from 'node:fs';
import path from 'node:path';
import {
  ARRIVED,
  byChance,
  type CrashChoice,
  type DiskState,
  HOLLOW,
  LOST,
  NAMELESS,
  SimulatedDisk,
} from '../support/simulated-disk.js';
import { DiskTrace, type TracedAct } from '../support/disk-trace.js';
import type { System } from '../../src/system/index.js';
import { seededRandom } from '../support/seeded-random.js';
import { tracedSystem } from '../support/traced-system.js';
import { readHeader, RecordKind } from '../../src/store/index.js';
import { putState, STORE_MODES, TARGET_MODES } from './disk-states.js';
import { ANSWER, END, KILLED } from './durable-order.js';
import { inlineSystem, type Place } from './inline.js';
import { SqliteDisk } from './sqlite-disk.js';
import { seed } from './seed.js';
import { share, sweepShare } from './share.js';

/** Least number of states of each scenario, also in a small share. */
const LEAST_STATES = 2;
/** Multiplies the number of states of each scenario: 0.005 in `npm test`, 2 in a soak run. */
export const times = share < 1 ? sweepShare : 2 * share;

/** The directories of a scenario; all are below `home`. */
export interface Ground {
  readonly home: string;
  readonly place: Place;
  /** The tree that is backed up. */
  readonly source: string;
  /** The target of a restore. */
  readonly output: string;
}

/** The acknowledgements sent before the power cut. */
export interface Answered {
  /** Answers, without their prefix, in order. */
  readonly answers: readonly string[];
  /** Commit records that were written before the last answer. */
  readonly commits: number;
  readonly isOver: boolean;
}

/** One state of the disk to check. */
export interface Crash {
  readonly ground: Ground;
  readonly answered: Answered;
  /** True to check the following commands too, which takes longer. */
  readonly isThorough: boolean;
}

/** One kind of work. To add a new kind, add one entry to a table. */
export interface Scenario<T = unknown> {
  readonly name: string;
  /** Number of states to check. */
  readonly states: number;
  /** One state in this many is checked thoroughly. */
  readonly thoroughEvery: number;
  /** The directory that the power cut affects; the store by default. */
  readonly traced?: 'store' | 'output';
  /** Creates the initial state, which is not traced and is durable. */
  prepare(ground: Ground): Promise<void>;
  /** Does the work. `answer` records an acknowledgement that a peer may rely on. */
  work(system: System, ground: Ground, answer: (what: string) => void): Promise<void>;
  /** Returns the facts to check against, after the work has run without a crash. */
  truth(ground: Ground): Promise<T>;
  /** Returns what is wrong with a state. Recovery must need no manual step. */
  check(crash: Crash, truth: T): Promise<string[]>;
}

export interface Run<T> {
  readonly scenario: Scenario<T>;
  readonly ground: Ground;
  readonly trace: DiskTrace;
  readonly truth: T;
}

/** Runs the work once without a crash, and traces it. */
export async function record<T>(scenario: Scenario<T>, home: string): Promise<Run<T>> {
  const ground = newGround(home);
  await scenario.prepare(ground);
  const trace = await traceWork(scenario, ground);
  return { scenario, ground, trace, truth: await scenario.truth(ground) };
}

/** Creates an empty ground. */
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

/** `earlier` is the trace that produced the present files, if not all of them are durable. */
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

/** The crash that precedes a recovery run. */
export interface Before<T> {
  readonly run: Run<T>;
  readonly point: number;
  readonly choice: CrashChoice;
  /** True for a kill, not a power cut: data that was not synced is not durable yet, but not lost. */
  readonly isKill: boolean;
}

/**
 * Traces the run after a crash too, so that a second crash can hit it. It starts from the state that the crash
 * left.
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

/** One of the states that a crash point may leave. */
interface Candidate {
  readonly point: number;
  readonly choice: number;
}

function choiceOf({ point, choice }: Candidate): CrashChoice {
  return SURE[choice] ?? byChance(seededRandom(seed + point * POINT_STEP + choice));
}

export interface CrashOptions {
  /** Replaces the acts of the trace. */
  readonly acts?: readonly TracedAct[];
  /** Returns false for a sync that reported success but did nothing. */
  readonly isHonest?: (sync: TracedAct) => boolean;
  readonly states?: number;
  /** The first crash point. */
  readonly from?: number;
  /** Number of problems after which checking stops. */
  readonly mostWrong?: number;
}

export interface CrashReport {
  readonly points: number;
  readonly states: number;
  readonly wrong: string[];
}

const MOST_WRONG = 5;

/** Checks states of a run; stops after enough problems. */
export async function crashAll<T>(run: Run<T>, options: CrashOptions = {}): Promise<CrashReport> {
  const { scenario, ground, trace } = run;
  const { acts = trace.acts, mostWrong = MOST_WRONG } = options;
  const wanted = Math.max(LEAST_STATES, Math.round((options.states ?? scenario.states) * times));
  const some = candidatesOf(run, acts, options, wanted);
  const enough = some.length < wanted ? candidatesOf(run, acts, options, Infinity) : some;
  const chosen = choose(enough, wanted);
  const disk = new SimulatedDisk(trace.start, options.isHonest);
  const wrong: string[] = [];
  const thorough = Math.min(scenario.thoroughEvery, chosen.length);
  let next = 0;
  for (let point = 0; point <= acts.length; point += 1) {
    if (point > 0) disk.apply(acts[point - 1]!);
    for (; chosen[next]?.point === point; next += 1) {
      const candidate = chosen[next]!;
      const choice = choiceOf(candidate);
      const what = `${scenario.name}, crash point ${point} of ${acts.length}, ${choice.name} ${candidate.choice} (seed ${seed})`;
      const crash: Crash = {
        ground: groundOf(scenario, ground, `crash ${next}`),
        answered: answeredBefore(acts, point),
        isThorough: next % thorough === seed % thorough,
      };
      const complaints = await checkState(run, crash, disk.crash(choice));
      wrong.push(...complaints.map((complaint) => `${what}: ${complaint}`));
      if (wrong.length >= mostWrong) return { points: point, states: next + 1, wrong };
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

/** Returns a ground with a separate place for the damaged directory; all else is shared. */
function groundOf({ traced }: Pick<Scenario, 'traced'>, ground: Ground, name: string): Ground {
  const home = path.join(ground.home, name);
  if (traced === 'output') return { ...ground, home, output: path.join(home, 'output') };
  return { ...ground, home, place: { ...ground.place, store: path.join(home, 'store') } };
}

/** Number of random candidates for each wanted state; equal states among them count once. */
const CANDIDATES_EACH = 6;

/**
 * Returns distinct states, in the order of their crash points: all of them, or random ones if far fewer are wanted,
 * because a state costs time even if it is not checked.
 */
function candidatesOf(
  run: Run<unknown>,
  acts: readonly TracedAct[],
  { isHonest, from = 0 }: CrashOptions,
  wanted: number,
): Candidate[] {
  const random = seededRandom(seed);
  const every = (acts.length + 1 - from) * (SURE.length + CHANCES);
  const part = (wanted * CANDIDATES_EACH) / every;
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
      if (random.next() >= part) continue;
      const candidate = { point, choice };
      const key = `${answers} ${disk.crash(choiceOf(candidate)).hash()}`;
      if (!seen.has(key)) found.push(candidate);
      seen.add(key);
    }
  }
  return found;
}

/** Returns at most `wanted` candidates, spread over all crash points. */
function choose(candidates: readonly Candidate[], wanted: number): Candidate[] {
  if (candidates.length <= wanted) return [...candidates];
  const random = seededRandom(seed);
  const step = candidates.length / wanted;
  return Array.from(
    { length: wanted },
    (_, index) => candidates[Math.floor((index + random.next()) * step)]!,
  );
}

function answeredBefore(acts: readonly TracedAct[], point: number): Answered {
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
