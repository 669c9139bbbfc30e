/**
 * Determines whether any entry of a mount has extended attributes or ACLs. If no entry has an ACL, requests for ACLs
 * are answered as by a file system without ACLs. `ls -l` then sends one such request, instead of one for each file.
 */
import type { BackupSet, History } from '../history/index.js';
import { AttributeAnswer } from '../system/index.js';

/**
 * Maximum time to examine all entries: enough for about six million. Requests wait meanwhile. A million takes 0.15 s,
 * and without the answer `ls -lR` of them takes ten times as long.
 */
const MAX_LOOK_MS = 1000;

export class AttributeUse {
  /** Answers of the addon about entries without attributes (see `AttributeAnswer`). */
  readonly answers: Uint8Array = new Uint8Array(1);
  /** True unless the kernel itself requests ACLs, since it accepts no refusal. */
  mayRefuse = true;
  /** The sets whose entries were examined last. */
  private looked = '';
  /** Number of examinations begun. An examination has no effect if a later one has begun meanwhile. */
  private looks = 0;

  constructor(private readonly history: History) {}

  /** True unless it is known that no entry of the examined sets has an ACL. */
  get mayHaveAcls(): boolean {
    return (this.answers[0]! & AttributeAnswer.noAcls) === 0;
  }

  /**
   * Examines all entries, unless that was done for these sets. Must be called before entries of new sets are shown.
   */
  async look(sets: readonly BackupSet[]): Promise<void> {
    if (!this.mayRefuse) return;
    const key = JSON.stringify(sets.map(({ set, state }) => [set, state]));
    if (key === this.looked) return;
    this.looked = key;
    this.looks += 1;
    Atomics.store(this.answers, 0, 0);
    // An unfinished set may get entries with attributes at any moment.
    if (sets.every(({ state }) => state === 'complete')) await this.lookNow();
  }

  private async lookNow(): Promise<void> {
    const { looks } = this;
    const looking = this.history.reports.attributeUse?.(MAX_LOOK_MS);
    const found = await looking?.catch(() => undefined); // reading the entries reports the error
    if (found === undefined || looks !== this.looks) return;
    const acls = found.hasAcls ? 0 : AttributeAnswer.noAcls;
    Atomics.store(this.answers, 0, found.hasAny ? acls : acls | AttributeAnswer.none);
  }
}
