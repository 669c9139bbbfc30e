/**
 * Changes the words of a command line before they are parsed. An option with an optional value then takes the next word
 * only if that word can be its value.
 */
import { Command, type Option } from 'commander';
import { usageError } from '../../errors/index.js';
import { displayLine, tagFault } from '../../model/index.js';

const MAX_SHOWN_CHARS = 80;

/** Kinds of optional values: a number, or a value attached to the option. */
type Taking = 'number' | 'attached';

const takings = new WeakMap<Option, Taking>();

/** Lets the option take the next word only if the word is a number. */
export function takeNumbers(option: Option): void {
  takings.set(option, 'number');
}

/** Lets the option take only an attached value: `--password=VALUE`. */
export function takeAttached(option: Option): void {
  takings.set(option, 'attached');
}

/** A command of commander that parses its words after `withPresets` has changed them. */
export class ToolCommand extends Command {
  override parseOptions(words: string[]): ReturnType<Command['parseOptions']> {
    return super.parseOptions(withPresets(this.options, words));
  }
}

/**
 * Returns the words, in which options without a value have their preset value. An option whose optional value is a
 * number or a word of a list takes the next word only if the word is such a value. An option for a secret never takes
 * the next word. Throws USAGE for a secret that is attached to a short option.
 */
function withPresets(options: readonly Option[], words: readonly string[]): string[] {
  const out: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]!;
    if (word === '--') return [...out, ...words.slice(at)];
    const { before, option, attached } = lastOption(options, word);
    const next = words[at + 1];
    if (option?.required === true && attached === '' && next !== undefined) {
      out.push(word, next);
      at += 1;
    } else if (option?.presetArg !== undefined && !isTaken(option, attached, next)) {
      if (before !== '') out.push(before);
      out.push(`${option.long}=${option.presetArg as string}`);
    } else out.push(word);
  }
  return out;
}

interface LastOption {
  /** Short options without values before the option in the same word: `-l` of `-lP`. */
  readonly before: string;
  readonly option?: Option;
  /** Text that follows a short option in its word. */
  readonly attached: string;
}

/**
 * Returns the option that a word consists of (`-P`, `--password`), or the first option with a value among joined
 * letters (the `P` of `-lP`). Returns no option for other words, such as `--password=x`.
 */
function lastOption(options: readonly Option[], word: string): LastOption {
  const whole = options.find(({ short, long }) => word === short || word === long);
  if (whole !== undefined) return { before: '', option: whole, attached: '' };
  const letters = /^-[^-]./.test(word) ? word.length : 0;
  for (let at = 1; at < letters; at += 1) {
    const option = options.find(({ short }) => short === `-${word[at]}`);
    if (option === undefined) break;
    const before = at === 1 ? '' : word.slice(0, at);
    if (option.required || option.optional) return { before, option, attached: word.slice(at + 1) };
  }
  return { before: '', attached: '' };
}

/**
 * True if the option has a value: attached to it, or the next word if that can be its value. Throws USAGE for a secret
 * that is attached to a short option.
 */
function isTaken(option: Option, attached: string, next: string | undefined): boolean {
  const taking = takings.get(option);
  if (taking === 'attached' && attached !== '') {
    throw usageError(
      `${option.short} takes no value and prompts for it on the terminal; to give a value, use ${option.long}=…`,
    );
  }
  if (attached !== '') return true;
  if (taking === 'attached') return false;
  if (taking === 'number') return /^\d+$/.test(next ?? '');
  return option.argChoices?.includes(next ?? '') ?? true;
}

/** Throws USAGE for an invalid tag. */
export function requireTags(tags: readonly string[]): void {
  for (const word of tags) {
    const fault = tagFault(word);
    if (fault === undefined) continue;
    throw usageError(
      `"${displayLine(word.slice(0, MAX_SHOWN_CHARS))}" is not a valid tag: it ${fault}`,
    );
  }
}
