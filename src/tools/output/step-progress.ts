/** Progress of long work in steps, as one line. */
import type { RewriteProgress } from '../../maintenance/rewrite/index.js';
import type { System } from '../../system/index.js';
import { ProgressLine } from './progress-line.js';
import { TimeLeft } from './time-left.js';
import { formatCount } from './units.js';

/** Reports the progress of a step; `of` is undefined if the total is unknown. */
type StepProgress<S extends string> = (step: S, done: number, of: number | undefined) => void;

/** Runs the work with a progress line. If `isRequested` is undefined, the line is shown only on a terminal. */
export async function withStepProgress<S extends string, T>(
  system: System,
  isRequested: boolean | undefined,
  steps: Readonly<Record<S, string>>,
  work: (onProgress: StepProgress<S>) => Promise<T>,
): Promise<T> {
  let shown = '';
  let at: S | undefined;
  using line = new ProgressLine(isRequested, () => shown);
  const timeLeft = new TimeLeft(() => system.clock.monotonicMs());
  line.start();
  return await work((step, done, of) => {
    const isNew = step !== at;
    at = step;
    if (isNew) timeLeft.restart();
    const count = done === 0 ? '' : ` ${formatCount(done)}`;
    const total = of === undefined ? '' : ` of ${formatCount(of)}`;
    shown = `${steps[step]}${count}${total}${timeLeft.text(done, of)}`;
    if (isNew) line.refresh();
  });
}

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
