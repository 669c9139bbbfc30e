/** Records of runs for tests. */
import type { RunRecord } from '../../src/model/index.js';

let last = 0;

/** Returns a record of a complete backup of all roots, with an id of its own and these fields. */
export function aRun(more: Partial<RunRecord> = {}): RunRecord {
  last += 1;
  return {
    id: last.toString(16).padStart(16, '0'),
    kind: 'backup',
    way: 'hand',
    end: 'done',
    beganMs: 1,
    endedMs: 2,
    by: 'anna',
    machine: 'desk',
    isWhole: true,
    numbers: {},
    ...more,
  };
}
