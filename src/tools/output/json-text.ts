/** Writes JSON that is safe to print on a terminal. */
import { print } from './output.js';

/** Version of all JSON that --json prints. */
const JSON_VERSION = 1;
/** Characters that JSON leaves unescaped but a terminal interprets: C1 controls, line separators, direction marks. */
const OBEYED = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Returns facts as JSON in which these characters are written as `\uNNNN`, which means the same. */
export function jsonText(facts: object): string {
  return JSON.stringify({ version: JSON_VERSION, ...facts }).replaceAll(
    OBEYED,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Prints facts as a line of JSON. */
export function printJson(facts: object): void {
  print(jsonText(facts));
}
