/** Deltas and the contents they are based on. */
import type { ContentId } from '../../../model/index.js';
import type { SqlDatabase } from '../../../system/index.js';

/** Maximum length of a chain of deltas (see locate.ts). */
const MAX_DEPTH = 64;

export class BasisTable {
  private readonly statements;

  constructor(database: SqlDatabase) {
    this.statements = {
      set: database.prepare('UPDATE contents SET basis_id = ? WHERE content_id = ?'),
      bases: database.query(
        `SELECT basis_id FROM contents WHERE content_id = ? AND basis_id IS NOT NULL
         UNION SELECT part.basis_id FROM content_parts
           JOIN contents part ON part.content_id = part_id
           WHERE content_parts.content_id = ? AND part.basis_id IS NOT NULL`,
        'content',
      ),
      parts: database.query('SELECT part_id FROM content_parts WHERE content_id = ?', 'content'),
      dependants: database.query(
        `SELECT content_id FROM contents WHERE basis_id = ?
         UNION SELECT content_id FROM content_parts WHERE part_id = ?`,
        'content',
      ),
      breakDependants: database.prepare(
        `UPDATE contents SET is_damaged = 1 WHERE NOT is_damaged AND basis_id IN (
           SELECT content_id FROM contents WHERE record_id IS NULL OR is_damaged)`,
      ),
    };
  }

  /** Records that a content is stored as a delta on `basisId`, or whole if `basisId` is undefined. */
  set(contentId: ContentId, basisId: ContentId | undefined): void {
    this.statements.set.run(basisId ?? null, contentId);
  }

  /** Returns the bases of a content and of its parts. */
  private basesOf(contentId: ContentId): ContentId[] {
    return this.statements.bases.all(contentId, contentId);
  }

  /** Returns the number of deltas to apply, one after the other, to read a content; 0 if it is stored whole. */
  chainLength(contentId: ContentId): number {
    return this.chain(contentId, new Map(), 0);
  }

  private chain(contentId: ContentId, known: Map<ContentId, number>, depth: number): number {
    if (depth > MAX_DEPTH) return MAX_DEPTH;
    const found = known.get(contentId);
    if (found !== undefined) return found;
    const lengths = this.basesOf(contentId).map((basis) => 1 + this.chain(basis, known, depth + 1));
    const length = Math.max(0, ...lengths);
    known.set(contentId, length);
    return length;
  }

  /** Returns the content at the end of a chain, along the first basis of each; undefined if it is not stored whole. */
  wholeBelow(contentId: ContentId): ContentId | undefined {
    let below = contentId;
    for (let depth = 0; depth <= MAX_DEPTH; depth += 1) {
      const [basis] = this.basesOf(below);
      if (basis === undefined) return below;
      below = basis;
    }
    return undefined;
  }

  /**
   * Returns the contents that cannot be read without this one: deltas on it, and assemblies with it as a part.
   */
  dependants(contentId: ContentId): ContentId[] {
    return this.statements.dependants.all(contentId, contentId);
  }

  /** True if reading a content requires the other one, or if both are equal. */
  needs(contentId: ContentId, other: ContentId): boolean {
    const seen = new Set<ContentId>();
    const waiting = [contentId];
    for (;;) {
      const next = waiting.pop();
      if (next === undefined) return false;
      if (next === other) return true;
      if (seen.has(next)) continue;
      seen.add(next);
      waiting.push(...this.basesOf(next), ...this.statements.parts.all(next));
    }
  }

  /** Marks deltas on missing contents as missing. Returns true if there were any. */
  breakDependants(): boolean {
    return this.statements.breakDependants.run().changes > 0;
  }
}
