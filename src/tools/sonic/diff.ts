/** Implements `sonic diff`: lists the differences between two backup sets of a client. */
import type { Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import type { BackupSet, History } from '../../history/index.js';
import { displayName, displayText, type SetNumber } from '../../model/index.js';
import {
  compareTrees,
  Contents,
  type Difference,
  isDifference,
  type NotCompared,
  SetSide,
} from '../../restore/diff/index.js';
import {
  absolutePath,
  byteText,
  hasStrayBytes,
  nodeSystem,
  type System,
} from '../../system/index.js';
import { openAdministered, setOfWord } from '../opening/history.js';
import { PARTLY } from '../output/exit-status.js';
import { print, printJson } from '../output/output.js';
import { counted, formatBytes } from '../output/units.js';
import {
  aspectsText,
  type DifferenceKind,
  jsonDifference,
  jsonNotCompared,
  kindOf,
  sizeOf,
  typeWord,
} from '../shared/report-differences.js';
import { interruptSignal } from '../shared/signals.js';
import { complain } from '../output/command-names.js';

type DiffSettings = Settings<'sonic diff'>;

const LETTERS: Readonly<Record<string, string>> = {
  type: 'T',
  content: 'M',
  target: 'M',
  device: 'M',
};

interface Count {
  entries: number;
  bytesBefore: number;
  bytesAfter: number;
}

export async function diffSets(options: DiffSettings): Promise<number> {
  const { compared, json } = options;
  if (compared.length < 2) throw usageError('give two backup sets to compare');
  const system = nodeSystem();
  const warn = (text: string): void => {
    if (!json) complain('sonic', displayText(text));
  };
  using history = await openAdministered(system, options, warn);
  const nowMs = system.clock.nowMs();
  const before = await setOfWord(history, wordOf(compared[0]!), options.recentSet, nowMs);
  const after = await setOfWord(history, wordOf(compared[1]!), options.recentSet, nowMs);
  for (const { set, state } of [before, after]) {
    if (state !== 'complete') warn(`set ${set} is unfinished`);
  }
  const status = await printDifferences({ system, history, before, after }, options, warn);
  for (const doubt of history.doubts) warn(doubt);
  return status;
}

function wordOf(bytes: Buffer): string {
  const text = byteText(bytes);
  if (!hasStrayBytes(text)) return text;
  throw usageError(`"${displayName(bytes)}" is not a backup set`);
}

/** Two sets of a history. */
interface TwoSets {
  readonly system: System;
  readonly history: History;
  readonly before: BackupSet;
  readonly after: BackupSet;
}

async function printDifferences(
  { system, history, before, after }: TwoSets,
  { compared, metadata, json }: DiffSettings,
  warn: (text: string) => void,
): Promise<number> {
  const side = (set: SetNumber, other: SetNumber): SetSide => new SetSide({ history, set, other });
  const given = compared.slice(2).map(absolutePath);
  const paths = given.length === 0 ? [Buffer.from('/')] : given;
  using contents = new Contents(system, history, false);
  const counts = newCounts();
  const request = {
    system,
    before: side(before.set, after.set),
    after: side(after.set, before.set),
    contents,
    paths: paths.map((path) => ({ before: path, after: path })),
    recurse: true,
    entersOnly: true,
    metadata,
    signal: interruptSignal('sonic diff', 'what was found so far is reported'),
  };
  let notCompared = 0;
  for await (const one of compareTrees(request)) {
    if (isDifference(one)) {
      count(counts, one);
      print(json ? jsonDifference(one) : lineOf(one));
    } else {
      notCompared += 1;
      printNotCompared(one, json, warn);
    }
  }
  if (json) {
    const sets = { from: before.set, to: after.set };
    printJson({ ...sets, ...counts, notCompared });
  } else print(summary(before, after, counts));
  return notCompared > 0 ? PARTLY : 0;
}

function printNotCompared(one: NotCompared, json: boolean, warn: (text: string) => void): void {
  if (json) print(jsonNotCompared(one));
  else warn(`${one.error.message} [${one.error.code}]`);
}

function newCounts(): Record<DifferenceKind, Count> {
  const none = (): Count => ({ entries: 0, bytesBefore: 0, bytesAfter: 0 });
  return { added: none(), removed: none(), changed: none() };
}

function count(counts: Record<DifferenceKind, Count>, difference: Difference): void {
  const kind = counts[kindOf(difference)];
  kind.entries += 1;
  kind.bytesBefore += sizeOf(difference.before);
  kind.bytesAfter += sizeOf(difference.after);
}

function lineOf(difference: Difference): string {
  const { path, before, after, aspects } = difference;
  const name = displayName(path);
  const kind = kindOf(difference);
  if (kind !== 'changed') {
    const seen = (before ?? after)!;
    const what = sizeOf(seen) > 0 ? formatBytes(sizeOf(seen)) : typeWord(seen);
    return `${kind === 'added' ? '+' : '-'}  ${name}  ${what}`;
  }
  const letter = LETTERS[aspects[0]!] ?? 'U';
  const isContent = aspects.includes('content');
  const texts = [
    isContent ? `${formatBytes(sizeOf(before))} → ${formatBytes(sizeOf(after))}` : '',
    aspectsText(difference, (aspect) => aspect !== 'content'),
  ];
  return `${letter}  ${name}  ${texts.filter((text) => text !== '').join(', ')}`;
}

function summary(
  before: BackupSet,
  after: BackupSet,
  { added, removed, changed }: Record<DifferenceKind, Count>,
): string {
  const { bytesBefore, bytesAfter } = changed;
  const grown =
    bytesBefore === bytesAfter ? '' : ` (${formatBytes(bytesBefore)} → ${formatBytes(bytesAfter)})`;
  return (
    `set ${before.set} → set ${after.set}: ` +
    `${counted(added.entries, 'entry', 'entries')} added (${formatBytes(added.bytesAfter)}), ` +
    `${counted(removed.entries, 'entry', 'entries')} removed (${formatBytes(removed.bytesBefore)}), ` +
    `${counted(changed.entries, 'entry', 'entries')} changed${grown}`
  );
}
