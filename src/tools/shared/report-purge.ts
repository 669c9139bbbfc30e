/** Formats the result of a purge: the deleted sets, the space freed, or the reason why nothing was deleted. */
import type { Settled } from '../../client/index.js';
import type { SetNumber } from '../../model/index.js';
import { gcSummary } from './clear-up.js';
import { counted } from '../output/units.js';

/** Maximum number of ranges of sets that are listed. */
const MOST_RANGES = 40;

/** Returns numbers of sets as `1-3, 7`: at most some ranges of them. */
export function setRanges(sets: readonly SetNumber[], mostRanges = MOST_RANGES): string {
  const ranges: [SetNumber, SetNumber][] = [];
  for (const set of [...sets].sort((one, other) => one - other)) {
    const last = ranges.at(-1);
    if (last?.[1] === set - 1) last[1] = set;
    else ranges.push([set, set]);
  }
  const named = ranges.slice(0, mostRanges);
  const texts = named.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  return texts.join(', ') + (ranges.length > named.length ? ', …' : '');
}

/** Returns `2 backup sets of "me" purged (1-2)`. */
export function purgedText(client: string, sets: readonly SetNumber[]): string {
  const which = sets.length === 0 ? '' : ` (${setRanges(sets)})`;
  return `${counted(sets.length, 'backup set')} of "${client}" purged${which}`;
}

export const CLOCK_IN_DOUBT =
  'nothing is purged, since the clock has jumped or no backup was made for a long time';

/**
 * Returns lines for the report of a backup. `isRequested` is true if the run requested a purge. A purge for which every set is
 * kept by a rule has none.
 */
export function settledLines(client: string, settled: Settled, isRequested: boolean): string[] {
  const { purged, early, isClockInDoubt, failure } = settled;
  const lines: string[] = [];
  if (early.length > 0) {
    const many = counted(early.length, 'expendable backup set');
    lines.push(`Space was low: ${many} deleted early (${setRanges(early)}).`);
  }
  const why = isRequested && !isClockInDoubt && failure === undefined ? whyNone(settled) : '';
  if (why !== '' || purged.length > 0) lines.push(`${purgedText(client, purged)}${why}.`);
  if (settled.contents + settled.packs + settled.deletedFiles > 0 || purged.length > 0) {
    lines.push(gcSummary(settled));
  }
  return lines;
}

/** Returns the reason why sets that no rule keeps were not deleted; empty if there are none, or some were. */
function whyNone({ purged, young, isCautious }: Settled): string {
  if (purged.length > 0) return '';
  const reasons = [
    ...(young === 0
      ? []
      : [`${counted(young, 'set')} that no rule keeps, but younger than LeastAge`]),
    ...(isCautious
      ? ['without the right `purge`, rules count one set a day and keep the oldest of each period']
      : []),
  ];
  return reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
}

/** Returns the warning to print; undefined without a warning. */
export function settledWarning({ isClockInDoubt, failure }: Settled): string | undefined {
  if (failure !== undefined) return failure;
  if (!isClockInDoubt) return undefined;
  return `${CLOCK_IN_DOUBT}; \`sonic purge --preview\` shows details, and --trust-clock purges anyway`;
}
