/** The local times that come twice, when a clock is set back at the end of summer time. */
import { HOUR_MS } from './units.js';

/** Returns the later moment with the same local time; the moment itself if there is none. */
export function repeatedLater(ms: number): number {
  return isSameHour(ms, ms + HOUR_MS) ? ms + HOUR_MS : ms;
}

/** Returns the offset from UTC (`+01:00`) if the local time comes twice, so that it names the moment; otherwise ''. */
export function offsetIfRepeated(ms: number): string {
  if (!isSameHour(ms, ms + HOUR_MS) && !isSameHour(ms, ms - HOUR_MS)) return '';
  const minutes = -new Date(ms).getTimezoneOffset();
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const [sign, distance] = [minutes < 0 ? '-' : '+', Math.abs(minutes)];
  return `${sign}${two(distance / 60)}:${two(distance % 60)}`;
}

function isSameHour(oneMs: number, otherMs: number): boolean {
  return new Date(oneMs).getHours() === new Date(otherMs).getHours();
}
