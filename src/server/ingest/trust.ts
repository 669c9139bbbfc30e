/**
 * Decides which stored contents a session may rely on. The client itself relies on nothing that came from one of its
 * accounts. An account with the right to add could have stored other bytes under the digest of a file, or reported a
 * changed file as unchanged. So such contents are requested again, entries from sets of accounts count as changed, and
 * the skip hashes of roots that an account has backed up since are deleted. An account relies on the client and on
 * itself. It also accepts contents of other accounts, since it cannot replace them.
 */
import type { ContentId, RootNumber, SetNumber } from '../../model/index.js';
import type { Catalog } from '../../store/catalog/index.js';

export class Trust {
  readonly account: string;
  /** Sets that were made by other accounts than this one. */
  private readonly foreign: ReadonlySet<SetNumber>;

  /** Creates the rules for a session of `account`, which is empty for the client itself. */
  constructor(
    private readonly catalog: Catalog,
    account = '',
  ) {
    this.account = account;
    this.foreign = catalog.accounts.foreignSets(account);
  }

  get isClient(): boolean {
    return this.account === '';
  }

  /** True if the entries written in this set may be relied on. */
  inSet(set: SetNumber): boolean {
    return !this.foreign.has(set);
  }

  /** True if the stored bytes of a content may be relied on. */
  inContent(contentId: ContentId): boolean {
    return !this.isClient || !this.catalog.accounts.isUnproven(contentId);
  }

  /** True if deltas may be made with the stored signature of a content. */
  inSignature(contentId: ContentId): boolean {
    return !this.isClient || !this.catalog.accounts.isSignatureUnproven(contentId);
  }

  /**
   * Deletes skip hashes that an account may have falsified, and records which account makes the set. Call it when a set
   * of these roots begins.
   */
  begin(set: SetNumber, roots: readonly RootNumber[]): void {
    const { accounts } = this.catalog;
    for (const root of roots) accounts.distrustSkipHashes(root, this.account, set);
    if (this.isClient) return;
    for (const root of roots) accounts.addSet({ set, root, account: this.account });
  }
}
