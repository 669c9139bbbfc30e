/** Recognises which program has written a history: from the files of a directory, or from the prefix of a place. */
import fs from 'node:fs';
import path from 'node:path';
import { failedTo, TardisError } from '../errors/index.js';
import { displayText } from '../model/index.js';
import { isThere } from '../system/index.js';
import type { RepositoryKind } from './repositories.js';

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
  readonly kind: 'tardis' | RepositoryKind;
  readonly place: string;
}

/**
 * Returns the kind of a source, and its absolute place. `restic:` or `borg:` names the program of a place that is not on this
 * machine. Throws IMPORT_SOURCE_UNKNOWN for a directory of none of these programs.
 */
export function namedSource(given: string): NamedSource {
  const [, kind, named] = PREFIXED.exec(given) ?? [];
  if (kind !== undefined && named !== undefined) {
    const full = path.resolve(named);
    return { kind: kind as RepositoryKind, place: isThere(full) ? full : named };
  }
  const place = path.resolve(given);
  const has = (name: string): boolean => isThere(path.join(place, name));
  if (has(CATALOG)) return { kind: 'tardis', place };
  if (OF_RESTIC.every(has)) return { kind: 'restic', place: place };
  if (has('data') && isOfBorg(path.join(place, 'config'))) {
    return { kind: 'borg', place: place };
  }
  const clients = namesIn(place).filter((name) => has(path.join(name, CATALOG)));
  const shown = clients.slice(0, MOST_SHOWN).map(displayText);
  const why =
    shown.length > 0
      ? `has clients of Tardis (Python), of which one must be named: ${shown.join(', ')}${clients.length > MOST_SHOWN ? ', …' : ''}`
      : 'is no client of Tardis (Python) and no repository of restic or Borg';
  throw new TardisError('IMPORT_SOURCE_UNKNOWN', `"${displayText(place)}" ${why}`);
}

/** True for the configuration of a repository of Borg. */
function isOfBorg(file: string): boolean {
  const status = fs.statSync(file, { throwIfNoEntry: false });
  if (status?.isFile() !== true || status.size > MAX_CONFIG_BYTES) return false;
  return duringRead(file, () => OF_BORG.test(fs.readFileSync(file, 'latin1')));
}

/** Returns the names in a directory; none if it is no directory. */
function namesIn(place: string): string[] {
  if (fs.statSync(place, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return duringRead(place, () => fs.readdirSync(place));
}

function duringRead<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw failedTo(`read ${displayText(file)}`, error, 'openSource');
  }
}
