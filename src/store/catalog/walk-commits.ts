/** Chooses how the commits of a backend are read. */
import type { Backend } from '../index.js';
import { CommitWalk, type WalkStart } from './commit-walk.js';
import { hasLog, LogWalk } from './log-walk.js';

/** The start of a thorough walk of all commits. */
export const FIRST_COMMIT: WalkStart = Object.freeze({
  point: Object.freeze({ commit: 0, pack: 0, position: 0, checksum: 0 }),
  sequence: 0,
  isThorough: true,
});

/** Returns a walk of the commits after a known one. It reads the log if the backend has one, otherwise the packs. */
export function walkCommits(backend: Backend, start: WalkStart): CommitWalk | LogWalk {
  return hasLog(backend) ? new LogWalk(backend, start) : new CommitWalk(backend, start);
}
