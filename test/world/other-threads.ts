/**
 * The work that the addon does in other threads for this one: it is counted, so that time does not pass meanwhile. Keys that were
 * stretched from a password are kept, since the same few passwords are stretched in each life.
 */
import { loadNative } from '../../src/system/native.js';

type Call = (...args: unknown[]) => unknown;

let running = 0;
let isWatched = false;
const stretched = new Map<string, Promise<Buffer>>();

/** Number of calls of the addon that other threads have not ended. */
export function callsRunning(): number {
  return running;
}

/** Counts the calls of the addon from now on. */
export function watchOtherThreads(): void {
  if (isWatched) return;
  isWatched = true;
  const native = loadNative() as unknown as Record<string, Call>;
  for (const [name, call] of Object.entries(native)) {
    if (typeof call === 'function') native[name] = counted(call);
  }
  const stretch = native['scrypt']!;
  native['scrypt'] = (...args) => {
    const key = args
      .map((one) => (one instanceof Uint8Array ? Buffer.from(one).toString('hex') : String(one)))
      .join();
    const known = stretched.get(key) ?? (stretch(...args) as Promise<Buffer>);
    stretched.set(key, known);
    return known.then((bytes) => Buffer.from(bytes));
  };
}

function counted(call: Call): Call {
  return (...args) => {
    const result = call(...args);
    if (!(result instanceof Promise)) return result;
    running += 1;
    return result.finally(() => {
      running -= 1;
    });
  };
}
