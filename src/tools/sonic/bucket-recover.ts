/**
 * Implements `sonic bucket --recover`: restores objects that were overwritten or deleted in a bucket with versions.
 */
import { parseDate, type Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import {
  recover,
  type RecoverReport,
  recoverTo,
  type Result,
} from '../../maintenance/bucket-versions/index.js';
import { shownBucket } from '../../store/objects/index.js';
import type { System } from '../../system/index.js';
import { donePartly } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { ProgressLine } from '../output/progress-line.js';
import { interruptSignal } from '../shared/signals.js';
import { counted, formatBytes, formatCount } from '../output/units.js';
import { type OpenedPlace, openPlace } from './bucket-place.js';

type Options = Settings<'sonic bucket'>;

/** Maximum number of objects in the output of --json. The counts include all objects. */
const MOST_NAMED = 1000;

const WORDS: Readonly<Record<Exclude<Result, 'copied'>, string>> = {
  changed: 'overwritten',
  hidden: 'deleted',
  lost: 'lost',
  strange: 'not ours',
  younger: 'younger',
};

interface Named {
  readonly name: string;
  readonly result: string;
}

export async function runRecover(
  system: System,
  options: Options,
  { place, bucket: { versions } }: OpenedPlace,
): Promise<void> {
  const { recoverTo: to, recoverBefore: before, previewRecover, json } = options;
  if (before !== undefined && to === undefined) {
    const why = 'an object that was created later stays where it is, and no commit may be removed';
    throw usageError(`--before needs --to: ${why}`);
  }
  const untilMs =
    before === undefined ? Infinity : await parseDate(before, system.clock.nowMs(), 'start');
  const signal = interruptSignal('sonic bucket --recover', 'the same command continues it');
  const named: Named[] = [];
  let seen = 0;
  using line = new ProgressLine(options.progress, () => `objects looked at: ${formatCount(seen)}`);
  const how = {
    isPreview: previewRecover,
    signal,
    onProgress: (names: number): void => {
      seen = names;
    },
    onFound: (name: string, result: Result): void => {
      if (result === 'copied') return;
      if (named.length < MOST_NAMED) named.push({ name, result: WORDS[result] });
      if (json) return;
      line.clear();
      print(`${WORDS[result]}: ${name}`);
    },
  };
  line.start();
  let report: RecoverReport;
  if (to === undefined) report = await recover(versions, how);
  else {
    const other = await openPlace(system, options, to);
    try {
      if (shownBucket(other.place) === shownBucket(place)) {
        throw usageError('--to must be another place than -D');
      }
      if (!previewRecover) await other.bucket.writers();
      report = await recoverTo(versions, { ...how, target: other.bucket.store, untilMs });
    } finally {
      other.bucket.store.close();
    }
  }
  line.stop();
  // A copy leaves out objects that no program of this package made.
  if (report.lost > 0 || (to === undefined && report.strange > 0)) donePartly();
  if (json) printJson({ ...report, objects: named });
  else linesOf(report, options).forEach(print);
}

function linesOf(report: RecoverReport, { previewRecover, recoverTo: to }: Options): string[] {
  const { names, changed, hidden, lost, strange, younger, freed, copied, writtenBytes } = report;
  const looked = `${counted(names, 'object')} looked at`;
  const would = previewRecover ? 'would be ' : '';
  const lines =
    to === undefined
      ? [`${looked}: ${changed} overwritten and ${hidden} deleted, ${would}brought back.`]
      : [`${looked}: ${copied} ${would}copied.`];
  if (!previewRecover) lines.push(`${formatBytes(writtenBytes)} were written.`);
  if (freed > 0) lines.push(`${counted(freed, 'pack')} that nothing needs left out.`);
  if (strange > 0) {
    lines.push(`${counted(strange, 'object')} not stored by this program: left as found.`);
  }
  if (younger > 0) {
    lines.push(`${counted(younger, 'object')} younger than the chosen time: left out.`);
  }
  if (lost > 0) lines.push(`${counted(lost, 'object')} LOST: no version has the stored bytes.`);
  return lines;
}
