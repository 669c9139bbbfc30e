/** First words of command lines that are no command of `tardis`: those of other programs and of `sonic`, and mistyped ones. */
import { nearest, type Settings, TOOLS } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import { displayText } from '../../model/index.js';
import { byteText, isThere, processArguments } from '../../system/index.js';
import { PROGRAM_OF } from '../output/command-names.js';

/** Equivalent commands, by the first word of the other program's command. */
const EQUIVALENT_LINES: Readonly<Record<string, string>> = {
  backup: 'tardis backup [options] DIRECTORY…',
  create: 'tardis --create [options] DIRECTORY…, or sonic create',
  init: 'tardis --create [options] DIRECTORY…, or sonic create',
  restore: 'tardis restore [options] PATH…',
  extract: 'tardis restore [options] PATH…',
  list: 'tardis list [options] [PATH…]',
  ls: 'tardis list [options] [PATH…]',
  snapshots: 'tardis list [options]',
  find: 'tardis find PATTERN [options]',
  mount: 'tardis mount [options] DIRECTORY',
  web: 'tardis web [options]',
  copy: 'tardis copy [options] --to PLACE',
  import: 'tardis import [options] SOURCE',
  export: 'tardis export [options] --to DIR',
  clients: 'tardis clients [options]',
  purge: 'tardis purge [options]',
  diff: 'tardis diff [options] PATH…, or sonic diff SET SET',
  check: 'tardis check [options]',
  prune: 'tardis purge [options]',
  forget: 'sonic delete SET…, or sonic purge',
  compact: 'tardis purge [options]',
  dump: 'tardis restore [options] --stdout PATH',
  serve: 'tardisd',
  status: 'tardis status',
  setup: 'tardis setup',
  version: 'tardis --version',
};

/** Commands of `sonic`, by their names. A word above or a command of `tardis` counts more. */
const OF_SONIC = new Map<string, string>(
  TOOLS.filter((tool) => tool.startsWith('sonic ')).map((tool) => [tool.slice(6), tool]),
);
const KNOWN: ReadonlySet<string> = new Set([
  ...Object.keys(PROGRAM_OF),
  ...Object.keys(EQUIVALENT_LINES),
  ...OF_SONIC.keys(),
]);

/**
 * Throws USAGE if no file has the name of the first argument, and it is a command of another program; or, as the first word of
 * the command line, a command of `sonic` or similar to a command.
 */
export function refuseVerb({ directories, sources }: Settings<'tardis'>): void {
  const [first] = directories;
  if (first === undefined || sources.get('directories')?.source !== 'command line') return;
  const word = byteText(first);
  if (isThere(word)) return;
  const isFirstWord = processArguments()[0] === word;
  const meant = Object.hasOwn(EQUIVALENT_LINES, word) || !isFirstWord ? word : meantBy(word);
  const line = meant === undefined ? undefined : lineOf(meant, isFirstWord);
  if (line === undefined) return;
  const why = `there is no file "${displayText(word)}" to back up; if you meant a command, use`;
  throw usageError(`${why}: ${line}`);
}

/** Throws USAGE if the help of a command is requested that is none. A path has the help of a backup. */
export function refuseHelpOf(word: string): void {
  if (word === '' || /^[-.]|\//.test(word) || isThere(word)) return;
  const meant = meantBy(word);
  const hint = meant === undefined ? '`tardis --help` lists them' : `use: ${lineOf(meant, true)}`;
  throw usageError(`there is no command "${displayText(word)}"; ${hint}`);
}

/** Returns the word, or the known one that is most similar. */
function meantBy(word: string): string | undefined {
  return KNOWN.has(word) ? word : nearest(word, KNOWN);
}

/** Returns the command line to use for a known word; one of `sonic` only if the word stands where a command does. */
function lineOf(word: string, isCommand: boolean): string | undefined {
  if (Object.hasOwn(EQUIVALENT_LINES, word)) return EQUIVALENT_LINES[word];
  return isCommand ? OF_SONIC.get(word) : undefined;
}
