/** Loads the native library snappy, which few sessions need, when a thread first uses it. */
import { createRequire } from 'node:module';
import './whole-addons.js';

const require = createRequire(import.meta.url);
let snappy: typeof import('snappy') | undefined;

/** Returns the library. Throws ERR_NATIVE_MISSING if it is missing, damaged, or built for another system. */
export function loadSnappy(): typeof import('snappy') {
  snappy ??= load();
  return snappy;
}

function load(): typeof import('snappy') {
  try {
    return require('snappy') as typeof import('snappy');
  } catch (error) {
    throw Object.assign(new Error(`snappy cannot be loaded (${reasonOf(error)})`), {
      code: 'ERR_NATIVE_MISSING',
    });
  }
}

/** Returns the loader's message, which is the last cause of the package's own error. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message.split('\n')[0]!;
}
