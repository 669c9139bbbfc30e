/** Backup pipelines over real trees, without threads, with a hand-written peer. */
import type { ExcludeOptions } from '../../src/excludes/index.js';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import { type Entry, EntryType } from '../../src/model/index.js';
import { BackupPipeline, type PipelineSettings } from '../../src/pipeline/index.js';
import { Codec } from '../../src/store/index.js';
import type { System } from '../../src/system/index.js';
import { type Failure, InlineJobs } from '../../src/workers/index.js';
import type { FakePeer } from './fake-peer.js';
import { startAt, systemWith } from './jobs.js';

export const SETTINGS: PipelineSettings = {
  workers: 2,
  budgetBytes: 4 << 20,
  budgetItems: 1000,
  parcelFiles: 16,
  parcelBytes: 32 << 10,
  frameBytes: 16 << 10,
  smallBytes: 4 << 10,
  changeLevel: 1,
  changeFrameBytes: 0,
  changeBytes: 0,
  walkConcurrency: 1,
  readConcurrency: 0,
  buildConcurrency: 0,
  streamConcurrency: 0,
  largeConcurrency: 0,
  compareConcurrency: 64,
  sendConcurrency: 64,
  compression: { codec: Codec.zstd, level: 1 },
};

export interface RunningPipeline {
  readonly pipeline: BackupPipeline;
  readonly failures: Failure[];
  readonly done: Promise<void>;
}

/** Starts a backup of a folder; `done` is the promise that `run` returns. */
export function startPipeline(
  folder: string,
  peer: FakePeer,
  more: Partial<PipelineSettings> & { system?: System; excludes?: ExcludeOptions } = {},
): RunningPipeline {
  const { system = systemWith(), excludes = NO_EXCLUDES, ...settings } = more;
  const failures: Failure[] = [];
  const pipeline = new BackupPipeline(new InlineJobs(system, 1 << 12), {
    peer,
    sources: { start: startAt(folder), firstFreeSlot: 1, excludes },
    settings: { ...SETTINGS, ...settings },
    hooks: { onFailures: (some) => failures.push(...some) },
  });
  return { pipeline, failures, done: pipeline.run() };
}

/** Returns the content that the peer has of a file; undefined if it has none. */
export function contentOf(peer: FakePeer, path: string): Buffer | undefined {
  const entry: Entry | undefined = peer.rows.get(path);
  if (entry?.digest === undefined) return undefined;
  return peer.contents.get(entry.digest.toString('hex'));
}

/** Returns the paths of the received rows, sorted; directories end with a slash. */
export function pathsAt(peer: FakePeer): string[] {
  return [...peer.rows]
    .map(([path, { type }]) => (type === EntryType.directory ? `${path}/` : path))
    .sort();
}

/** Waits for some turns of the event loop, so that all pending work proceeds. */
export async function settle(turns = 50): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
