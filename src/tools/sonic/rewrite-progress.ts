/** Progress of a rewrite of a client, as one line. */
import type { RewriteProgress } from '../../maintenance/rewrite/index.js';
import type { System } from '../../system/index.js';
import { withStepProgress } from '../shared/step-progress.js';

const STEPS = {
  contents: 'writing contents',
  sets: 'writing set',
  verify: 'reading contents again',
  compare: 'comparing the generations',
  remove: 'removing the old generation',
} as const;

/** Runs the work with a progress line. If `isRequested` is undefined, the line is shown only on a terminal. */
export function withRewriteProgress<T>(
  system: System,
  isRequested: boolean | undefined,
  work: (onProgress: RewriteProgress) => Promise<T>,
): Promise<T> {
  return withStepProgress(system, isRequested, STEPS, work);
}
