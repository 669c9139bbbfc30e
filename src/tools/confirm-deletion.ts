/** The question before backup sets go for good. */
import type { BackupSet } from '../archive/index.js';
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { askYes } from './terminal.js';
import { counted, formatTime } from './units.js';

/** A set in one line. */
export function setText({ set, name, openedAtMs }: BackupSet): string {
  return `${set} ${displayName(Buffer.from(name))} (${formatTime(openedAtMs)})`;
}

/** `isAgreed`: the answer was given before. Throws CONFIRMATION_NEEDED. */
export function requireYes(client: string, sets: readonly BackupSet[], isAgreed: boolean): void {
  if (isAgreed) return;
  const list = sets.map((set) => `  ${setText(set)}`).join('\n');
  const question = `These backup sets of "${client}", and what only they hold, will be gone for good:\n${list}\nDelete them?`;
  const answer = askYes(question);
  if (answer === true) return;
  const why = answer === undefined ? 'there is no terminal to ask on' : 'that was not wanted';
  const what = `${counted(sets.length, 'backup set')} would be deleted, and ${why}; nothing was done`;
  throw new TardisError('CONFIRMATION_NEEDED', what);
}
