/**
 * Implements `sonic purge`: deletes old sets by rules. A preview lists for each set if it would be deleted, or the
 * reason why it is kept.
 */
import { type BackupSet, begunMs, type Verdicts } from '../../history/index.js';
import { parseDate, type Settings } from '../../config/index.js';
import { TardisError, usageError } from '../../errors/index.js';
import type { PurgeRequest, GcReport } from '../../maintenance/gc/index.js';
import { displayLine, type SetNumber } from '../../model/index.js';
import { hasRules, type Reason, rulesOf } from '../../retention/index.js';
import { CLEARED_LATER, clearUpAfter, gcSummary } from '../shared/clear-up.js';
import type { Admin } from '../../maintenance/admin/index.js';
import { openAdmin } from '../opening/admin.js';
import { unlockClient, unlockForNames } from '../opening/keys.js';
import { requireYesToDelete } from './confirm.js';
import { noteNumbers, onlyShows } from '../shared/run-facts.js';
import { CLOCK_IN_DOUBT, purgedText } from '../shared/report-purge.js';
import { setText } from '../shared/report-sets.js';
import { interruptSignal } from '../shared/signals.js';
import { print, printJson } from '../output/output.js';
import { counted, formatTable, formatTime } from '../output/units.js';
import { storeSystem } from '../opening/local-store.js';
import { printWarning } from '../output/progress-line.js';

type PurgeOptions = Settings<'sonic purge'>;

const WORDS: Readonly<Record<Reason['why'], string>> = {
  locked: 'locked',
  newest: 'newest complete set',
  unfinished: 'unfinished',
  young: 'younger than LeastAge',
  last: 'one of the last',
  within: 'younger than KeepWithin',
  tag: 'tag',
  priority: 'kept by its priority',
  clock: 'the clock is in doubt',
  damaged: 'may lack entries since a rebuild',
  'not meant': 'excluded by --before or --priority',
  'no rule': 'no rule was given',
  hour: 'of the hour',
  day: 'of the day',
  week: 'of the week',
  month: 'of the month',
  year: 'of the year',
};

export async function purge(options: PurgeOptions): Promise<void> {
  const given = await requestOf(options);
  const system = storeSystem(options.umask);
  // Tags to keep are compared with those of the sets, which may be sealed.
  const unlock = options.keepTags.length > 0 ? unlockClient : unlockForNames;
  using there = await openAdmin(system, options, unlock);
  const request = withKeptRules(given, options, there);
  if (request === given) await warnOfTags(options, there);
  const sets = await there.sets();
  const answer = await there.previewPurge(request);
  requireTags(options, answer, sets);
  const gone = goneIn(answer);
  if (options.previewPurge || options.rehearse) {
    onlyShows();
    return printPreview(options, sets, answer);
  }
  if (answer.isClockInDoubt && !options.trustClock) printDoubt();
  if (gone.length === 0) return printPurged(options, [], undefined);
  const texts = sets.filter(({ set }) => gone.includes(set)).map(setText);
  if (!options.deleteYes) requireYesToDelete(options.client, texts);
  const signal = interruptSignal('sonic purge', CLEARED_LATER);
  const done = goneIn(await there.purge(request, gone));
  noteNumbers({ sets: done.length });
  await clearUpAfter({ system, there, options, signal }, (freed) =>
    printPurged(options, done, freed),
  );
}

/**
 * Throws NO_SUCH_TAG if no set has a tag that the command line names, since sets with the intended tag might go. A tag in
 * rules from elsewhere may be meant for later sets, and is only reported.
 */
function requireTags(
  { client, keepTags }: PurgeOptions,
  { unusedTags }: Verdicts,
  sets: readonly BackupSet[],
): void {
  if (unusedTags.length === 0) return;
  const unused = shownTags(unusedTags);
  const there = shownTags(sets.flatMap(({ marks }) => marks.tags));
  const has = there === '' ? 'its sets have no tags' : `its sets have the tags ${there}`;
  const what = `no set of "${client}" has the tag ${unused}, which is to be kept: ${has}`;
  if (keepTags.length > 0) throw new TardisError('NO_SUCH_TAG', what);
  printWarning(what);
}

