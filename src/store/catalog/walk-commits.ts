/** Chooses how the commits of a backend are read. */
import type { Backend } from '../index.js';
import { CommitWalk, type WalkStart } from './commit-walk.js';
import { hasLog, LogWalk } from './log-walk.js';

/** Returns a walk of the commits after a known one. It reads the log if the backend has one, otherwise the packs. */
export function walkCommits(backend: Backend, start: WalkStart): CommitWalk | LogWalk {
  return hasLog(backend) ? new LogWalk(backend, start) : new CommitWalk(backend, start);
}
