/** Detects directories that contain themselves, which a damaged or hostile catalog may have. */
import { TardisError } from '../errors/index.js';
import type { HistoryEntry } from './history.js';

/** A directory that a walk has entered, linked to the directories above it. */
export interface OnWay {
  readonly entry: Pick<HistoryEntry, 'childId'> | undefined;
  readonly above: OnWay | undefined;
}

/** Returns an error if an entry leads back to a directory on the path to it; otherwise undefined. */
export function circleAt(
  { childId }: Pick<HistoryEntry, 'childId'>,
  directory: OnWay | undefined,
): TardisError | undefined {
  if (childId === undefined) return undefined;
  for (let at = directory; at !== undefined; at = at.above) {
    if (at.entry?.childId !== childId) continue;
    return new TardisError('CATALOG_DAMAGED', 'the catalog has a directory that lies in itself');
  }
  return undefined;
}
