/** Formats texts from files and arguments for error messages. */
import { displayName } from '../model/index.js';
import { textBytes } from '../system/index.js';

const MAX_SHOWN_CHARS = 80;

/** Returns the beginning of a byte text, with control characters made harmless for a terminal. */
export function shownText(text: string): string {
  return displayName(textBytes(text.slice(0, MAX_SHOWN_CHARS)));
}
