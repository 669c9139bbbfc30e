/**
 * Sets and contents that were written by accounts of the client. An account has the client's keys, so only the
 * login shows which account stored something; the server records it here. The client relies on nothing that its
 * accounts wrote, and no account relies on the sets of another.
 */
import type { ContentId, RootNumber, SetNumber } from '../../../model/index.js';
import type { SqlDatabase } from '../../../system/index.js';

/** A root in a set that an account made. */
interface AccountSet {
  readonly set: SetNumber;
  readonly root: RootNumber;
  readonly account: string;
}

export class AccountTable {
  private readonly statements;
  /**
   * True if some content may be unproven, that is, its record was written by an account. If false, no lookup is needed.
   * Stays true once a content was unproven.
   */
  private hasContents: boolean;
  private hasSignatures: boolean;

  constructor(database: SqlDatabase) {
    this.statements = statementsFor(database);
    this.hasContents = this.statements.anyContent.get() !== undefined;
    this.hasSignatures = this.statements.anySignature.get() !== undefined;
  }

  /** True if the record of some content may have been written by an account. */
  get mayHaveUnproven(): boolean {
    return this.hasContents;
  }

  /** True if the record of a content was written by an account. */
  isUnproven(contentId: ContentId): boolean {
    return this.hasContents && this.statements.content.get(contentId) !== undefined;
  }

  /** Records whether the record of a content was written by an account. */
  markContent(contentId: ContentId, isUnproven: boolean): void {
    if (isUnproven) {
      this.statements.addContent.run(contentId);
      this.hasContents = true;
    } else if (this.hasContents) this.statements.dropContent.run(contentId);
  }

  /** True if the signature of a content was written by an account. */
  isSignatureUnproven(contentId: ContentId): boolean {
    return this.hasSignatures && this.statements.signature.get(contentId) !== undefined;
  }

  /** Records whether the signature of a content was written by an account. */
  markSignature(contentId: ContentId, isUnproven: boolean): void {
    if (isUnproven) {
      this.statements.addSignature.run(contentId);
      this.hasSignatures = true;
    } else if (this.hasSignatures) this.statements.dropSignature.run(contentId);
  }

  addSet({ set, root, account }: AccountSet): void {
    this.statements.addSet.run(set, root, account);
  }

  addSets(sets: readonly AccountSet[]): void {
    for (const set of sets) this.addSet(set);
  }

  /** Returns all sets of accounts, by number. Deleted sets are included. */
  sets(): AccountSet[] {
    return this.statements.sets.all();
  }

  /**
   * Returns the sets made by accounts other than `account`. An empty `account` stands for the client itself.
   */
  foreignSets(account: string): Set<SetNumber> {
    return new Set(this.statements.foreign.all(account));
  }

  /**
   * Deletes the skip hashes below a root if another account has made a set of it since the last set of
   * `account` (empty: the client itself). A directory must be compared even if another account reported it as
   * unchanged. `set` is the set that begins now.
   */
  distrustSkipHashes(root: RootNumber, account: string, set: SetNumber): void {
    const { lastOfClient, lastOfAccount, lastForeign, forgetHashes, forgetSeals } = this.statements;
    const last =
      account === '' ? lastOfClient.get(root, set) : lastOfAccount.get(root, set, account);
    const foreign = lastForeign.get(root, set, account) ?? 0;
    if (foreign <= (last ?? 0)) return;
    forgetSeals.run(root);
    forgetHashes.run(root);
  }
}

function statementsFor(database: SqlDatabase) {
  const make = (sql: string) => database.prepare(sql);
  const ids = (sql: string) => database.query(sql, 'integer');
  return {
    anyContent: ids('SELECT 1 FROM unproven_contents LIMIT 1'),
    content: ids('SELECT 1 FROM unproven_contents WHERE content_id = ?'),
    addContent: make('INSERT OR IGNORE INTO unproven_contents VALUES (?)'),
    dropContent: make('DELETE FROM unproven_contents WHERE content_id = ?'),
    anySignature: ids('SELECT 1 FROM unproven_signatures LIMIT 1'),
    signature: ids('SELECT 1 FROM unproven_signatures WHERE content_id = ?'),
    addSignature: make('INSERT OR IGNORE INTO unproven_signatures VALUES (?)'),
    dropSignature: make('DELETE FROM unproven_signatures WHERE content_id = ?'),
    addSet: make('INSERT OR REPLACE INTO account_sets VALUES (?, ?, ?)'),
    sets: database.query(
      'SELECT set_number AS "set", root_id AS root, account FROM account_sets ORDER BY set_number, root_id',
      { set: 'integer', root: 'integer', account: 'text' },
    ),
    foreign: ids('SELECT DISTINCT set_number FROM account_sets WHERE account != ?'),
    lastOfClient: database.query(
      `SELECT max(set_number) FROM set_roots WHERE root_id = ? AND set_number < ?
       AND set_number NOT IN (SELECT set_number FROM account_sets)`,
      'integer?',
    ),
    lastOfAccount: database.query(
      'SELECT max(set_number) FROM account_sets WHERE root_id = ? AND set_number < ? AND account = ?',
      'integer?',
    ),
    lastForeign: database.query(
      'SELECT max(set_number) FROM account_sets WHERE root_id = ? AND set_number < ? AND account != ?',
      'integer?',
    ),
    forgetHashes: make('UPDATE directories SET skip_hash = NULL WHERE root_id = ?'),
    forgetSeals: make(
      'DELETE FROM skip_seals WHERE directory_id IN (SELECT directory_id FROM directories WHERE root_id = ?)',
    ),
  };
}
