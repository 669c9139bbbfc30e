/** Progress of a rewrite of a client, as one line. */
import type { RekeyProgress } from '../../maintenance/rewrite/index.js';
import type { System } from '../../system/index.js';
import { ProgressLine } from '../shared/progress-line.js';
import { TimeLeft } from '../shared/time-left.js';
import { formatCount } from '../shared/units.js';

const STEPS = {
  contents: 'writing contents',
  sets: 'writing set',
  verify: 'reading contents again',
  compare: 'comparing the generations',
  remove: 'removing the old generation',
} as const;

/** Runs the work with a progress line. `isWanted` undefined shows it only on a terminal. */
export async function withRekeyProgress<T>(
  system: System,
  isWanted: boolean | undefined,
  work: (onProgress: RekeyProgress) => Promise<T>,
): Promise<T> {
  let shown = '';
  let at: keyof typeof STEPS | undefined;
  const line = new ProgressLine(isWanted, () => shown);
  const timeLeft = new TimeLeft(() => system.clock.monotonicMs());
  line.start();
  try {
    return await work((step, done, of) => {
      const isNew = step !== at;
      at = step;
      if (isNew) timeLeft.restart();
      const count = done === 0 ? '' : ` ${formatCount(done)}`;
      const total = of === undefined ? '' : ` of ${formatCount(of)}`;
      shown = `${STEPS[step]}${count}${total}${timeLeft.text(done, of)}`;
      if (isNew) line.refresh();
    });
  } finally {
    line.stop();
  }
}
