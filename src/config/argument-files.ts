/** Expands `@file` on a command line to the words of the file. */
import { failedTo, systemCode } from '../errors/index.js';
import { displayName } from '../model/index.js';
import {
  absolutePath,
  byteText,
  readSmallFile,
  reportIfForeign,
  textBytes,
} from '../system/index.js';
import { configInvalid, requireOwnFile } from './invalid.js';
import { longFlag } from './layers.js';
import { allRows } from './settings.js';
import { MAX_WORDS, splitWords } from './command-words.js';

const MAX_FILE_BYTES = 1 << 20;
const SECONDS = /^@-?\d+(\.\d+)?$/;
/** Maximum nesting of files. */
const MAX_DEPTH = 8;

/**
 * Replaces each `@FILE` by the words of the file, which may name further files. Keeps a lone `@`, all arguments after
 * `--`, and a time `@SECONDS` if there is no such file. Takes and returns byte texts. Throws CONFIG_INVALID if a file
 * is unreadable, too large, not a text, nested too deeply or includes itself, or if there are too many arguments. Throws
 * CONFIG_UNSAFE for a command of root in a file that another user can change, and prints a warning about such a file.
 */
export function expandArguments(words: readonly string[]): string[] {
  return expand(words, []);
}

function expand(words: readonly string[], within: readonly string[]): string[] {
  const out: string[] = [];
  const end = words.indexOf('--');
  words.forEach((word, index) => {
    const isLiteral = end >= 0 && index > end;
    const more =
      isLiteral || word.length < 2 || !word.startsWith('@')
        ? [word]
        : expandFile(textBytes(word.slice(1)), within);
    for (const one of more) out.push(one);
    if (out.length > MAX_WORDS) throw configInvalid(`more than ${MAX_WORDS} arguments`);
  });
  return out;
}

function expandFile(file: Buffer, within: readonly string[]): string[] {
  const shown = `@${displayName(file)}`;
  const place = absolutePath(file).toString('latin1');
  if (within.includes(place)) throw configInvalid(`${shown} includes itself`);
  if (within.length >= MAX_DEPTH)
    throw configInvalid(`${shown} is nested more than ${MAX_DEPTH} files deep`);
  let bytes: Buffer;
  try {
    bytes = readSmallFile(file, MAX_FILE_BYTES);
  } catch (error) {
    // If there is no such file, the word is a time: `@` and seconds since 1970.
    if (systemCode(error) === 'ENOENT' && SECONDS.test(shown)) return [shown];
    const hint = `to name a file that begins with @, write ./${shown}`;
    throw failedTo(`read the arguments in ${shown} (${hint})`, error, 'useNamedFile');
  }
  if (bytes.includes(0)) throw configInvalid(`${shown} is not a text file`);
  const words = splitWords(byteText(bytes), shown, true);
  for (const flag of commandFlags()) {
    if (!words.some((word) => word === flag || word.startsWith(`${flag}=`))) continue;
    requireOwnFile(file, `${flag} in ${shown}`);
  }
  reportIfForeign(file);
  return expand(words, [...within, place]);
}

/** Returns the options whose values are commands. */
function commandFlags(): string[] {
  const rows = allRows().filter(([, { type }]) => type === 'command' || type === 'commands');
  return rows.flatMap(([, { flags }]) => (flags === undefined ? [] : [longFlag(flags)]));
}
