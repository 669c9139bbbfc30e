/** Commands whose output is backed up as a file, in the form in which options and files give them. */
import { configInvalid, mustBe } from './invalid.js';
import { splitWords } from './command-words.js';

/** A command whose standard output becomes a file of the set. */
export interface SourceCommand {
  /** Name of the file. */
  readonly name: string;
  readonly command: readonly string[];
  /** User that runs the command; undefined for the user of this process. */
  readonly user: string | undefined;
  /** Time after which the command counts as failed; undefined for the usual one. */
  readonly timeoutSeconds: number | undefined;
}

/** Maximum length of a name on the file systems of Linux. */
const MAX_NAME_BYTES = 255;
const MAX_TIMEOUT_SECONDS = 7 * 86_400;

/**
 * Parses `NAME = [user=USER] [timeout=SECONDS] COMMAND`. `where` names the text in errors. Throws CONFIG_INVALID.
 */
export function sourceCommand(text: string, where: string): SourceCommand {
  const sign = text.indexOf('=');
  const name = text.slice(0, Math.max(0, sign)).trim();
  if (sign < 0) throw configInvalid(`${where} must be NAME = COMMAND`);
  checkFileName(name, where);
  const words = splitWords(text.slice(sign + 1), where);
  const options = new Map<string, string>();
  for (;;) {
    const [, option, value] = /^(user|timeout)=(.*)$/s.exec(words[0] ?? '') ?? [];
    if (option === undefined) break;
    if (options.has(option)) throw configInvalid(`${where} has ${option}= twice`);
    options.set(option, value!);
    words.shift();
  }
  if (words.length === 0) throw configInvalid(`${where} has no command`);
  const user = options.get('user');
  if (user === '') throw configInvalid(`${where}: user= is empty`);
  return { name, command: words, user, timeoutSeconds: seconds(options.get('timeout'), where) };
}

/** Throws CONFIG_INVALID unless a text can be the name of a file. */
export function checkFileName(name: string, where: string): void {
  const isName = !/^\.{0,2}$|[/\0]/.test(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES;
  if (!isName) throw mustBe(where, name, 'a file name');
}

function seconds(text: string | undefined, where: string): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,9}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (value > 0 && value <= MAX_TIMEOUT_SECONDS) return value;
  throw configInvalid(`${where}: timeout= must be seconds, up to ${MAX_TIMEOUT_SECONDS}`);
}
