/** Finds one of a client's sets by number, name or time. */
import type { BackupSet } from '../../store/catalog/index.js';
import { TardisError, usageError } from '../../errors/index.js';
import { displayLine } from '../../model/index.js';

/**
 * Returns a set by number, name or tag; if `text` is undefined, the newest complete set. Throws NO_SUCH_SET if there is
 * none, and USAGE if several sets have the name, or if none has it and several have the tag.
 */
export function setNamed(
  client: string,
  sets: readonly BackupSet[],
  text: string | undefined,
): BackupSet {
  let found: BackupSet | undefined;
  if (text === undefined) found = sets.findLast((set) => set.state === 'complete');
  else if (/^\d+$/.test(text)) found = sets.find((set) => set.set === Number(text));
  else {
    found =
      onlyOne(sets.filter((set) => set.name === text)) ??
      onlyOne(sets.filter(({ marks }) => marks.tags.includes(text)));
  }
  if (found !== undefined) return found;
  const what =
    text === undefined ? 'no complete backup set' : `no backup set "${displayLine(text)}"`;
  throw new TardisError('NO_SUCH_SET', `the client "${client}" has ${what}`);
}

function onlyOne(named: readonly BackupSet[]): BackupSet | undefined {
  if (named.length <= 1) return named[0];
  const numbers = named.map(({ set }) => set).join(', ');
  throw usageError(`several backup sets have this name or tag: give one of ${numbers}`);
}

/**
 * Returns the time at which a set began, as it is shown everywhere, and by which dates select the set: by the server's clock, or by the
 * client's if the set is sealed, since the seal covers only that.
 */
export function begunMs({ isSealed, clientTimeMs, openedAtMs }: BackupSet): number {
  return isSealed ? clientTimeMs : openedAtMs;
}

/**
 * Returns how long a set took, as it is shown everywhere: what its client has measured, otherwise by the clock of the server.
 * Undefined if the set has not ended, or if that clock was set back.
 */
export function tookMs(
  set: Pick<BackupSet, 'stats' | 'openedAtMs' | 'closedAtMs'>,
): number | undefined {
  if (set.closedAtMs === undefined) return undefined;
  const ms = set.stats['tookMs'] ?? set.closedAtMs - set.openedAtMs;
  return ms < 0 ? undefined : ms;
}

/** Returns the newest complete set that began at a time or before it. Throws NO_SUCH_SET if there is none. */
export function setAt(client: string, sets: readonly BackupSet[], momentMs: number): BackupSet {
  const found = sets.findLast((set) => set.state === 'complete' && begunMs(set) <= momentMs);
  if (found !== undefined) return found;
  throw new TardisError(
    'NO_SUCH_SET',
    `the client "${client}" has no complete backup set that old`,
  );
}
