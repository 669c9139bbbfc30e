/** Takes the entries for one reply out of a page of a directory. */
import type { ReplyData } from './kernel.js';
import { ENTRY_BYTES } from './protocol.js';
import type { PackedPage, Tree } from './tree.js';

const NOTHING: ReplyData = { data: new Uint8Array(0), from: 0, bytes: 0 };

/**
 * Returns whole entries with their attributes, without copying them, and counts the references that the kernel gets.
 * `begin` is the index of the first one.
 */
export function plusPart(
  tree: Tree,
  { packed, starts }: PackedPage,
  begin: number,
  room: number,
): ReplyData {
  const last = starts.length - 1;
  if (begin >= last) return NOTHING;
  const from = starts[begin]!;
  let end = begin;
  while (end < last && starts[end + 1]! - from <= room) {
    const at = starts[end]!;
    if (packed.readUInt32LE(at) !== 0 || packed.readUInt32LE(at + 4) !== 0) tree.lookups += 1;
    end += 1;
  }
  return { data: packed, from, bytes: starts[end]! - from };
}

/** Writes entries without attributes to `body` from `at` on; returns their end. */
export function plainPart(
  { packed, starts }: PackedPage,
  begin: number,
  body: Buffer,
  at: number,
  room: number,
): number {
  let end = at;
  for (let index = begin; index < starts.length - 1; index += 1) {
    const start = starts[index]! + ENTRY_BYTES;
    const bytes = starts[index + 1]! - start;
    if (end - at + bytes > room) break;
    packed.copy(body, end, start, start + bytes);
    end += bytes;
  }
  return end;
}
