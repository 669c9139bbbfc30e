/** The question before something goes for good. */
import type { BackupSet } from '../archive/index.js';
import { TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { askYes } from './terminal.js';
import { counted, formatTime } from './units.js';

/** A set in one line. */
export function setText({ set, name, openedAtMs }: BackupSet): string {
  return `${set} ${displayName(Buffer.from(name))} (${formatTime(openedAtMs)})`;
}

/** `would`: what a yes would do, as the error tells it. Throws CONFIRMATION_NEEDED. */
export function requireYes(question: string, would: string): void {
  const answer = askYes(question);
  if (answer === true) return;
  const why = answer === undefined ? 'there is no terminal to ask on' : 'that was not wanted';
  throw new TardisError('CONFIRMATION_NEEDED', `${would}, and ${why}; nothing was done`);
}

/** Throws CONFIRMATION_NEEDED. */
export function requireYesToDelete(client: string, sets: readonly BackupSet[]): void {
  const list = sets.map((set) => `  ${setText(set)}`).join('\n');
  requireYes(
    `These backup sets of "${client}", and what only they hold, will be gone for good:\n${list}\nDelete them?`,
    `${counted(sets.length, 'backup set')} would be deleted`,
  );
}
