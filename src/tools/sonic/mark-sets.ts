/** Implements `sonic tag`, `lock`, `priority`, `rename` and `expendable`, which mark backup sets. */
import type { Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import {
  areSameMarks,
  displayLine,
  marksAfter,
  type SetChange,
  setNameFault,
  type SetNumber,
} from '../../model/index.js';
import { openAdmin } from '../opening/admin.js';
import { unlockClient, unlockIfGiven } from '../opening/keys.js';
import { print, printJson } from '../output/output.js';
import { chosenSets } from './set-choice.js';
import { requireTags } from '../shared/option-words.js';
import { counted } from '../output/units.js';
import { storeSystem } from '../opening/local-store.js';

type Common = Omit<Settings<'sonic lock'>, 'unlock'>;
export function tag(options: Settings<'sonic tag'>): Promise<void> {
  const { addTags, removeTags } = options;
  if (addTags.length + removeTags.length === 0) {
    throw usageError('give the tags: --add <word> or --remove <word>');
  }
  requireTags(addTags);
  return mark(options, { addTags, removeTags }, { done: 'tagged' });
}

export function lock(options: Settings<'sonic lock'>): Promise<void> {
  const isLocked = !options.unlock;
  return mark(options, { isLocked }, { done: isLocked ? 'locked' : 'unlocked' });
}

export function prioritise(options: Settings<'sonic priority'>): Promise<void> {
  const { toPriority: priority } = options;
  if (priority === undefined) throw usageError('give the priority: --to <n>');
  return mark(options, { priority }, { done: `given priority ${priority}` });
}

export function rename(options: Settings<'sonic rename'>): Promise<void> {
  const { toName: title, recentSet } = options;
  if (title === undefined) throw usageError('give the name: --to <name>');
  const fault = title === recentSet ? 'stands for the newest set' : setNameFault(title);
  if (title !== '' && fault !== undefined) {
    throw usageError(`--to: "${displayLine(title.slice(0, 80))}" ${fault}`);
  }
  return mark(options, { title }, { done: 'renamed', mostSets: 1 });
}

export function expend(options: Settings<'sonic expendable'>): Promise<void> {
  const isExpendable = !options.notExpendable;
  const done = isExpendable ? 'marked as expendable' : 'marked as not expendable';
  return mark(options, { isExpendable }, { done });
}

async function mark(
  options: Common,
  change: SetChange,
  { done, mostSets = Infinity }: { readonly done: string; readonly mostSets?: number },
): Promise<void> {
  const { client, setsToMark, rehearse, json } = options;
  if (setsToMark.length === 0) {
    throw usageError('give the backup sets, by number, name or range');
  }
  // Only texts are sealed.
  const hasTexts = change.title !== undefined || change.addTags !== undefined;
  const unlock = hasTexts ? unlockClient : unlockIfGiven;
  using there = await openAdmin(storeSystem(options.umask), options, unlock);
  const sets = chosenSets(client, await there.sets(), setsToMark, options.recentSet);
  if (sets.length > mostSets) throw usageError('give one backup set at a time');
  const numbers = sets.map(({ set }) => set);
  const isChanged = (one: (typeof sets)[number]): boolean =>
    !areSameMarks(one.marks, marksAfter(client, one, change));
  const changed = sets.filter(isChanged).map(({ set }) => set);
  if (!rehearse) await there.mark(numbers, change);
  const unchanged = numbers.filter((set) => !changed.includes(set));
  if (json) {
    const reported = rehearse ? { wouldChange: changed } : { changed };
    printJson({ client, ...reported, unchanged, ...change });
  } else {
    printMarked(client, changed, `${rehearse ? 'would be ' : ''}${done}`);
    printMarked(client, unchanged, 'unchanged');
  }
}

function printMarked(client: string, sets: readonly SetNumber[], done: string): void {
  if (sets.length === 0) return;
  print(`${counted(sets.length, 'backup set')} of "${client}" ${done}: ${sets.join(', ')}`);
}
