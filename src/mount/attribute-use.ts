/**
 * Says which extended attributes the entries of a mount have at all. Where none has an ACL, questions for one are
 * answered as by a file system without ACLs: `ls -l` then asks once, and not for each file.
 */
import type { BackupSet, History } from '../history/index.js';
import { AttributeAnswer } from '../system/index.js';

export class AttributeUse {
  /** Answers of the addon about entries without attributes (see `AttributeAnswer`). */
  readonly answers: Uint8Array = new Uint8Array(1);
  /** Counts the looks: one that was overtaken has no effect. */
  private looks = 0;
  private readonly history: History;
  private readonly mayRefuse: boolean;

  /** `mayRefuse`: false if the kernel itself asks for ACLs, to which it takes no refusal. */
  constructor(history: History, mayRefuse: boolean) {
    this.history = history;
    this.mayRefuse = mayRefuse;
  }

  /** Looks at all entries again. Call it before entries of other sets than before are shown. */
  look(sets: readonly BackupSet[]): void {
    this.looks += 1;
    this.answers[0] = 0;
    // An unfinished set may get entries with attributes at any moment.
    if (!this.mayRefuse || sets.some(({ state }) => state !== 'complete')) return;
    const look = this.looks;
    this.history.reports
      .attributeUse?.()
      .then(({ hasAcls, hasAny }) => {
        if (look !== this.looks) return;
        const acls = hasAcls ? 0 : AttributeAnswer.noAcls;
        this.answers[0] = hasAny ? acls : acls | AttributeAnswer.none;
      })
      .catch(() => undefined); // the answers stay as they are where attributes may be
  }
}
