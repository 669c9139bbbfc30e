/** Selects the entries for one reply from a page of a directory. */
import { NO_READ } from '../contents/index.js';
import type { ReplyData } from './fuse-connection.js';
import { DOTS } from './packing.js';
import type { PackedEntries, PackedPage, Tree } from './tree.js';

/**
 * Returns whole entries, without copying them. `begin` is the index of the first one. With `tree`, the entries have
 * attributes, and the references that the kernel gets are counted.
 */
export function partOf(
  { packed, starts }: PackedEntries,
  begin: number,
  room: number,
  tree?: Tree,
): ReplyData {
  const last = starts.length - 1;
  if (begin >= last) return NO_READ;
  const from = starts[begin]!;
  const words = tree && new Uint32Array(packed.buffer, packed.byteOffset, packed.length >>> 2);
  let end = begin;
  for (; end < last && starts[end + 1]! - from <= room; end += 1) {
    const word = starts[end]! >>> 2;
    if (words !== undefined && (words[word] !== 0 || words[word + 1] !== 0)) tree!.lookups += 1;
  }
  return { data: packed, from, bytes: starts[end]! - from };
}

/** Returns the offset at which a directory ends, if a reply has its last entry. */
export function endAfter(
  page: PackedPage,
  isPlus: boolean,
  { from, bytes }: ReplyData,
): number | undefined {
  if (page.isLast !== true) return undefined;
  const { packed, starts } = isPlus ? page.plus() : page.plain();
  return from + bytes === packed.length ? page.first + starts.length - 1 + DOTS : undefined;
}
