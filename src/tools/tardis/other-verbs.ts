/** First words of command lines that are no command of `tardis`: those of other programs and of `sonic`, and mistyped ones. */
import fs from 'node:fs';
import { nearest, nearestHint, type Settings, TOOLS } from '../../config/index.js';
import { ifPossible, usageError } from '../../errors/index.js';
import { directoryOf, displayText, lastComponent } from '../../model/index.js';
import { absolutePath, byteText, isThere, processArguments } from '../../system/index.js';
import { PROGRAM_OF } from '../output/command-names.js';

/** Equivalent commands, by the first word of the other program's command. */
const EQUIVALENT_LINES: Readonly<Record<string, string>> = {
  backup: 'tardis backup [options] DIRECTORY…',
  create: 'tardis --create [options] DIRECTORY…, or sonic create',
  init: 'tardis --create [options] DIRECTORY…, or sonic create',
  extract: 'tardis restore [options] PATH…',
  ls: 'tardis list [options] [PATH…]',
  snapshots: 'tardis list [options]',
  prune: 'tardis purge [options]',
  forget: 'sonic delete SET…, or sonic purge',
  compact: 'tardis purge [options]',
  dump: 'tardis restore [options] --stdout PATH',
  serve: 'tardisd',
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
 * Throws USAGE if no file has the name of the first argument, and it is a command of `tardis` or of another program; or, as the first word
 * of the command line, a command of `sonic` or similar to a command.
 */
export function refuseVerb({ directories, sources }: Settings<'tardis'>): void {
  const [first] = directories;
  if (first === undefined || sources.get('directories')?.source !== 'command line') return;
  const word = byteText(first);
  const isVerb = [PROGRAM_OF, EQUIVALENT_LINES].some((names) => Object.hasOwn(names, word));
  const isMeant = (isVerb || processArguments()[0] === word) && !isThere(word);
  const line = isMeant ? lineFor(word) : undefined;
  if (line === undefined) return;
  const why = `there is no file "${displayText(word)}" to back up; if you meant a command, use`;
  throw usageError(`${why}: ${line}`);
}

/** Most names of a directory among which the nearest is searched. */
const MOST_NAMES = 10_000;

/**
 * Returns what gives a hint at a source that is not there: the command and the path in the same directory that are most like it.
 * Undefined if the sources are not of the command line: then the others are backed up.
 */
export function sourceHint({
  sources,
}: Settings<'tardis'>): ((source: Buffer) => string) | undefined {
  if (sources.get('directories')?.source !== 'command line') return undefined;
  return (source) => {
    const path = absolutePath(source);
    const beside = ifPossible(() => fs.readdirSync(directoryOf(path)))?.slice(0, MOST_NAMES) ?? [];
    const line = lineFor(byteText(source));
    const near = nearestHint(byteText(lastComponent(path)), beside);
    return line === undefined ? near : `${near} (if you meant a command, use: ${line})`;
  };
}

/** Throws USAGE if the help of a command is requested that is none. A path has the help of a backup. */
export function refuseHelpOf(word: string): void {
  if (word === '' || /^[-.]|\//.test(word) || isThere(word)) return;
  const line = lineFor(word);
  const hint = line === undefined ? '`tardis --help` lists them' : `use: ${line}`;
  throw usageError(`there is no command "${displayText(word)}"; ${hint}`);
}

/** Returns the command line for a word, or for the known one that is most similar; undefined if none is. */
function lineFor(word: string): string | undefined {
  const meant = KNOWN.has(word) ? word : nearest(word, KNOWN);
  if (meant === undefined || Object.hasOwn(EQUIVALENT_LINES, meant)) {
    return meant && EQUIVALENT_LINES[meant];
  }
  return Object.hasOwn(PROGRAM_OF, meant) ? `tardis ${meant} [options]` : OF_SONIC.get(meant);
}
