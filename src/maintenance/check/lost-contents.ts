/**
 * Finds the contents that cannot be read because of damaged records, and all contents that depend on them: deltas, and
 * contents in parts. Each content is tried before it is reported lost, since a delta need not use the damaged part of
 * its basis.
 */
import type { ContentId } from '../../model/index.js';
import type { AuditedContent, CatalogAudit } from '../../store/catalog/index.js';
import type { SeenContent } from '../../store/writer/index.js';
import type { VersionFinding } from './findings.js';
import type { ContentProver } from './prover.js';

interface Lost {
  readonly contentId: ContentId;
  readonly digest: Buffer;
  readonly why: VersionFinding['why'];
}

export class LostContents {
  private readonly lost = new Map<ContentId, Lost>();
  /** Contents that can be read although their record is damaged: a rebuild would lose them. */
  private readonly weak = new Map<ContentId, AuditedContent>();
  /** Contents that were read successfully, although they or contents on which they depend counted as damaged. */
  private readonly proven = new Map<ContentId, AuditedContent>();

  constructor(
    private readonly audit: CatalogAudit,
    private readonly prover: ContentProver,
  ) {}

  get all(): readonly Lost[] {
    return [...this.lost.values()];
  }

  /**
   * Tries contents whose record is damaged. Returns true if the damage matters: a content is lost, or the present
   * catalog still has it in this record.
   */
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

  /** Tries a content whose own record is intact, but whose basis may be damaged. */
  async suspectBasis(content: AuditedContent): Promise<void> {
    const { contentId, digest } = content;
    if (this.lost.has(contentId) || (await this.prover.isReadable(contentId))) return;
    this.lost.set(contentId, { contentId, digest, why: 'rests' });
  }

  /** Adds contents to the lost ones that are stored nowhere, although entries or other contents name them. */
  async missing(contentIds: readonly ContentId[]): Promise<void> {
    for (const contentId of contentIds) {
      if (this.lost.has(contentId)) continue;
      const digest = this.audit.content(contentId)?.digest ?? Buffer.alloc(0);
      if (digest.length > 0 && (await this.prover.isElsewhere(digest, undefined))) continue;
      this.lost.set(contentId, { contentId, digest, why: 'missing' });
    }
  }

  /** Tries contents that are marked as damaged, since they may have been healed, or never have been damaged. */
  async proveMarked(contentIds: readonly ContentId[], isWholeRecord: IsWholeRecord): Promise<void> {
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

  /** Extends the losses to all contents that depend on a lost content. */
  async spread(): Promise<void> {
    for (const { contentId } of this.lost.values()) {
      for (const dependant of this.audit.catalog.bases.dependants(contentId)) {
        if (this.lost.has(dependant)) continue;
        const content = this.audit.content(dependant);
        if (content === undefined) continue;
        // A content that cannot be decrypted cannot be tried.
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

  /** Returns the contents to mark as damaged, and those whose marks to clear. */
  marks(): { damaged: SeenContent[]; sound: SeenContent[] } {
    const damaged: SeenContent[] = [];
    for (const contentId of [...this.lost.keys(), ...this.weak.keys()]) {
      const content = this.audit.content(contentId);
      // A content that is stored nowhere is requested by the next backup anyway.
      if (content === undefined || content.isDamaged !== 0) continue;
      const location = this.audit.recordOf(contentId);
      if (location !== undefined) damaged.push({ digest: content.digest, location });
    }
    const sound = [...this.proven].flatMap(([contentId, content]) => {
      const location = this.audit.recordOf(contentId);
      const isMarked = content.isDamaged !== 0 || damaged.length > 0; // a mark is also set on dependent contents
      return location !== undefined && isMarked ? [{ digest: content.digest, location }] : [];
    });
    return { damaged, sound };
  }
}

/** Resolves with true if the record of a content is intact. */
type IsWholeRecord = (contentId: ContentId) => Promise<boolean>;
