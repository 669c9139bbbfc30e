/** Selects the entries for one reply from a page of a directory. */
import { NO_DATA, type ReplyData } from './kernel.js';
import { DOTS } from './packing.js';
import type { PackedEntries, PackedPage, Tree } from './tree.js';

/**
 * Returns whole entries with their attributes, without copying them, and counts the references that the kernel gets.
 * `begin` is the index of the first one.
 */
export function plusPart(
  tree: Tree,
  { packed, starts }: PackedEntries,
  begin: number,
  room: number,
): ReplyData {
  const last = starts.length - 1;
  if (begin >= last) return NO_DATA;
  const from = starts[begin]!;
  const words = new Uint32Array(packed.buffer, packed.byteOffset, packed.length >>> 2);
  let end = begin;
  while (end < last && starts[end + 1]! - from <= room) {
    const word = starts[end]! >>> 2;
    if (words[word] !== 0 || words[word + 1] !== 0) tree.lookups += 1;
    end += 1;
  }
  return { data: packed, from, bytes: starts[end]! - from };
}

/** Returns whole entries without attributes, without copying them. */
export function plainPart(
  { packed, starts }: PackedEntries,
  begin: number,
  room: number,
): ReplyData {
  const last = starts.length - 1;
  if (begin >= last) return NO_DATA;
  const from = starts[begin]!;
  let end = begin;
  while (end < last && starts[end + 1]! - from <= room) end += 1;
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
