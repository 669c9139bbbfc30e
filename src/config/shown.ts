/** Texts of files and arguments as they are shown in errors. */
import { displayName } from '../model/index.js';
import { textBytes } from '../system/index.js';

const MAX_SHOWN_CHARS = 80;

/** The beginning of a text (byte text), with nothing in it that a terminal obeys. */
export function shownText(text: string): string {
  return displayName(textBytes(text.slice(0, MAX_SHOWN_CHARS)));
}
