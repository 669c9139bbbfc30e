/** Implements `sonic bucket --extend`: extends locks of objects before they end. */
import type { Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import { extendLocks, type ExtendReport } from '../../maintenance/bucket-versions/index.js';
import { DAY_MS } from '../../model/index.js';
import { donePartly } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { ProgressLine } from '../output/progress-line.js';
import { interruptSignal } from '../shared/signals.js';
import { counted, formatCount, formatTime } from '../output/units.js';
import type { OpenedPlace } from './bucket-place.js';

type Options = Settings<'sonic bucket'>;

export async function runExtend(
  { lockDays, json, progress }: Options,
  { bucket: { versions } }: OpenedPlace,
): Promise<void> {
  if (lockDays === 0) {
    throw usageError('--extend needs the days of a lock: --lock-days or LockDays');
  }
  const signal = interruptSignal('sonic bucket --extend', 'the same command continues it');
  let seen = 0;
  using line = new ProgressLine(progress, () => `objects looked at: ${formatCount(seen)}`);
  line.start();
  const report = await extendLocks(versions, {
    retainMs: lockDays * DAY_MS,
    signal,
    onProgress: (names) => {
      seen = names;
    },
    onStrange: (name) => {
      if (json) return;
      line.clear();
      print(`not locked: ${name}`);
    },
  });
  line.stop();
  if (report.attacked + report.strange > 0) donePartly();
  if (json) printJson(report);
  else linesOf(report).forEach(print);
}

function linesOf(report: ExtendReport): string[] {
  const { names, extended, unlocked, attacked, uncovered, strange, firstEndMs } = report;
  const lines = [`${counted(names, 'object')}: ${counted(extended, 'lock')} made longer.`];
  if (unlocked > 0) lines.push(`${counted(unlocked, 'object')} had no lock until now.`);
  if (firstEndMs !== undefined) lines.push(`The first lock ends at ${formatTime(firstEndMs)}.`);
  if (uncovered > 0) lines.push(`${counted(uncovered, 'pack')} that no commit covers: not locked.`);
  if (strange > 0) {
    lines.push(`${counted(strange, 'object')} not stored by this program: not locked.`);
  }
  if (attacked > 0) {
    const what = `${counted(attacked, 'object')} OVERWRITTEN OR DELETED by somebody`;
    lines.push(`${what}: run sonic bucket --recover.`);
  }
  return lines;
}
