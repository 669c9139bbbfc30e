import { spawnSync } from 'node:child_process';
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Answer } from './answer.js';
import type { Bench } from './bench.js';
import { megabytes, seconds } from './cells.js';
import { changeTree } from './change.js';
import { UsageError } from './options.js';
import { LOGIN, TARDIS_CLIENT } from './subjects/tardis.js';
import { confinedTo } from './subjects/subject.js';
import { verdictOf } from './targets.js';
import { planTree, writeTree } from './tree.js';
import { DAY_MS } from '../src/model/index.js';

const LIMITS = { linked: 1.3, restic: 1.5 } as const;
/** Sizes of files of a home directory: their mean is about 90 KiB. */
const SIZES = { medianBytes: 30_000, deviation: 1.5, maxBytes: 20 << 20 };
const FILES_PER_MIB = 11;
const CHANGED_SHARE = 0.01;
const SETS = { linked: 135, restic: 50 } as const;
const QUICK_SETS = { linked: 10, restic: 5 } as const;

/** Costs of an import, and of what it cannot do without. */
interface Line {
  readonly what: string;
  readonly sets: number;
  readonly importMs: number;
  readonly leastMs: number;
  readonly importBytes: number;
  readonly leastBytes: number;
}

/**
 * Measures imports of many sets of a tree of which 1 % changes from set to set, in processor time: of trees that share files
 * by hard links, beside one backup of each distinct file, and of a repository of restic, beside restic's restore of the
 * first snapshot and of the files that each later one changed.
 */
export async function imports(bench: Bench): Promise<Answer> {
  const missing = ['rsync', 'restic'].find((name) => spawnSync(name, ['version']).error);
  if (missing !== undefined) throw new UsageError(`--imports needs ${missing}`);
  const lab = new Lab(bench);
  const lines = [await lab.linked(), await lab.restic()];
  const limits = [LIMITS.linked, LIMITS.restic];
  return {
    question: 'imports',
    about: `imports of sets of a tree of ${bench.options.mib} MiB, of which 1 % of the files changes from set to set`,
    headings: ['from', 'sets', 'CPU s', 'least CPU s', 'ratio', 'read MB', 'least MB'],
    rows: lines.map(({ what, sets, importMs, leastMs, importBytes, leastBytes }) => [
      what,
      String(sets),
      seconds(importMs),
      seconds(leastMs),
      (importMs / leastMs).toFixed(2),
      megabytes(importBytes),
      megabytes(leastBytes),
    ]),
    verdicts: lines.flatMap(({ what, importMs, leastMs, importBytes, leastBytes }, index) => [
      verdictOf(`${what}: processor time, times the least`, limits[index]!, importMs / leastMs),
      verdictOf(`${what}: bytes read, times the least`, limits[index]!, importBytes / leastBytes),
    ]),
    notes: [
      'least: a backup of each distinct file, or a restore of the first snapshot and of the files that later ones changed',
    ],
    figures: { lines },
    plots: [],
  };
}

class Lab {
  private readonly sets: Readonly<Record<keyof typeof SETS, number>>;

  constructor(private readonly bench: Bench) {
    this.sets = bench.options.quick ? QUICK_SETS : SETS;
  }

  async linked(): Promise<Line> {
    const sets = this.sets.linked;
    const { workplace } = this.bench;
    const place = workplace.freshPlace('linked');
    const [kept, distinct] = [join(place.home, 'kept'), join(place.home, 'distinct')];
    mkdirSync(kept);
    const seen = new Set<number>();
    let leastBytes = 0;
    await this.changing(sets, 'rsync', async (date, before) => {
      const links = before === undefined ? [] : [`--link-dest=${join(kept, before)}`];
      const target = join(kept, date);
      const words = ['rsync', '-a', ...links, `${workplace.tree}/`, target] as const;
      await this.bench.run({ argv: words });
      leastBytes += linkNew(target, join(distinct, date), seen);
    });
    const settings = ['--create', '-D', place.store, ...LOGIN, '--json'];
    const least = await this.tool('tardis', '--local', ...settings, '-C', 'least', distinct);
    const from = ['--sets', join(kept, '%Y-%m-%d'), '--kept-as', '/tree'];
    const ours = await this.tool('tardis-import', ...settings, '-C', TARDIS_CLIENT, ...from);
    const [importMs, importBytes] = [ours.cpuMs, ours.readBytes];
    return { what: 'hard links', sets, importMs, leastMs: least.cpuMs, importBytes, leastBytes };
  }

