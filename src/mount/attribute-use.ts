/**
 * Determines whether any entry of a mount has extended attributes or ACLs. If none has an ACL, requests for ACLs are
 * answered as by a file system without them. `ls -l` then sends one request, not one for each file.
 */
import type { BackupSet, History } from '../history/index.js';
import { AttributeAnswer } from '../system/index.js';

/** Longest time in which all entries are looked at: about a million. Requests wait meanwhile. */
const MAX_LOOK_MS = 100;

export class AttributeUse {
  /** Answers of the addon about entries without attributes (see `AttributeAnswer`). */
  readonly answers: Uint8Array = new Uint8Array(1);
  /** False if the kernel itself requests ACLs, since it accepts no refusal. */
  mayRefuse = true;
  /** The sets whose entries were looked at last. */
  private looked = '';
  /** Counts the looks: one that was overtaken has no effect. */
  private looks = 0;
  private readonly history: History;

  constructor(history: History) {
    this.history = history;
  }

  /** False if no entry of the sets that were looked at has an ACL. */
  get mayHaveAcls(): boolean {
    return (this.answers[0]! & AttributeAnswer.noAcls) === 0;
  }

  /** Looks at all entries, unless that was done for these sets. Call it before entries of new sets are shown. */
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
