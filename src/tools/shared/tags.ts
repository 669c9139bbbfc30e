/** Checks tags of backup sets in the form in which users write them. */
import { TardisError } from '../../errors/index.js';
import { displayName, tagFault } from '../../model/index.js';

const MAX_SHOWN_CHARS = 80;

/** Throws USAGE for an invalid tag. */
export function requireTags(tags: readonly string[]): void {
  for (const word of tags) {
    const fault = tagFault(word);
    if (fault === undefined) continue;
    throw new TardisError(
      'USAGE',
      `"${displayName(Buffer.from(word.slice(0, MAX_SHOWN_CHARS)))}" is not a valid tag: it ${fault}`,
    );
  }
}