  async restic(): Promise<Line> {
    const sets = this.sets.restic;
    const { workplace } = this.bench;
    const place = workplace.freshPlace('restic');
    const { tree } = workplace;
    const env = {
      RESTIC_REPOSITORY: join(place.home, 'repository'),
      RESTIC_PASSWORD: 'benchmark',
      RESTIC_CACHE_DIR: join(place.home, 'cache'),
    };
    const restic = (...words: string[]): Promise<{ cpuMs: number }> =>
      this.bench.run({ argv: ['restic', ...words], env });
    await restic('init', '-q');
    let [leastMs, leastBytes] = [0, 0];
    await this.changing(sets, 'restic', async (date, before, changed) => {
      await restic('backup', '-q', '--time', `${date} 03:00:00`, tree);
      const list = join(place.home, 'list');
      writeFileSync(list, changed.map((path) => `${path}\n`).join(''));
      const only = before === undefined ? [] : ['--include-file', list];
      const out = join(place.out, date);
      leastMs += (await restic('restore', '-q', 'latest', '--target', out, ...only)).cpuMs;
      leastBytes += bytesOf(before === undefined ? filesBelow(tree) : changed);
      await this.bench.run({ argv: ['rm', '-r', out] });
    });
    const words = ['--create', '-D', place.store, '-C', TARDIS_CLIENT, '--json'];
    const source = `restic:${env.RESTIC_REPOSITORY}`;
    const ours = await this.tool('tardis-import', ...words, ...LOGIN, source, env);
    const [importMs, importBytes] = [ours.cpuMs, ours.readBytes];
    return { what: 'restic', sets, importMs, leastMs, importBytes, leastBytes };
  }

  /** Makes a tree, and changes it from date to date. Calls `save` with each date, the date before, and the changed files. */
  private async changing(
    sets: number,
    program: string,
    save: (date: string, before: string | undefined, changed: readonly string[]) => Promise<void>,
  ): Promise<void> {
    const { tree } = this.bench.workplace;
    const { mib, seed } = this.bench.options;
    await this.bench.run({ argv: ['rm', '-rf', tree] });
    this.bench.print(`${program}: ${sets} sets of ${mib} MiB`);
    writeTree(planTree({ seed, files: mib * FILES_PER_MIB, sizes: SIZES }), tree);
    const dates = Array.from({ length: sets }, (_, index) =>
      new Date(Date.UTC(2024, 0, 1) + index * DAY_MS).toISOString().slice(0, 10),
    );
    for (const [index, date] of dates.entries()) {
      const times = timesOf(tree);
      if (index > 0) changeTree(tree, { seed: seed + index, share: CHANGED_SHARE });
      const changed = [...timesOf(tree)].filter(([path, time]) => times.get(path) !== time);
      const paths = changed.map(([path]) => path);
      await save(date, dates[index - 1], paths);
    }
  }

  /** Runs a program of the checkout with `--json`. Returns its processor time, and the bytes that its backups read. */
  private async tool(
    name: string,
    ...given: (string | Readonly<Record<string, string>>)[]
  ): Promise<{ cpuMs: number; readBytes: number }> {
    const { bench } = this;
    const words = given.filter((one) => typeof one === 'string');
    const more = given.filter((one) => typeof one !== 'string');
    const env = Object.assign(confinedTo(join(bench.workplace.root, 'home')), ...more);
    mkdirSync(env.HOME, { recursive: true });
    bench.print(name);
    const { cpuMs } = await bench.run({ argv: [bench.program(name), ...words], env });
    const reports = readFileSync(bench.workplace.log, 'utf8').match(/^\{.*\}$/gm) ?? [];
    const read = reports.map((text) => {
      const { progress } = JSON.parse(text) as { progress?: { readBytes: number } };
      return progress?.readBytes ?? 0; // the last document of an import counts its states
    });
    return { cpuMs, readBytes: read.reduce((sum, bytes) => sum + bytes, 0) };
  }
}

/** Returns the paths of the files below a directory. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function timesOf(tree: string): Map<string, number> {
  return new Map(filesBelow(tree).map((path) => [path, lstatSync(path).ctimeMs]));
}

function bytesOf(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + lstatSync(path).size, 0);
}

/** Links the files of a set that no set before had into another directory. Returns their bytes. */
function linkNew(set: string, target: string, seen: Set<number>): number {
  const fresh = filesBelow(set).filter((path) => {
    const { ino } = lstatSync(path);
    const isNew = !seen.has(ino);
    seen.add(ino);
    return isNew;
  });
  for (const path of fresh) {
    const made = join(target, path.slice(set.length + 1));
    mkdirSync(dirname(made), { recursive: true });
    linkSync(path, made);
  }
  return bytesOf(fresh);
}
