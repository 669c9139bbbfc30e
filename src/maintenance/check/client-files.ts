/**
 * Checks the parts of a client other than its catalog and its records: keys, accounts, and files that do not belong
 * there.
 */
import path from 'node:path';
import { asTardisError } from '../../errors/index.js';
import { holdsSeals } from '../../store/catalog/index.js';
import {
  accountFaults,
  type Backend,
  fetchAccounts,
  hasEncryptingKeys,
  KEY_COPIES_DIRECTORY,
  KEYS_DIRECTORY,
  type KeysState,
  mediumOf,
  mendAllKeys,
  stateOfKeys,
  strangePacks,
  withAccountsAtRest,
  withClient,
} from '../../store/index.js';
import type { Checked } from './catalog-check.js';
import type { KeysFinding } from './findings.js';

export class ClientFiles {
  constructor(private readonly checked: Checked) {}

  /**
   * Reports key records that are damaged or missing, or whose two files differ. With `mark`, repairs the damaged ones.
   */
  async checkKeys(): Promise<void> {
    const { system, directory, mark } = this.checked;
    const look = (): KeysState => stateOfKeys(system, directory.path);
    const first = look();
    const isSound = first.faults.length + first.lost.length === 0;
    // An account that is being added or removed has one of its two key files only.
    const { faults, lost, isGone } = isSound
      ? first
      : await withAccountsAtRest(system, directory.path, look);
    const isSealed = holdsSeals(system, directory.catalogPath);
    const damaged = faults.filter(({ isDamage, isOther }) => isDamage && !isOther);
    for (const { file } of faults.filter(({ isOther }) => isOther)) this.reportKeys(file, 'other');
    const isMended = mark && damaged.length > 0 && (await this.mendKeys());
    for (const { file } of damaged) this.reportKeys(file, isMended ? 'mended' : 'damaged');
    if (isGone || (isSealed && !hasEncryptingKeys(system, directory.path)))
      this.reportKeys(`${KEYS_DIRECTORY}, ${KEY_COPIES_DIRECTORY}`, 'gone');
    for (const account of lost) this.reportKeys(path.join(account, KEYS_DIRECTORY), 'lost');
  }

  /** Reports accounts whose rights cannot be determined. In a bucket, reports a damaged list of accounts. */
  async checkAccounts(): Promise<void> {
    const { system, directory } = this.checked;
    const { bucket, client } = directory;
    if (bucket !== undefined) {
      await fetchAccounts(system, bucket, client).catch((error: unknown) =>
        this.damagedList(error),
      );
    }
    for (const fault of await accountFaults(system, directory.path)) {
      this.checked.counts.damagedAccounts += 1;
      this.checked.onFinding({ finding: 'account', ...fault });
    }
  }

  /** Reports the error of an unusable list of accounts. Throws every other error. */
  private damagedList(error: unknown): void {
    const { code, message, context } = asTardisError(error);
    if (code !== 'ACCOUNTS_DAMAGED') throw error;
    const file = typeof context.object === 'string' ? context.object : '';
    this.checked.counts.unreadableFiles += 1;
    this.checked.onFinding({
      finding: 'unreadable',
      file,
      why: `${message} (docs/server/buckets.md, "Accounts")`,
    });
  }

  /** Reports packs under a wrong name, and files that do not belong in the store. */
  async checkStrays(files: Backend): Promise<void> {
    const { system, directory, onFinding, counts } = this.checked;
    const medium = mediumOf(system, directory);
    for (const pack of await strangePacks(files)) {
      counts.strangePacks += 1;
      onFinding({ finding: 'pack', ...pack });
    }
    for (const stray of medium.strays()) {
      counts.strayFiles += 1;
      onFinding({ finding: 'stray', ...stray });
    }
  }

  private reportKeys(file: string, state: KeysFinding['state']): void {
    this.checked.counts.damagedKeys += 1;
    this.checked.onFinding({ finding: 'keys', file, state });
  }

  /** Repairs the key records. Returns false if that cannot be done now. */
  private async mendKeys(): Promise<boolean> {
    const { system, directory } = this.checked;
    if (!system.files.isWritable(directory.path)) return false;
    try {
      await withClient(system, directory, () => mendAllKeys(system, directory.path));
      return true;
    } catch (error) {
      if (!isForLater(error)) throw error;
      return false;
    }
  }
}

/**
 * True for an error after which a later check can store the results: a session has the client's lock, or the disk is
 * full.
 */
export function isForLater(error: unknown): boolean {
  return ['CLIENT_BUSY', 'DISK_FULL'].includes(asTardisError(error).code);
}
