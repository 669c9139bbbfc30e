import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer } from './answer.js';
import { type Bench, rest } from './bench.js';
import { seconds, shownRatio } from './cells.js';
import { treeLine } from './change.js';
import { median, ratioOf } from './figures.js';
import { commandOf } from './operations.js';
import { UsageError } from './options.js';
import { barChart } from './plot.js';
import { verdictOf } from './targets.js';

const RATIO_LIMIT = 1.1;

/**
 * Source of a library that replaces the sync calls of the system's library. Every sync, including SQLite's, then
 * returns at once.
 */
const NO_SYNC_SOURCE = `
int fsync(int fd) { return 0 * fd; }
int fdatasync(int fd) { return 0 * fd; }
int syncfs(int fd) { return 0 * fd; }
void sync(void) {}
`;

const WAYS = ['synced', 'unsynced'] as const;
type Way = (typeof WAYS)[number];

/**
 * Measures the cost of making everything durable before it is reported as saved. First backups run in pairs on a real
 * disk, one as usual and one whose syncs do nothing. Before each backup, pending data is written back to the disk.
 */
export async function sync(bench: Bench): Promise<Answer> {
  const { workplace, options, print } = bench;
  if (workplace.inMemory) {
    throw new UsageError(`memory (${workplace.root}) syncs nothing: give a disk with --work DIR`);
  }
  const size = await bench.makeTree();
  const library = makeLibrary(workplace.root);
  const times: Record<Way, number[]> = { synced: [], unsynced: [] };
  await rest();
  const place = workplace.freshPlace('tardis');
  const { argv, env } = commandOf('first', bench, place);
  await bench.inPairs(WAYS, async (way, round) => {
    const preload: Record<string, string> = way === 'unsynced' ? { LD_PRELOAD: library } : {};
    settle();
    const { wallMs } = await bench.run({ argv, env: { ...env, ...preload } });
    times[way].push(wallMs);
    rmSync(place.store, { recursive: true });
    print(`${bench.roundName(round)}: ${way}: ${seconds(wallMs)} s`);
  });
  return answer(times, `${treeLine(size)}, on ${workplace.fileSystem}; medians of ${options.runs}`);
}

/** Writes pending data to the disk, so that it does not slow the next backup. */
function settle(): void {
  spawnSync('sync');
}

function makeLibrary(root: string): string {
  const source = join(root, 'no-sync.c');
  const library = join(root, 'no-sync.so');
  writeFileSync(source, NO_SYNC_SOURCE);
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source]);
  if (status !== 0) throw new UsageError(`a C compiler (cc) is needed: ${String(stderr)}`);
  return library;
}

function answer(times: Record<Way, number[]>, about: string): Answer {
  const ratio = ratioOf(times.synced, times.unsynced)?.pairwise;
  const bars = WAYS.map((way) => ({ label: way, value: median(times[way]) / 1000 }));
  const first = { label: 'first', bars };
  return {
    question: 'sync',
    about: `a first backup as it is, and one whose syncs do nothing; ${about}`,
    headings: ['what', '', 'synced: s', 'unsynced: s', 'ratio'],
    rows: [['first', '', ...WAYS.map((way) => seconds(median(times[way]))), shownRatio(ratio, 3)]],
    verdicts: [verdictOf('first, synced, times unsynced', RATIO_LIMIT, ratio)],
    notes: ['the ratio is the median of pairs; a pair is two backups one after the other'],
    figures: times,
    plots: [
      { name: 'sync', svg: barChart({ title: 'What syncing costs', unit: 's', groups: [first] }) },
    ],
  };
}
