/** `sonic purge`: old sets go by rules; a preview tells for each set why it is kept, or that it goes. */
import type { BackupSet, Verdicts } from '../archive/index.js';
import { type Found, parseDate, type Settings } from '../config/index.js';
import { TardisError } from '../errors/index.js';
import type { PurgeWish, UpkeepReport } from '../keeper/index.js';
import { displayName } from '../model/index.js';
import { hasRules, type Reason, rulesOf } from '../retention/index.js';
import { CLEARED_LATER, describedUpkeep, freeUnneeded } from './clear-up.js';
import { type ClientSets, openClientSets } from './client-sets.js';
import { requireYesToDelete } from './confirm.js';
import { interruptSignal, JSON_VERSION, print } from './run-tool.js';
import { counted, formatTable, formatTime } from './units.js';
import { storeSystem } from './local-store.js';

type PurgeOptions = Settings<'sonic purge'>;

const WORDS: Readonly<Record<Reason['why'], string>> = {
  locked: 'locked',
  newest: 'newest complete set',
  unfinished: 'unfinished',
  young: 'younger than LeastAge',
  last: 'one of the last',
  within: 'young enough',
  tag: 'tag',
  priority: 'kept by its priority',
  clock: 'the clock is in doubt',
  damaged: 'it may lack something, since a rebuild',
  'not meant': 'too young, or too important',
  'no rule': 'there is no rule',
  hour: 'of the hour',
  day: 'of the day',
  week: 'of the week',
  month: 'of the month',
  year: 'of the year',
};

export async function purge(
  options: PurgeOptions,
  found: ReadonlyMap<string, Found>,
): Promise<number> {
  const { client, throughServer, clearUp } = options;
  const wish = await wishOf(options, found);
  const system = storeSystem(options.umask);
  const there = await openClientSets(system, options, found);
  try {
    const sets = await there.sets();
    const told = await there.preview(wish);
    const gone = goneIn(told);
    if (options.previewPurge || options.rehearse) {
      tellPreview(options, sets, told);
      return 0;
    }
    if (told.isClockInDoubt && !options.trustClock) tellDoubt();
    if (gone.length === 0) {
      tellPurged(options, [], undefined);
      return 0;
    }
    const going = sets.filter(({ set }) => gone.includes(set));
    if (!options.deleteYes) requireYesToDelete(client, going);
    const signal = interruptSignal('sonic purge', CLEARED_LATER);
    const done = await purged(there, gone);
    const clears = throughServer === undefined && clearUp;
    let report: UpkeepReport | undefined;
    try {
      if (clears) {
        const how = { isThorough: false, signal };
        report = await freeUnneeded(system, options, there.keyring, how);
      }
    } catch (error) {
      tellPurged(options, done, undefined); // whatever became of the rest, they are gone
      throw error;
    }
    tellPurged(options, done, report && describedUpkeep(report));
    return 0;
  } finally {
    there.close();
  }
}

async function purged(there: ClientSets, gone: readonly number[]): Promise<readonly number[]> {
  const told = await there.purge(gone);
  return told === undefined ? gone : goneIn(told);
}

function goneIn({ verdicts }: Verdicts): number[] {
  return verdicts.filter(({ reasons }) => reasons.length === 0).map(({ set }) => set);
}

/** Throws USAGE, CONFIG_INVALID, BAD_DATE. */
async function wishOf(
  options: PurgeOptions,
  found: ReadonlyMap<string, Found>,
): Promise<PurgeWish> {
  const { beforeDate, mostPriority, throughServer, trustClock } = options;
  const rules = rulesOf(options);
  const isLimited = beforeDate !== undefined || mostPriority !== undefined;
  if (throughServer !== undefined) {
    const isOwn =
      isLimited ||
      trustClock ||
      hasRules(rules) ||
      found.get('priorities')?.source === 'command line';
    if (isOwn)
      throw new TardisError('USAGE', 'a server purges by its own rules: give none with --server');
  } else if (!isLimited && !hasRules(rules)) {
    throw new TardisError(
      'USAGE',
      'say what is to be kept: --keep-daily 7, --keep-periods 0,180,30, --before "3 months ago", …',
    );
  }
  const beforeMs = beforeDate === undefined ? Infinity : await parseDate(beforeDate, Date.now());
  const only = isLimited ? { beforeMs, priority: mostPriority ?? Infinity } : undefined;
  return {
    rules,
    leastAgeMs: 0,
    lastCountsDays: false,
    keepsDoubtful: false,
    trustsClock: trustClock,
    only,
  };
}

function tellDoubt(): void {
  process.stderr.write(
    'warning: nothing goes, since the clock has jumped lately, or nobody backed up for long; see --preview, and --trust-clock if all is well\n',
  );
}

function tellPreview(options: PurgeOptions, sets: readonly BackupSet[], told: Verdicts): void {
  const { client, json, trustClock } = options;
  const { verdicts, isClockInDoubt } = told;
  if (json) {
    print(JSON.stringify({ version: JSON_VERSION, client, isClockInDoubt, sets: verdicts }));
    return;
  }
  if (isClockInDoubt && !trustClock) tellDoubt();
  const byNumber = new Map(sets.map((set) => [set.set, set]));
  const rows = verdicts.map(({ set, reasons }) => {
    const known = byNumber.get(set);
    return [
      String(set),
      displayName(Buffer.from(known?.name ?? '')),
      known === undefined ? '' : formatTime(known.openedAtMs),
      reasons.length === 0 ? 'goes' : 'stays',
      reasons.map(reasonText).join(', '),
    ];
  });
  print(formatTable([['set', 'name', 'begun', '', 'why'], ...rows], [0]));
  const gone = goneIn(told).length;
  print(`${counted(gone, 'backup set')} of ${verdicts.length} would go.`);
}

function reasonText({ why, what }: Reason): string {
  return what === undefined ? WORDS[why] : `${WORDS[why]} ${displayName(Buffer.from(what))}`;
}

function tellPurged(
  { client, json }: PurgeOptions,
  purgedSets: readonly number[],
  freedText: string | undefined,
): void {
  if (json) {
    print(JSON.stringify({ version: JSON_VERSION, client, purged: purgedSets }));
    return;
  }
  const rest = freedText === undefined ? '' : `; ${freedText}`;
  print(`${counted(purgedSets.length, 'backup set')} of "${client}" purged${rest}`);
}
