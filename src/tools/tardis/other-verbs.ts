/** First words of the command lines of other backup programs. */
import type { Settings } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import { byteText, isThere } from '../../system/index.js';

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
  clients: 'tardis clients [options]',
  purge: 'tardis purge [options]',
  diff: 'tardis diff [options] PATH…, or sonic diff SET SET',
  check: 'tardis check [options]',
  prune: 'tardis purge [options]',
  forget: 'sonic delete SET…, or sonic purge',
  stats: 'sonic stats',
  status: 'tardis status',
  setup: 'tardis setup',
  rebuild: 'sonic rebuild',
};

/** Throws USAGE if the first argument is a command of another program, and no file of that name exists. */
export function refuseVerb({ directories, sources }: Settings<'tardis'>): void {
  const [first] = directories;
  if (first === undefined || sources.get('directories')?.source !== 'command line') return;
  const word = byteText(first);
  if (!Object.hasOwn(EQUIVALENT_LINES, word) || isThere(word)) return;
  throw new TardisError(
    'USAGE',
    `there is no file "${word}" to back up; if you meant a command, use: ${EQUIVALENT_LINES[word]}`,
  );
}
