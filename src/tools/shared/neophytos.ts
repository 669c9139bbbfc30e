/**
 * Suggests the command line of tardis that corresponds to one with options of Neophytos, an older backup program.
 */
import { NEOPHYTOS, NEOPHYTOS_ONLY } from '../../config/index.js';
import { shellWord } from '../output/shell-word.js';

/** The filter of a backup. A restore leaves out by --include and --exclude, which take patterns of another kind. */
const FILTER = '--filter-file';

/** Returns the Neophytos options in the words, with their values. */
function readOptions(words: readonly string[]): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (let at = 0; at < words.length; at += 1) {
    const [option = '', ...rest] = words[at]!.split('=');
    const row = NEOPHYTOS.find((one) => one.option === option);
    if (row === undefined) continue;
    const isBehind = row.value !== undefined && rest.length === 0;
    given.set(option, isBehind ? (words[at + 1] ?? '') : rest.join('='));
    if (isBehind) at += 1;
  }
  return given;
}

/**
 * Returns a message with the equivalent command line, if the words contain an option that only Neophytos has;
 * otherwise undefined. `name` is the command that was run.
 */
export function inOurWords(name: string, words: readonly string[]): string | undefined {
  const isTheirs = (word: string): boolean =>
    NEOPHYTOS_ONLY.some(({ option }) => word === option || word.startsWith(`${option}=`));
  if ((name !== 'tardis' && name !== 'regenerate') || !words.some(isTheirs)) return undefined;
  const given = readOptions(words);
  const isPull = given.has('--pull') || (name === 'regenerate' && !given.has('--push'));
  const host = given.get('--host');
  const secret = given.has('--password') || given.has('--authcode');
  const common = [
    ...(host === undefined ? [] : ['--server', host]),
    ...(given.has('--port') ? ['--port', given.get('--port')!] : []),
    ...(secret ? ['--password-file', 'FILE'] : []),
    ...(given.has('--no-ssl') ? ['--nossl', '--insecure-network'] : []),
  ];
  const line = isPull
    ? ['regenerate', ...common, ...pull(given)]
    : ['tardis', ...common, ...push(given)];
  const lacking = NEOPHYTOS.filter(
    ({ option, ours }) =>
      (ours === undefined || (isPull && option === FILTER)) && given.has(option),
  );
  const dropped = lacking.map(({ option }) => option).join(', ');
  const patterns = isPull && given.has(FILTER) ? ' (give --include or --exclude)' : '';
  const rest = dropped === '' ? '' : `; there is no replacement for ${dropped}${patterns}`;
  return `these are options of Neophytos; use: ${line.map(shellWord).join(' ')}${rest} (docs/coming-from/neophytos.md)`;
}

function push(given: ReadonlyMap<string, string>): string[] {
  const [local, remote] = [given.get('--lpath'), given.get('--rpath')];
  const filter = given.get(FILTER);
  return [
    ...(filter === undefined ? [] : ['--filter-file', filter]),
    ...(given.has('--debug') ? ['--verbose'] : []),
    ...(remote === undefined ? [] : ['--kept-as', fromRoot(remote)]),
    local ?? 'DIRECTORY',
  ];
}

function pull(given: ReadonlyMap<string, string>): string[] {
  const [local, remote] = [given.get('--lpath'), given.get('--rpath')];
  const output = ['--output', local ?? 'DIRECTORY'];
  return remote === undefined ? ['--all', ...output] : ['--last', ...output, fromRoot(remote)];
}

/** Returns an absolute path; targets of Neophytos had no leading slash. */
function fromRoot(target: string): string {
  return `/${target.replace(/^\/+/, '')}`;
}
