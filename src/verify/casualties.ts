/**
 * From damaged records to the contents that cannot be read, with all that rests on them: deltas, and contents that they are parts of. Each is
 * tried before it is called lost, since a delta need not use the damaged part of its basis.
 */
import type { AuditedContent, CatalogAudit } from '../catalog/index.js';
import type { SeenContent } from '../keeper/index.js';
import type { VersionFinding } from './findings.js';
import type { ContentProver } from './prover.js';

export interface Lost {
  readonly contentId: number;
  readonly digest: Buffer;
  readonly why: VersionFinding['why'];
}

export class Casualties {
  private readonly lost = new Map<number, Lost>();
  /** Contents that can be read, but stand in a record that is not whole: a rebuild would lose them. */
  private readonly weak = new Map<number, AuditedContent>();
  /** Contents that were proven while they, or what they rest on, counted as damaged. */
  private readonly proven = new Map<number, AuditedContent>();
  private readonly audit: CatalogAudit;
  private readonly prover: ContentProver;

  constructor(audit: CatalogAudit, prover: ContentProver) {
    this.audit = audit;
    this.prover = prover;
  }

  get all(): readonly Lost[] {
    return [...this.lost.values()];
  }

  /** Contents whose record is not whole. True if one of them, or its place, is not what the catalog says now. */
  async suspect(contents: readonly AuditedContent[]): Promise<boolean> {
    let isReal = false;
    for (const content of contents) {
      const { contentId, digest } = content;
      if (this.lost.has(contentId)) {
        isReal = true;
        continue;
      }
      if (!(await this.prover.isReadable(contentId))) {
        isReal = true;
        this.lost.set(contentId, { contentId, digest, why: 'damaged' });
      } else if (!(await this.prover.isElsewhere(digest, this.audit.recordOf(contentId)))) {
        isReal = true;
        this.weak.set(contentId, content);
      }
    }
    return isReal;
  }

  /** A content whose own record is whole, but what it rests on need not be. */
  async suspectBasis(content: AuditedContent): Promise<void> {
    const { contentId, digest } = content;
    if (this.lost.has(contentId) || (await this.prover.isReadable(contentId))) return;
    this.lost.set(contentId, { contentId, digest, why: 'rests' });
  }

  /** Contents that entries, or other contents, name and nothing has. */
  async missing(contentIds: readonly number[]): Promise<void> {
    for (const contentId of contentIds) {
      if (this.lost.has(contentId)) continue;
      const digest = this.audit.content(contentId)?.digest ?? Buffer.alloc(0);
      if (digest.length > 0 && (await this.prover.isElsewhere(digest, undefined))) continue;
      this.lost.set(contentId, { contentId, digest, why: 'missing' });
    }
  }

  /** Contents that count as damaged: they may have been made whole, or never have been damaged. */
  async proveMarked(contentIds: readonly number[], isWholeRecord: IsWholeRecord): Promise<void> {
    for (const contentId of contentIds) {
      const content = this.audit.content(contentId);
      if (content === undefined || this.lost.has(contentId) || this.weak.has(contentId)) continue;
      if (!(await this.prover.isReadable(contentId))) {
        const isOwn = !(await isWholeRecord(contentId));
        this.lost.set(contentId, {
          contentId,
          digest: content.digest,
          why: isOwn ? 'damaged' : 'rests',
        });
      } else if (this.prover.canOpen && (await isWholeRecord(contentId))) {
        this.proven.set(contentId, content);
      }
    }
  }

  /** Goes on from what is lost to all that rests on it. */
  async spread(): Promise<void> {
    for (const { contentId } of this.lost.values()) {
      for (const dependant of this.audit.catalog.bases.dependants(contentId)) {
        if (this.lost.has(dependant)) continue;
        const content = this.audit.content(dependant);
        if (content === undefined) continue;
        // What cannot be opened cannot be tried.
        const { canOpen } = this.prover;
        if (canOpen && (await this.prover.isReadable(dependant))) {
          this.proven.set(dependant, content);
          continue;
        }
        const { digest } = content;
        this.lost.set(dependant, { contentId: dependant, digest, why: 'rests' });
      }
    }
  }

  /** What is to be marked as damaged, and what to be no more. */
  marks(): { damaged: SeenContent[]; sound: SeenContent[] } {
    const damaged: SeenContent[] = [];
    for (const contentId of [...this.lost.keys(), ...this.weak.keys()]) {
      const content = this.audit.content(contentId);
      // What was nowhere is asked for anyway.
      if (content === undefined || content.isDamaged !== 0) continue;
      const location = this.audit.recordOf(contentId);
      if (location !== undefined) damaged.push({ digest: content.digest, location });
    }
    const sound = [...this.proven].flatMap(([contentId, content]) => {
      const location = this.audit.recordOf(contentId);
      const isMarked = content.isDamaged !== 0 || damaged.length > 0; // a mark spreads
      return location !== undefined && isMarked ? [{ digest: content.digest, location }] : [];
    });
    return { damaged, sound };
  }
}

/** Whether the record of a content is whole. */
type IsWholeRecord = (contentId: number) => Promise<boolean>;
