/** Recognises which program has written a history: from the files of a directory, or from the prefix of a place. */
import path from 'node:path';
import { TardisError } from '../errors/index.js';
import { displayText } from '../model/index.js';
import {
  type Files,
  isThere,
  namesIn,
  nodeSystem,
  readStart,
  sourcePath,
  textBytes,
} from '../system/index.js';

/** The catalog of a client of Tardis (Python). */
const CATALOG = 'tardis.db';
const PREFIXED = /^(restic|borg):(.+)$/s;
const OF_RESTIC = ['config', 'data', 'index', 'keys', 'snapshots'];
const MAX_CONFIG_BYTES = 64 << 10;
const OF_BORG = /^\[repository\]/;
/** Clients that a message names. */
const MOST_SHOWN = 3;

/** A client of Tardis (Python), or a repository. */
export interface NamedSource {
  readonly kind: 'tardis' | 'restic' | 'borg';
  readonly place: string;
}

/**
 * Returns the kind of a source, and its absolute place. `restic:` or `borg:` names the program of a place that is not on this
 * machine. The owner of a directory may be hostile, so no link in it is followed. Throws IMPORT_SOURCE_UNKNOWN for a directory of
 * none of these programs, SOURCE_UNSAFE, and the errors of reading it.
 */
export function namedSource(given: string): NamedSource {
  const [, named, there] = PREFIXED.exec(given) ?? [];
  if (named !== undefined && there !== undefined) {
    const full = path.resolve(there);
    return { kind: named as 'restic' | 'borg', place: isThere(full) ? full : there };
  }
  const place = path.resolve(given);
  const { files } = nodeSystem();
  const directory = isThere(place) ? sourcePath(textBytes(place)) : place;
  const kind = kindOf(files, directory);
  if (kind !== undefined) return { kind, place };
  const clients = namesIn(files, directory).filter((name) =>
    isFile(files, path.join(directory, name, CATALOG)),
  );
  const shown = clients.slice(0, MOST_SHOWN).map(displayText).join(', ');
  const more = clients.length > MOST_SHOWN ? ', …' : '';
  const why =
    shown === ''
      ? 'is no client of Tardis (Python) and no repository of restic or Borg'
      : `has clients of Tardis (Python), of which one must be named: ${shown}${more}`;
  throw new TardisError('IMPORT_SOURCE_UNKNOWN', `"${displayText(place)}" ${why}`);
}

function kindOf(files: Files, directory: string): NamedSource['kind'] | undefined {
  const has = (name: string): boolean => files.status(path.join(directory, name)) !== undefined;
  const config = path.join(directory, 'config');
  if (has(CATALOG)) return 'tardis';
  if (OF_RESTIC.every(has)) return 'restic';
  if (!has('data') || !isFile(files, config)) return undefined;
  const text = readStart(files, config, MAX_CONFIG_BYTES)?.toString('latin1') ?? '';
  return OF_BORG.test(text) ? 'borg' : undefined;
}

function isFile(files: Files, file: string): boolean {
  return files.status(file)?.isFile === true;
}
