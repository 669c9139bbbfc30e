import { randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { seconds } from './cells.js';
import { median, ratioOf } from './figures.js';
import { measure, type Measured } from './measure.js';
import type { Options } from './options.js';
import { barChart } from './plot.js';
import { Random } from './random.js';
import { rest } from './rest.js';
import { confinedTo } from './subjects/subject.js';
import { verdictOf } from './targets.js';
import type { Workplace } from './workplace.js';

const MIB = 1 << 20;
const CHANGED_BYTES = 4096;
/** Number of changed blocks in each GiB. */
const CHANGES_PER_GIB = 1000;
/** Maximum number of blocks of a file. rdiff is given blocks and checksums of the same length as tardis uses. */
const MOST_BLOCKS = 1 << 18;

function rdiffOptions(sizeBytes: number): string[] {
  let blockBytes = 2048;
  while (blockBytes * MOST_BLOCKS < sizeBytes) blockBytes *= 2;
  return ['-f', '-b', String(blockBytes), '-S', '16'];
}
const BYTES_LIMIT = 1.05;
const TIME_LIMIT = 1.2;
const MEMORY_LIMIT_BYTES = 64e6;
const REWRITTEN_LIMIT = 1.15;

/** The measured figures. Index i of the lists is round i. */
interface Figures {
  readonly rdiffMs: number[];
  readonly deltaMs: number[];
  readonly rdiffBytes: number[];
  readonly sentBytes: number[];
  readonly storedBytes: number[];
  readonly rewrittenMs: number[];
  readonly wholeMs: number[];
  /** Memory of a run with nothing changed, and of a run with a delta; sampled in the last round. */
  idlePssBytes: number | undefined;
  deltaPssBytes: number | undefined;
}

/** The fields used of the JSON report of a backup. */
interface Report {
  readonly storedBytes: number;
  readonly progress: { readonly sentBytes: number; readonly deltasSent: number };
}

/**
 * Measures the cost of a large file that changed a little, compared with `rdiff`, and of a rewritten file, compared
 * with sending the file whole. The order alternates, and each round has new contents and clients.
 */
export async function delta(
  workplace: Workplace,
  checkout: string,
  options: Options & { readonly deltaMib: number },
  print: (line: string) => void,
): Promise<Answer> {
  const question = new DeltaQuestion(workplace, checkout, options, print);
  for (let round = 0; round < options.runs; round++) {
    await question.round(round);
  }
  return question.answer();
}

class DeltaQuestion {
  readonly #figures: Figures = {
    rdiffMs: [],
    deltaMs: [],
    rdiffBytes: [],
    sentBytes: [],
    storedBytes: [],
    rewrittenMs: [],
    wholeMs: [],
    idlePssBytes: undefined,
    deltaPssBytes: undefined,
  };
  readonly #workplace: Workplace;
  readonly #checkout: string;
  readonly #options: Options & { readonly deltaMib: number };
  readonly #print: (line: string) => void;
  readonly #file: string;
  readonly #before: string;

  constructor(
    workplace: Workplace,
    checkout: string,
    options: Options & { readonly deltaMib: number },
    print: (line: string) => void,
  ) {
    this.#workplace = workplace;
    this.#checkout = checkout;
    this.#options = options;
    this.#print = print;
    workplace.requireRoomFor(options.deltaMib * MIB);
    mkdirSync(workplace.tree);
    this.#file = join(workplace.tree, 'file');
    this.#before = join(workplace.root, 'before');
  }

  async round(round: number): Promise<void> {
    const { runs, memory, deltaMib } = this.#options;
    const isSampled = memory && round === runs - 1;
    const store = join(this.#workplace.root, `store-${round}`);
    this.#write(this.#file);
    await this.#run(['cp', this.#file, this.#before]);
    await this.#backUp(store, ['--create']);
    const random = new Random(this.#options.seed, round);
    const changes = Math.max(1, Math.round((CHANGES_PER_GIB * deltaMib) / 1024));
    this.#change(random, changes);
    await rest();
    // The order alternates, so that neither always finds the file in warm caches.
    if (round % 2 === 0) {
      await this.#askRdiff();
      await this.#askDelta(store, isSampled);
    } else {
      await this.#askDelta(store, isSampled);
      await this.#askRdiff();
    }
    if (isSampled) {
      await rest();
      const idle = await this.#backUp(store, [], true);
      this.#figures.idlePssBytes = idle.measured.pssBytes;
    }
    rmSync(this.#before);
    this.#write(this.#file);
    await rest();
    const other = `${store}-whole`;
    await this.#run(['cp', '-a', store, other]);
    // The order alternates here too: the second run finds its file just read.
    const [rewrittenMs, wholeMs] = await this.#inTurns(
      round,
      () => this.#backUp(store, []),
      () => this.#backUp(other, ['--full']),
    );
    this.#figures.rewrittenMs.push(rewrittenMs);
    this.#figures.wholeMs.push(wholeMs);
    rmSync(store, { recursive: true });
    rmSync(other, { recursive: true });
    this.#print(
      `round ${round + 1}/${runs}: delta ${seconds(this.#figures.deltaMs.at(-1))} s, ` +
        `rdiff ${seconds(this.#figures.rdiffMs.at(-1))} s, ` +
        `rewritten ${seconds(rewrittenMs)} s, whole ${seconds(wholeMs)} s`,
    );
  }

  /** Measures two runs and returns both times. In even rounds, the first run is measured first. */
  async #inTurns(
    round: number,
    one: () => Promise<{ measured: Measured }>,
    other: () => Promise<{ measured: Measured }>,
  ): Promise<[number, number]> {
    const isOneFirst = round % 2 === 0;
    const first = await (isOneFirst ? one() : other());
    const second = await (isOneFirst ? other() : one());
    const [ofOne, ofOther] = isOneFirst ? [first, second] : [second, first];
    return [ofOne.measured.wallMs, ofOther.measured.wallMs];
  }

  async #askRdiff(): Promise<void> {
    const [signature, made] = [`${this.#before}.sig`, `${this.#before}.delta`];
    const first = await this.#run([
      'rdiff',
      ...rdiffOptions(this.#options.deltaMib * MIB),
      'signature',
      this.#before,
      signature,
    ]);
    const second = await this.#run(['rdiff', '-f', 'delta', signature, this.#file, made]);
    await this.#run(['zstd', '-q', '-f', '-1', made, '-o', `${made}.zst`]);
    const bytes = Math.min(statSync(made).size, statSync(`${made}.zst`).size);
    this.#figures.rdiffMs.push(first.wallMs + second.wallMs);
    this.#figures.rdiffBytes.push(bytes);
    for (const path of [signature, made, `${made}.zst`]) {
      rmSync(path);
    }
  }

  async #askDelta(store: string, sampleMemory: boolean): Promise<void> {
    const { measured, report } = await this.#backUp(store, [], sampleMemory);
    if (report.progress.deltasSent === 0) {
      throw new Error('the file was not sent as a delta');
    }
    // Sampling costs time, so the time of that run counts only if there is no other.
    if (!sampleMemory || this.#options.runs === 1) {
      this.#figures.deltaMs.push(measured.wallMs);
    } else {
      this.#figures.deltaMs.push(NaN);
    }
    this.#figures.sentBytes.push(report.progress.sentBytes);
    this.#figures.storedBytes.push(report.storedBytes);
    this.#figures.deltaPssBytes = measured.pssBytes;
  }

  async #backUp(
    store: string,
    more: readonly string[],
    sampleMemory = false,
  ): Promise<{ measured: Measured; report: Report }> {
    const tool = join(this.#checkout, 'bin', 'tardis');
    const args = ['-D', store, '-C', 'bench', '--local', '--json', ...more, this.#workplace.tree];
    const measured = await this.#run([tool, ...args], sampleMemory);
    const line = measured.output.trim().split('\n').at(-1) ?? '';
    return { measured, report: JSON.parse(line) as Report };
  }

  #run(argv: readonly [string, ...string[]], sampleMemory = false): Promise<Measured> {
    const { root, log } = this.#workplace;
    return measure({ argv, env: confinedTo(root) }, { logFile: log, sampleMemory });
  }

  /** Writes a file that cannot be compressed, with new content each time. */
  #write(path: string): void {
    const file = openSync(path, 'w');
    const buffer = Buffer.allocUnsafe(MIB);
    for (let written = 0; written < this.#options.deltaMib; written++) {
      writeSync(file, randomFillSync(buffer));
    }
    closeSync(file);
  }

  #change(random: Random, times: number): void {
    const file = openSync(this.#file, 'r+');
    const block = Buffer.allocUnsafe(CHANGED_BYTES);
    const blocks = (this.#options.deltaMib * MIB) / CHANGED_BYTES;
    for (let time = 0; time < times; time++) {
      writeSync(file, randomFillSync(block), 0, block.length, random.below(blocks) * CHANGED_BYTES);
    }
    closeSync(file);
  }

  answer(): Answer {
    const figures = this.#figures;
    const { deltaMib, runs, memory } = this.#options;
    const { idlePssBytes, deltaPssBytes } = figures;
    const aboveIdle =
      idlePssBytes === undefined || deltaPssBytes === undefined
        ? undefined
        : deltaPssBytes - idlePssBytes;
    const timed = figures.deltaMs.flatMap((ms, i) => (Number.isNaN(ms) ? [] : [i]));
    const at = (values: readonly number[]): number[] => timed.map((i) => values[i] ?? NaN);
    const [ours, theirs] = [at(figures.deltaMs), at(figures.rdiffMs)];
    const sent = ratioOf(figures.sentBytes, figures.rdiffBytes);
    const stored = ratioOf(figures.storedBytes, figures.rdiffBytes);
    const time = ratioOf(ours, theirs);
    const rewritten = ratioOf(figures.rewrittenMs, figures.wholeMs);
    const row = (what: string, values: string, other: string, ratio: typeof sent): string[] => [
      what,
      '',
      values,
      other,
      ratio?.ofMedians.toFixed(3) ?? '-',
      ratio?.pairwise.toFixed(3) ?? '-',
    ];
    const bytes = (values: readonly number[]): string => `${(median(values) / 1e6).toFixed(2)} MB`;
    const ms = (values: readonly number[]): string => `${seconds(median(values))} s`;
    return {
      question: 'delta',
      about: `a file of ${deltaMib} MiB, ${CHANGES_PER_GIB} blocks of 4 KiB changed in each GiB; medians of ${runs}`,
      headings: ['what', '', 'ours', 'other', 'ratio', 'pairwise'],
      rows: [
        row('sent / rdiff delta', bytes(figures.sentBytes), bytes(figures.rdiffBytes), sent),
        row('stored / rdiff delta', bytes(figures.storedBytes), bytes(figures.rdiffBytes), stored),
        row('time / rdiff signature + delta', ms(ours), ms(theirs), time),
        row('rewritten / sent whole', ms(figures.rewrittenMs), ms(figures.wholeMs), rewritten),
      ],
      verdicts: [
        verdictOf('bytes sent, times rdiff delta', BYTES_LIMIT, sent?.ofMedians),
        verdictOf('bytes stored, times rdiff delta', BYTES_LIMIT, stored?.ofMedians),
        verdictOf('elapsed, times rdiff signature + delta', TIME_LIMIT, time?.ofMedians),
        verdictOf(
          'a rewritten file, times sending it whole',
          REWRITTEN_LIMIT,
          rewritten?.ofMedians,
        ),
        ...(memory
          ? [
              verdictOf(
                'MB of memory above a run with nothing changed',
                MEMORY_LIMIT_BYTES / 1e6,
                aboveIdle === undefined ? undefined : aboveIdle / 1e6,
              ),
            ]
          : []),
      ],
      notes: [
        'the delta of rdiff is compressed by zstd -1 where that makes it smaller, as ours is',
      ],
      figures,
      plots: [
        {
          name: 'delta',
          svg: barChart({
            title: `A file of ${deltaMib} MiB`,
            unit: 's',
            groups: [
              {
                label: 'changed a little',
                bars: [
                  { label: 'tardis', value: median(ours) / 1000 },
                  { label: 'rdiff', value: median(theirs) / 1000 },
                ],
              },
              {
                label: 'rewritten',
                bars: [
                  { label: 'with deltas', value: median(figures.rewrittenMs) / 1000 },
                  { label: '--full', value: median(figures.wholeMs) / 1000 },
                ],
              },
            ],
          }),
        },
      ],
    };
  }
}
