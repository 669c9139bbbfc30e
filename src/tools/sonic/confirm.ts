/** Prompts for confirmation before data is deleted permanently. */
import { TardisError } from '../../errors/index.js';
import { askYes } from '../output/terminal.js';
import { counted } from '../output/units.js';

/**
 * Prints a question on the terminal and reads the answer. `would` describes the action in the error message. Throws
 * CONFIRMATION_NEEDED unless the answer is yes.
 */
export function requireYes(question: string, would: string): void {
  const answer = askYes(question);
  if (answer === true) return;
  const why = answer === undefined ? 'there is no terminal for a prompt' : 'this was not confirmed';
  throw new TardisError('CONFIRMATION_NEEDED', `${would}, but ${why}; nothing was done`);
}

/** Prompts before sets, each of which is a text, are deleted. Throws CONFIRMATION_NEEDED without a yes. */
export function requireYesToDelete(client: string, sets: readonly string[]): void {
  const list = sets.map((set) => `  ${set}`).join('\n');
  requireYes(
    `These backup sets of "${client}", and all data that only they use, will be deleted permanently:\n${list}\nDelete them?`,
    `${counted(sets.length, 'backup set')} would be deleted`,
  );
}
