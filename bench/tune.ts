import { rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { type Bench, rest } from './bench.js';
import { seconds, shownRatio } from './cells.js';
import { treeLine } from './change.js';
import { median, ratioOf } from './figures.js';
import type { Command } from './measure.js';
import { commandOf } from './operations.js';
import { barChart } from './plot.js';
import { verdictOf } from './targets.js';

/** Maximum ratio of the time of the profile `auto` to that of the best settings. */
const RATIO_LIMIT = 1.1;
/** Maximum ratio of a value's time to that of `auto` at which the value is used. Smaller gains are noise. */
const GAIN_LEAST = 0.97;
/** Number of values that are compared with one run of `auto`. */
const VALUES_EACH = 3;
/** Maximum number of workers that are tried. */
const WORKERS_MAX = 16;

/** A setting of `[Pipeline]` and a value of it. */
type Setting = readonly [key: string, value: string];

export interface Trial {
  readonly settings: readonly Setting[];
  readonly wallMs: number[];
  /** Time of the profile `auto` shortly before each of these times. */
  readonly autoMs: number[];
}

/** Returns the values to try, each of them alone. */
export function settingsToTry(processors: number): Setting[] {
  const counts = [0, 1, 2, processors, 2 * processors].filter((count) => count <= WORKERS_MAX);
  const of = (key: string, values: readonly (string | number)[]): Setting[] =>
    [...new Set(values)].map((value) => [key, String(value)]);
  return [
    ...of('Workers', counts),
    ...of('WalkConcurrency', [2, 4]),
    ...of('ReadConcurrency', [1, 2, 4]),
    ...of('BuildConcurrency', [1, 2, 4]),
    ...of('StreamConcurrency', [1, 4]),
    ...of('LargeConcurrency', [2, 16]),
    ...of('ParcelSize', ['512K', '8M']),
    ...of('FrameSize', ['512K', '4M']),
    ...of('Budget', ['4M', '48M']),
  ];
}

/**
 * Tries values of the pipeline's concurrencies and sizes in first backups, and returns the best ones for this machine.
 * Each value is tried alone, and compared with a run of the profile `auto` shortly before. Then the best values are tried
 * together.
 */
export async function tune(bench: Bench): Promise<Answer> {
  const { workplace, options, print } = bench;
  const size = await bench.makeTree();
  const backup = new Backup(bench);
  const auto: Trial = { settings: [], wallMs: [], autoMs: [] };
  const trials = settingsToTry(availableParallelism()).map(
    (setting): Trial => ({ settings: [setting], wallMs: [], autoMs: [] }),
  );
  await rest();
  await backup.time([]); // the first run fills caches and is not counted
  for (let round = 0; round < options.runs; round++) {
    for (const [index, trial] of trials.entries()) {
      if (index % VALUES_EACH === 0) auto.wallMs.push(await backup.time([]));
      trial.autoMs.push(auto.wallMs.at(-1)!);
      trial.wallMs.push(await backup.time(trial.settings));
    }
    print(`${bench.roundName(round)}: auto ${seconds(auto.wallMs.at(-1))} s`);
  }
  const settings = bestOf(trials);
  const pair: readonly [Trial, Trial] = [
    { settings: [], wallMs: [], autoMs: [] },
    { settings, wallMs: [], autoMs: [] },
  ];
  for (let round = 0; settings.length > 0 && round < options.runs; round++) {
    for (const trial of round % 2 === 0 ? pair : pair.toReversed()) {
      trial.wallMs.push(await backup.time(trial.settings));
    }
    print(`the best ones together: ${bench.roundName(round)}`);
  }
  const about = `${treeLine(size)}, on ${workplace.fileSystem}; medians of ${options.runs}`;
  return answer({ auto, trials, pair, about });
}

/** Returns the best value of each setting that is faster than `auto`. */
export function bestOf(trials: readonly Trial[]): Setting[] {
  const best = new Map<string, { setting: Setting; ratio: number }>();
  for (const { settings, wallMs, autoMs } of trials) {
    const setting = settings[0]!;
    const ratio = ratioOf(wallMs, autoMs)?.pairwise ?? 1;
    if (ratio > GAIN_LEAST || ratio >= (best.get(setting[0])?.ratio ?? 1)) continue;
    best.set(setting[0], { setting, ratio });
  }
  return [...best.values()].map(({ setting }) => setting);
}

/** First backups of the tree. */
class Backup {
  readonly #store: string;
  readonly #config: string;
  readonly #command: Command;

  constructor(private readonly bench: Bench) {
    const { workplace } = bench;
    const place = workplace.freshPlace('tardis');
    this.#store = place.store;
    this.#config = join(workplace.root, 'tune.cfg');
    const { argv, ...more } = commandOf('first', bench, place);
    this.#command = { ...more, argv: [...argv, '--config', this.#config] };
  }

  /** Returns the milliseconds of a first backup with these settings. */
  async time(settings: readonly Setting[]): Promise<number> {
    const lines = settings.map(([key, value]) => `${key} = ${value}\n`);
    writeFileSync(this.#config, `[Tardis]\n[Pipeline]\n${lines.join('')}`);
    const { wallMs } = await this.bench.run(this.#command);
    rmSync(this.#store, { recursive: true });
    return wallMs;
  }
}

interface Tried {
  readonly auto: Trial;
  readonly trials: readonly Trial[];
  readonly pair: readonly [Trial, Trial];
  readonly about: string;
}

function answer({ auto, trials, pair, about }: Tried): Answer {
  const [alone, together] = pair;
  // If no value is faster than `auto`, `auto` is the best.
  const ratio = ratioOf(alone.wallMs, together.wallMs)?.pairwise ?? 1;
  const row = ({ settings: [setting], wallMs, autoMs }: Trial): string[] => {
    const times = ratioOf(wallMs, autoMs)?.pairwise;
    return [...(setting ?? ['auto', '']), seconds(median(wallMs)), shownRatio(times, 3)];
  };
  const wanted = together.settings.map(([key, value]) => `${key} = ${value}`);
  return {
    question: 'tune',
    about: `first backups with other settings of [Pipeline]; ${about}`,
    headings: ['setting', 'value', 'median s', 'x auto'],
    rows: [row(auto), ...trials.map(row)],
    verdicts: [verdictOf('profile auto, times the best settings', RATIO_LIMIT, ratio)],
    notes: [adviceOf(wanted, ratio)],
    figures: { auto, trials, together: { settings: together.settings, ratio } },
    plots: [
      {
        name: 'tune',
        svg: barChart({
          title: 'First backup with other settings',
          unit: 's',
          groups: [auto, ...trials].map(({ settings: [setting], wallMs }) => ({
            label: setting?.join(' ') ?? 'auto',
            bars: [{ label: 'first', value: median(wallMs) / 1000 }],
          })),
        }),
      },
    ],
  };
}

/** Returns what to set on this machine. `ratio` is the time of `auto` divided by that of the best settings together. */
export function adviceOf(wanted: readonly string[], ratio: number): string {
  if (wanted.length === 0) return 'this machine wants nothing but the profile auto';
  const words = wanted.join(', ');
  return 1 / ratio > GAIN_LEAST
    ? `this machine wants nothing but the profile auto: together, ${words} gained nothing`
    : `this machine wants, in [Pipeline]: ${words}`;
}
