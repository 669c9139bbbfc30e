/** Restores in place: one at a time, with progress that can be read while it runs. */
import { randomUUID } from 'node:crypto';
import { asTardisError, TardisError } from '../../errors/index.js';
import type { History } from '../../history/index.js';
import { joinPath, splitPath } from '../../model/index.js';
import {
  newRestoreProgress,
  type RestoreFailure,
  type RestoreProgress,
  type RestoreRequest,
  runRestore,
} from '../../restore/index.js';
import { BoundedCache, type System } from '../../system/index.js';
import type { JobRunner } from '../../workers/index.js';
import { encodedPathIn, invalidRequest, pathJson } from '../api/index.js';
import { MAX_FAILURES, type RestoreBody, type RestoreState } from './schemas.js';

/** Header with the number of warnings so far. If the number changes, the page requests the warnings again. */
export const DOUBTS_HEADER = 'x-tardis-doubts';
const MAX_DOUBTS = 100;
const MAX_CHARS = 1000;

/** Maximum number of restores whose results are kept. */
const MAX_KEPT = 16;
const SLASH = 0x2f;
const ROOT = Buffer.from('/');

interface Running {
  readonly id: string;
  readonly isPreview: boolean;
  readonly progress: RestoreProgress;
  failures: readonly RestoreFailure[];
  losses: readonly string[];
  readonly controller: AbortController;
  state: RestoreState['state'];
  error: { code: string; message: string } | undefined;
}

interface RestoringOptions {
  readonly system: System;
  readonly history: History;
  /** Opens the threads of a restore. The restore closes them at its end. */
  readonly openJobs: () => Promise<JobRunner>;
  readonly workers: number;
  /** Records damage that a restore has found. Must not throw. */
  readonly noteDamage?: (failures: readonly RestoreFailure[]) => Promise<void>;
}

export class Restores {
  private readonly kept = new BoundedCache<string, Running>(MAX_KEPT);
  private work: Promise<void> = Promise.resolve();

  constructor(private readonly options: RestoringOptions) {}

  get isRunning(): boolean {
    return this.kept.values().some(({ state }) => state === 'running');
  }

  /** Begins a restore. Throws CLIENT_BUSY if another restore is running, REQUEST_INVALID. */
  start(body: RestoreBody): RestoreState {
    if (this.isRunning) throw new TardisError('CLIENT_BUSY', 'another restore is running');
    const destination = destinationOf(body);
    const running: Running = {
      id: randomUUID(),
      isPreview: body.isPreview,
      progress: newRestoreProgress(),
      failures: [],
      losses: [],
      controller: new AbortController(),
      state: 'running',
      error: undefined,
    };
    this.kept.set(running.id, running);
    this.work = this.run(running, body, destination);
    return this.stateOf(running);
  }

  /** Returns the state of a restore. Throws REQUEST_INVALID. */
  state(id: string): RestoreState {
    return this.stateOf(this.find(id));
  }

  /** Stops a restore. If the same restore is begun again, it continues. Throws REQUEST_INVALID. */
  async stop(id: string): Promise<RestoreState> {
    const running = this.find(id);
    running.controller.abort();
    await this.work;
    return this.stateOf(running);
  }

  /** Stops the running restore, and waits for its end. */
  async close(): Promise<void> {
    for (const { controller } of this.kept.values()) controller.abort();
    await this.work;
  }

  private async noteDamage(failures: readonly RestoreFailure[]): Promise<void> {
    const { history, noteDamage } = this.options;
    const work = async (): Promise<void> => noteDamage?.(failures);
    await (history.whileWriting?.(work) ?? work());
  }

  private stateOf(running: Running): RestoreState {
    return stateOf(running, shownDoubts(this.options.history));
  }

  private find(id: string): Running {
    const running = this.kept.get(id);
    if (running === undefined) throw invalidRequest('there is no such restore');
    return running;
  }

  private async run(running: Running, body: RestoreBody, destination: Destination): Promise<void> {
    const { system, history, openJobs, workers } = this.options;
    const { overwrite, comparesContents: compareContents, set, isPreview: dryRun } = body;
    const { progress, controller } = running;
    const policy = {
      compareContents,
      ...(overwrite === 'refuse' ? {} : { overwrite }),
    };
    let jobs: JobRunner | undefined;
    try {
      jobs = await openJobs();
      const request = { set, workers, policy, dryRun, ...destination };
      const means = { history, jobs, progress, signal: controller.signal };
      const { failures, losses } = await runRestore(system, means, request);
      running.failures = failures.slice(0, MAX_FAILURES).map((failure) => ({
        ...failure,
        path: body.output === undefined ? joinPath(ROOT, failure.path) : failure.path,
      }));
      running.losses = losses;
      if (!dryRun) await this.noteDamage(failures);
      running.state = 'done';
    } catch (error) {
      const { code, message } = asTardisError(error);
      running.state = controller.signal.aborted ? 'stopped' : 'failed';
      running.error = { code, message };
    } finally {
      await jobs?.close();
    }
  }
}

type Destination = Pick<RestoreRequest, 'output' | 'paths' | 'hierarchy'>;

/** Returns where paths are restored to: the directory that the user has chosen, or each path's original place below `/`. */
function destinationOf({ paths: given, output }: RestoreBody): Destination {
  const paths = given.map(encodedPathIn);
  if (output === undefined) {
    if (paths.some((path) => splitPath(path).length === 0)) {
      throw invalidRequest('choose what is below / to restore it to its place');
    }
    return { output: ROOT, paths, hierarchy: true };
  }
  const target = Buffer.from(output);
  if (target[0] !== SLASH || target.includes(0)) {
    throw invalidRequest('the directory to restore into must be an absolute path');
  }
  return { output: target, paths };
}

function stateOf(running: Running, doubts: string[]): RestoreState {
  const { id, state, isPreview, progress, failures, losses, error } = running;
  const { directories, files, links, bytes, unchanged, kept } = progress;
  return {
    id,
    state,
    isPreview,
    progress: {
      directories,
      files,
      links,
      bytes,
      unchanged,
      kept,
      failures: progress.failures,
    },
    failures: failures.map(({ path, error: { code, message } }) => ({
      ...pathJson(path),
      code,
      message,
    })),
    ...(error === undefined ? {} : { error }),
    losses: [...losses],
    doubts,
  };
}

/** Returns the first warnings of a history, each shortened. */
export function shownDoubts({ doubts }: Pick<History, 'doubts'>): string[] {
  return doubts.slice(0, MAX_DOUBTS).map((text) => text.slice(0, MAX_CHARS));
}
