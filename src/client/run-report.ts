/** The record of a backup's run (src/model/run.ts), which the store gets with the end of its set. */
import { unlessBug } from '../errors/index.js';
import { countErrors, MAX_RUN_ROOTS, rootId, type RunRecord } from '../model/index.js';
import type { BackupProgress } from '../pipeline/index.js';
import { absolutePath, type System } from '../system/index.js';
import { readRoots, type RootPaths } from './roots.js';
import { type StreamSource, streamPath } from './stream-roots.js';

/** The directories and streams of a configuration, and how they are stored. */
export interface ConfiguredSources extends Omit<RootPaths, 'streams'> {
  readonly directories: readonly Buffer[];
  readonly streams: readonly Pick<StreamSource, 'name'>[];
}

export interface RunReport {
  /** The run as it began. */
  readonly run: RunRecord;
  /** Records of earlier runs that did not reach the store. */
  readonly earlier: readonly RunRecord[];
  /** The sources that the configuration has; undefined if there is no configuration. */
  readonly configured: ConfiguredSources | undefined;
}

/** A record, and the paths whose ids it gets as those of its configured roots. */
export interface ClosingRun {
  readonly run: RunRecord;
  readonly configured: readonly Buffer[] | undefined;
}

/** Returns the paths under which sources are stored, or would be if they are missing. */
function storedPaths(system: System, sources: ConfiguredSources): Buffer[] {
  const { directories, streams } = sources;
  const read = unlessBug(() => readRoots(system, directories, { ...sources, streams }));
  const paths =
    read === undefined
      ? directories.map(absolutePath)
      : [...read.roots.map(({ keptPath }) => keptPath), ...read.missing.map(({ path }) => path)];
  return [...paths, ...streams.map(({ name }) => streamPath(name))];
}

/** Returns the record of a backup that is about to close a set with roots at the stored paths. */
export function closingRun(
  system: System,
  { run, configured }: RunReport,
  saved: readonly Buffer[],
  progress: BackupProgress,
): ClosingRun {
  const paths = configured && storedPaths(system, configured).slice(0, MAX_RUN_ROOTS);
  const { entries, scannedBytes, sentBytes, filesRead } = progress;
  const unread = countErrors(progress);
  const isSaved = new Set(saved.map((path) => path.toString('latin1')));
  const isWhole = paths?.every((path) => isSaved.has(path.toString('latin1'))) ?? true;
  return {
    run: {
      ...run,
      end: unread === 0 ? 'done' : 'partly',
      endedMs: system.clock.nowMs(),
      isWhole,
      numbers: { entries, bytes: scannedBytes, sentBytes, files: filesRead, unread },
    },
    configured: paths,
  };
}

/** Returns a record with the ids of its configured roots; `seal` seals a path if the client encrypts. */
export function withRoots(
  { run, configured }: ClosingRun,
  seal: (path: Buffer) => Buffer,
): RunRecord {
  return configured === undefined
    ? run
    : { ...run, configured: configured.map((path) => rootId(seal(path))) };
}
