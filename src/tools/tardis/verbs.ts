/** Detects commands of other programs, as in `tardis backup DIR`, and names the equivalent commands of this package. */
import type { Found, Settings } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import { byteText, isThere } from '../../system/index.js';

/** Equivalent commands, by the first word of the other program's command. */
const WRITTEN: Readonly<Record<string, string>> = {
  backup: 'tardis [options] DIRECTORY…',
  create: 'tardis --create [options] DIRECTORY…, or sonic create',
  init: 'tardis --create [options] DIRECTORY…, or sonic create',
  restore: 'regenerate [options] PATH…',
  extract: 'regenerate [options] PATH…',
  list: 'lstardis [options] [PATH…]',
  ls: 'lstardis [options] [PATH…]',
  snapshots: 'lstardis [options]',
  find: 'lstardis --find PATTERN',
  diff: 'tardiff [options] PATH…, or sonic diff SET SET',
  check: 'sonic check',
  prune: 'sonic purge',
  forget: 'sonic delete SET…, or sonic purge',
  stats: 'sonic stats',
  rebuild: 'sonic rebuild',
};

/** Throws USAGE if the first argument is a command of another program, and no file of that name exists. */
export function refuseVerb(
  { directories }: Settings<'tardis'>,
  found: ReadonlyMap<string, Found>,
): void {
  const [first] = directories;
  if (first === undefined || found.get('directories')?.source !== 'command line') return;
  const word = byteText(first);
  if (!Object.hasOwn(WRITTEN, word) || isThere(word)) return;
  throw new TardisError(
    'USAGE',
    `there is no file "${word}" to back up; if you meant a command, use: ${WRITTEN[word]}`,
  );
}
