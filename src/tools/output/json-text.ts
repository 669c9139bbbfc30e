/** Writes JSON that is safe to print on a terminal. */

/** Characters that JSON leaves unescaped but a terminal interprets: C1 controls, line separators, direction marks. */
const OBEYED = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Returns a value as JSON in which these characters are written as `\uNNNN`. That has the same meaning in JSON. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    OBEYED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
