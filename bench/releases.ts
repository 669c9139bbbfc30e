import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { type Bench, rest } from './bench.js';
import { megabytes, seconds, shownRatio } from './cells.js';
import { sizeOfTree, treeLine } from './change.js';
import { median } from './figures.js';
import { type History, openHistory } from './history.js';
import { barChart } from './plot.js';
import { chooseSubjects, plainAndEncrypted } from './subjects/choose.js';
import type { Subject } from './subjects/subject.js';
import { verdictOf } from './targets.js';

const STORE_RATIO_LIMIT = 0.75;
const OURS = 'tardis';

/** The figures of a subject; index i of the lists is release i. */
interface Line {
  readonly subject: string;
  readonly about: string;
  readonly version: string;
  /** Size of the store after each release, in the last round. */
  storeBytes: number[];
  /** Times of each round, by release. */
  readonly wallMs: number[][];
  readonly cpuMs: number[][];
}

/**
 * Measures the size of a store, and the time, when successive releases of a source tree are backed up. The last release
 * is restored and compared.
 */
export async function releases(bench: Bench): Promise<Answer> {
  const { workplace, options } = bench;
  const subjects = await chooseLines(bench);
  const notes = new Set<string>();
  let about = '';
  for (let round = 0; round < options.runs; round++) {
    rmSync(workplace.tree, { recursive: true, force: true });
    rmSync(join(workplace.root, 'index'), { force: true });
    const history = openHistory(bench);
    await backUpAll(bench, history, subjects);
    const last = treeLine(sizeOfTree(workplace.tree));
    about = `${history.names.length} releases: ${history.about}; the last one: ${last}`;
    if (round === 0) {
      for (const { subject } of subjects) await checkLast(bench, subject);
      const catalog = join(workplace.place(OURS).store, 'bench', 'tardis.db');
      if (existsSync(catalog)) {
        notes.add(
          `${OURS}: ${megabytes(statSync(catalog).size, 2)} MB of the store are its catalog`,
        );
      }
    }
  }
  const lines = subjects.map(({ line }) => line);
  return answer(lines, `${about}; medians of ${options.runs}`, [...notes]);
}

interface Chosen {
  readonly subject: Subject;
  readonly line: Line;
}

async function chooseLines(bench: Bench): Promise<Chosen[]> {
  const { subjects, versions } = await chooseSubjects(bench, plainAndEncrypted(bench));
  return subjects.map((subject) => {
    const { name, about } = subject;
    const version = versions[name] ?? '';
    const line = { subject: name, about, version, storeBytes: [], wallMs: [], cpuMs: [] };
    return { subject, line };
  });
}

async function backUpAll(
  bench: Bench,
  history: History,
  subjects: readonly Chosen[],
): Promise<void> {
  const { workplace } = bench;
  for (const { subject, line } of subjects) {
    workplace.freshPlace(subject.name);
    await bench.runAll(subject.prepare());
    line.storeBytes = [];
    line.wallMs.push([]);
    line.cpuMs.push([]);
  }
  for (const [index, name] of history.names.entries()) {
    await history.release(index);
    if (index === 0) {
      workplace.requireRoomFor(sizeOfTree(workplace.tree).footprintBytes);
    }
    await rest();
    for (const { subject, line } of subjects) {
      const command = index === 0 ? subject.first() : subject.again();
      const measured = await bench.run(command);
      line.wallMs.at(-1)?.push(measured.wallMs);
      line.cpuMs.at(-1)?.push(measured.cpuMs);
      line.storeBytes.push(subject.storeBytes());
      const size = megabytes(line.storeBytes.at(-1), 2);
      bench.print(`${name}: ${subject.name} ${seconds(measured.wallMs)} s, ${size} MB`);
    }
  }
}

/** Throws unless a subject restores the last release exactly. */
async function checkLast(bench: Bench, subject: Subject): Promise<void> {
  await bench.run(subject.restore());
  await bench.verifyRestored(subject.restoredTree());
  bench.workplace.emptyOut(subject.name);
}

function answer(lines: readonly Line[], about: string, notes: readonly string[]): Answer {
  const find = (subject: string): Line | undefined =>
    lines.find((line) => line.subject === subject);
  const ratio = (
    line: Line | undefined,
    peer: string,
    valueOf: (line: Line) => number,
  ): number | undefined => {
    const other = find(peer);
    return line === undefined || other === undefined ? undefined : valueOf(line) / valueOf(other);
  };
  return {
    question: 'releases',
    about,
    headings: [
      'subject',
      '',
      'first MB',
      'all MB',
      'x restic',
      'x borg',
      'first s',
      'all s',
      'CPU s',
      'x restic',
    ],
    rows: lines.map((line) => [
      line.subject,
      '',
      megabytes(line.storeBytes[0], 2),
      megabytes(allBytes(line), 2),
      shownRatio(ratio(line, 'restic', allBytes)),
      shownRatio(ratio(line, 'borg', allBytes)),
      seconds(median(line.wallMs.map((times) => times[0] ?? NaN))),
      seconds(allMs(line)),
      seconds(median(line.cpuMs.map(sum))),
      shownRatio(ratio(line, 'restic', allMs)),
    ]),
    verdicts: [OURS, 'tardis-encrypted'].map((ours) =>
      verdictOf(
        `store of all releases, ${ours}, times restic`,
        STORE_RATIO_LIMIT,
        ratio(find(ours), 'restic', allBytes),
      ),
    ),

    notes: [
      ...lines.map((line) => `${line.subject}: ${line.about}; ${line.version}`),
      ...notes,
      'only what differs between releases is written, as a version control system does it',
    ],
    figures: lines,
    plots: [
      {
        name: 'releases',
        svg: barChart({
          title: 'Store after each release',
          unit: 'MB',
          groups: (lines[0]?.storeBytes ?? []).map((_, index) => ({
            label: String(index + 1),
            bars: lines.map((line) => ({
              label: line.subject,
              value: (line.storeBytes[index] ?? 0) / 1e6,
            })),
          })),
        }),
      },
    ],
  };
}

function allBytes(line: Line): number {
  return line.storeBytes.at(-1) ?? NaN;
}

/** Returns the time of the backups of all releases: the median of the rounds. */
function allMs(line: Line): number {
  return median(line.wallMs.map(sum));
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}
