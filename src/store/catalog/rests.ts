/** Finds the contents that other contents need: parts of assemblies, and bases of deltas. */
import type { ContentId } from '../../model/index.js';
import type { IdSet } from './id-set.js';

/** An assembly or a delta, and a content that it needs. */
type ContentNeed = readonly [contentId: ContentId, needed: number];

/** Adds all contents to `contents` that its members need, directly or indirectly. */
export function addRests(needs: Iterable<ContentNeed>, contents: IdSet): void {
  const pairs = [...needs];
  for (let isMore = true; isMore; ) {
    isMore = false;
    for (const [contentId, rest] of pairs) {
      if (!contents.has(contentId) || contents.has(rest)) continue;
      contents.add(rest);
      isMore = true; // a content examined earlier may need this one
    }
  }
}
