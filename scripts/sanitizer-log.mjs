// Reads what the sanitizers of `test-native.mjs` write.

/** The names by which stacks show code of the addon. */
const ADDON = /tardis::|tardis_native/;

/**
 * Returns the faults in a log, and the leaks of memory that the addon took. Leaks of Node.js and its libraries are left
 * out: it frees some of its memory only by ending.
 */
export function faultsIn(text) {
  const blocks = text.split(/\n\s*\n/).map((block) => block.trim());
  const isLeak = (block) => /^(?:Direct|Indirect) leak of /m.test(block);
  const isFault = (block) => /ERROR: AddressSanitizer|runtime error: /.test(block);
  return blocks.filter((block) => isFault(block) || (isLeak(block) && ADDON.test(block)));
}