/** Warns of tags stored with the client that keep no set, since rules that are given replace all stored ones. */
async function warnOfTags({ keepTags, throughServer }: PurgeOptions, there: Admin): Promise<void> {
  if (throughServer !== undefined) return; // it purges by its own rules
  const stored = (await there.settings()).find(({ key }) => key === 'KeepTags')?.value ?? '';
  const dropped = stored.split(/[,\s]+/).filter((tag) => tag !== '' && !keepTags.includes(tag));
  if (dropped.length === 0) return;
  printWarning(
    `the rules that are given replace the stored KeepTags, so these tags keep nothing: ${shownTags(dropped)}; add --keep-tag for each`,
  );
}

const MOST_TAGS_SHOWN = 20;

function shownTags(tags: readonly string[]): string {
  const different = [...new Set(tags)].sort();
  const shown = different.slice(0, MOST_TAGS_SHOWN).map((tag) => displayLine(tag));
  return [...shown, ...(different.length > shown.length ? ['…'] : [])].join(', ');
}

function goneIn({ verdicts }: Verdicts): SetNumber[] {
  return verdicts.filter(({ reasons }) => reasons.length === 0).map(({ set }) => set);
}

/**
 * Returns the purge that the options request, without rules stored with the client. Throws USAGE, CONFIG_INVALID,
 * BAD_DATE.
 */
async function requestOf(options: PurgeOptions): Promise<PurgeRequest> {
  const { beforeDate, mostPriority, throughServer, trustClock } = options;
  const rules = rulesOf(options);
  const isLimited = beforeDate !== undefined || mostPriority !== undefined;
  if (throughServer !== undefined) {
    const isOwn =
      isLimited ||
      trustClock ||
      hasRules(rules) ||
      options.sources.get('priorities')?.source === 'command line';
    if (isOwn)
      throw usageError('a server purges by its own rules: do not give rules with --server');
  }
  const beforeMs =
    beforeDate === undefined ? Infinity : await parseDate(beforeDate, Date.now(), 'start');
  const only = isLimited ? { beforeMs, priority: mostPriority ?? Infinity } : undefined;
  return {
    rules,
    leastAgeMs: 0,
    resistsFloods: false,
    keepsDoubtful: false,
    trustsClock: trustClock,
    only,
  };
}

/** Adds the rules stored with the client, if the options have none. Throws USAGE, CONFIG_INVALID. */
function withKeptRules(request: PurgeRequest, options: PurgeOptions, there: Admin): PurgeRequest {
  const isLimited = request.only !== undefined;
  if (options.throughServer !== undefined || isLimited || hasRules(request.rules)) return request;
  const rules = there.keptRules(options);
  if (rules !== undefined) return { ...request, rules };
  throw usageError(
    'give rules for what to keep (a tag only adds to other rules): --keep-daily 7, --keep-periods 0,180,30, --before "3 months ago", …; or store rules with the client (`sonic setconfig`)',
  );
}

function printDoubt(): void {
  printWarning(`${CLOCK_IN_DOUBT}; see --preview, and use --trust-clock if the clock is right`);
}

function printPreview(options: PurgeOptions, sets: readonly BackupSet[], answer: Verdicts): void {
  const { client, json, trustClock } = options;
  const { verdicts, isClockInDoubt, unusedTags } = answer;
  if (json) return printJson({ client, isClockInDoubt, unusedTags, sets: verdicts });
  if (isClockInDoubt && !trustClock) printDoubt();
  const byNumber = new Map(sets.map((set) => [set.set, set]));
  const rows = verdicts.map(({ set, reasons }) => {
    const known = byNumber.get(set);
    return [
      String(set),
      displayLine(known?.name ?? ''),
      known === undefined ? '' : formatTime(begunMs(known)),
      reasons.length === 0 ? 'delete' : 'keep',
      reasons.map(reasonText).join(', '),
    ];
  });
  print(formatTable([['set', 'name', 'begun', '', 'why'], ...rows], [0]));
  const gone = goneIn(answer).length;
  print(`${counted(gone, 'backup set')} of ${verdicts.length} would be deleted.`);
}

function reasonText({ why, what, which }: Reason): string {
  const reason = which === undefined ? WORDS[why] : `${which} ${WORDS[why]}`;
  return what === undefined ? reason : `${reason} ${displayLine(what)}`;
}

function printPurged(
  { client, json }: PurgeOptions,
  purgedSets: readonly SetNumber[],
  report: GcReport | undefined,
): void {
  if (json) return printJson({ client, purged: purgedSets, ...report });
  print(`${purgedText(client, purgedSets)}.`);
  if (report !== undefined) print(gcSummary(report));
}
