/** Date of a set that is not the present: the history of another program is stored again, one backup after the other. */
import { parseDate, type Settings } from '../../config/index.js';
import { TardisError } from '../../errors/index.js';
import type { Clock } from '../../system/index.js';

/** Returns the date of `--dated` in milliseconds; undefined without it. Throws USAGE for a date that is not past. */
export async function datedMs({
  dated,
}: Pick<Settings<'tardis'>, 'dated'>): Promise<number | undefined> {
  if (dated === undefined) return undefined;
  const nowMs = Date.now();
  const atMs = await parseDate(dated, nowMs, 'start');
  if (atMs <= nowMs) return atMs;
  throw new TardisError('USAGE', `--dated: "${dated}" is not past`);
}

/** Returns a clock that is behind another one by the time since a date. */
export function clockAt(clock: Clock, atMs: number): Clock {
  const behindMs = clock.nowMs() - atMs;
  return { nowMs: () => clock.nowMs() - behindMs, monotonicMs: () => clock.monotonicMs() };
}
