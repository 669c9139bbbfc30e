/**
 * A client's newest sealed set and key record, as this machine last saw them. They reveal a store that was rolled
 * back or has lost a set. Each client has one file in the user's state directory.
 */
import { createHash } from 'node:crypto';
import { TardisError } from '../errors/index.js';
import { SEAL_BYTES, type SetNumber } from '../model/index.js';
import { readState, statePath, writeState } from '../system/index.js';
import { formerIds, type KeyRecord, type MasterKey } from './key-record.js';

export interface Remembered {
  /** Number of the newest sealed set; 0 if none. */
  readonly set: SetNumber;
  readonly seal: Buffer;
  /** Number of the newest key record. */
  readonly keys: number;
  /** True if another key set has replaced this one. */
  readonly isReplaced: boolean;
}

const LINE = /^((\d{1,15}) ([0-9a-f]+) (\d{1,10})( replaced)?) ([0-9a-f]{16})\n$/;
const NOTHING: Remembered = Object.freeze({
  set: 0,
  seal: Buffer.alloc(SEAL_BYTES),
  keys: 0,
  isReplaced: false,
});

/** A fact to remember, and the risk if it is not remembered. */
interface Fact {
  readonly what: string;
  readonly risk: string;
}

const NEWEST_SET: Fact = {
  what: 'the newest set',
  risk: 'a store that is rolled back would not be noticed',
};
const NEWEST_KEYS: Fact = {
  what: 'the newest key record',
  risk: 'an older one, which a replaced password opens, would not be noticed',
};
const REPLACED_KEYS: Fact = {
  what: 'that other keys have replaced the former ones',
  risk: 'a store with the former keys would not be noticed',
};

export interface KeyMemoryOptions {
  /** Name of the sub-account; undefined for the owner of the client. */
  readonly account?: string | undefined;
  readonly trustsOlder?: boolean | undefined;
}

/**
 * Checks and remembers a key record that was opened with its password, and marks the key sets it replaces. Throws
 * STORE_ROLLED_BACK if the record is older than one this machine has seen, or its key set was replaced. With
 * `trustsOlder` an older record is accepted and remembered; a replaced key set is still refused. The number of a
 * sub-account's record is not compared, since sub-accounts have their own numbering. Returns a message for each fact
 * that cannot be remembered.
 */
export function rememberKeyRecord(
  record: KeyRecord,
  keys: readonly MasterKey[],
  { account, trustsOlder = false }: KeyMemoryOptions = {},
): string[] {
  const memory = sealMemoryOf(record);
  const failures = [memory.checkKeys(countedNumber(record, account), trustsOlder)];
  for (const id of formerIds(keys)) failures.push(new SealMemory(id.toString('hex')).replaced());
  return failures.filter((failure) => failure !== undefined);
}

/** Checks like `rememberKeyRecord`, but remembers nothing: for keys that have not yet proven to be the client's. */
export function compareKeys(
  record: KeyRecord,
  { account, trustsOlder = false }: KeyMemoryOptions = {},
): void {
  sealMemoryOf(record).compareKeys(countedNumber(record, account), trustsOlder);
}

/**
 * Remembers a key record that this machine has just stored. The record before it, whose password may be revoked, is
 * refused from now on. Returns a message with the reason if it cannot be remembered; otherwise undefined.
 */
export function noteKeys(
  record: KeyRecord,
  { account, trustsOlder = false }: KeyMemoryOptions = {},
): string | undefined {
  return sealMemoryOf(record).noteKeys(countedNumber(record, account), trustsOlder);
}

function sealMemoryOf({ keysetId }: KeyRecord): SealMemory {
  return new SealMemory(keysetId.toString('hex'));
}

/** Returns the number to compare; 0 for a record that is not compared. */
function countedNumber({ isEncrypting, number }: KeyRecord, account: string | undefined): number {
  return isEncrypting && (account === undefined || account === '') ? number : 0;
}

export class SealMemory {
  private readonly file: string;

  /** Gives access to the memory of a client. `id` is the id of its key set, in hexadecimal. */
  constructor(private readonly id: string) {
    this.file = statePath('seals', id);
  }

  /** Returns the remembered state. Throws MEMORY_DAMAGED if the checksum of the file is wrong. */
  read(): Remembered {
    const remembered = this.readWhole();
    if (remembered !== undefined) return remembered;
    const what = 'in which this machine remembers the newest set and key record of a client';
    throw new TardisError('MEMORY_DAMAGED', `${this.file}, ${what}, is damaged`);
  }

  /** Returns the remembered state; undefined if the file is damaged. */
  private readWhole(): Remembered | undefined {
    const text = readState(this.file);
    if (text === undefined) return NOTHING;
    const [, line, set, seal, keys, replaced, sum] = LINE.exec(text) ?? [];
    if (line === undefined || seal?.length !== 2 * SEAL_BYTES) return undefined;
    if (sum !== this.sumOf(line)) return undefined;
    return {
      set: Number(set),
      seal: Buffer.from(seal, 'hex'),
      keys: Number(keys),
      isReplaced: replaced !== undefined,
    };
  }

  /**
   * Remembers the newest sealed set. Returns a message with the reason if writing fails; otherwise undefined. Throws
   * MEMORY_DAMAGED if the file is damaged.
   */
  write(set: SetNumber, seal: Buffer): string | undefined {
    return this.put({ ...this.read(), set, seal }, NEWEST_SET);
  }

  /**
   * Checks the number of a key record against the newest one seen, and remembers it. Throws STORE_ROLLED_BACK if it is
   * older or its key set was replaced, since a changed password must not open anything again. `number` is 0 for a
   * record that is not compared. With `trustsOlder` an older record is remembered. Returns a message with the reason if
   * it cannot be remembered; otherwise undefined.
   */
  checkKeys(number: number, trustsOlder = false): string | undefined {
    this.compareKeys(number, trustsOlder);
    return this.noteKeys(number, trustsOlder);
  }

  /**
   * Compares the number with the newest one seen, but does not remember it. Throws STORE_ROLLED_BACK as `checkKeys`
   * does. With `trustsOlder`, a damaged file is replaced by an empty memory; otherwise it throws MEMORY_DAMAGED.
   */
  compareKeys(number: number, trustsOlder: boolean): void {
    if (trustsOlder && this.readWhole() === undefined) this.put(NOTHING, NEWEST_SET);
    const remembered = this.read();
    if (remembered.isReplaced) {
      const what = 'the store shows keys that were replaced by others';
      throw new TardisError('STORE_ROLLED_BACK', `${what} (if you know why, remove ${this.file})`);
    }
    if (number === 0 || number >= remembered.keys || trustsOlder) return;
    const what = `key record ${number} is older than ${remembered.keys}, which this machine has seen`;
    throw new TardisError(
      'STORE_ROLLED_BACK',
      `${what}: it can be opened with a password that was replaced`,
    );
  }

  /**
   * Remembers the number of the newest key record. Does nothing for 0 and, without `trustsOlder`, for a number below
   * the remembered one. Returns a message with the reason if writing fails; otherwise undefined.
   */
  noteKeys(number: number, trustsOlder: boolean): string | undefined {
    const remembered = this.read();
    if (number === 0 || number === remembered.keys) return undefined;
    if (number < remembered.keys && !trustsOlder) return undefined;
    return this.put({ ...remembered, keys: number }, NEWEST_KEYS);
  }

  /**
   * Marks the key set as replaced: its records are refused from now on. Keeps all other remembered facts. Returns a
   * message with the reason if that fails; otherwise undefined.
   */
  replaced(): string | undefined {
    const remembered = this.readWhole();
    if (remembered?.isReplaced === true) return undefined;
    return this.put({ ...(remembered ?? NOTHING), isReplaced: true }, REPLACED_KEYS);
  }

  private put({ set, seal, keys, isReplaced }: Remembered, fact: Fact): string | undefined {
    const line = `${set} ${seal.toString('hex')} ${keys}${isReplaced ? ' replaced' : ''}`;
    const code = writeState(this.file, `${line} ${this.sumOf(line)}\n`);
    if (code === undefined) return undefined;
    return `${fact.what} is not remembered: ${this.file}: ${code}; ${fact.risk} [MEMORY_NOT_WRITTEN]`;
  }

  private sumOf(line: string): string {
    return createHash('sha256').update(`${this.id} ${line}`).digest('hex').slice(0, 16);
  }

  /**
   * Throws STORE_ROLLED_BACK if the newest set of a store (0 if none) is older than a remembered set, or if the
   * remembered set has another seal in the store. `sealOf` returns undefined if the store no longer has the set, which
   * is accepted. The memory must have been read before the store: a backup of this machine may end in between.
   */
  static check(
    { set, seal }: Pick<Remembered, 'set' | 'seal'>,
    newest: SetNumber,
    sealOf: (set: SetNumber) => Buffer | undefined,
  ): void {
    if (set === 0) return;
    const shown = sealOf(set);
    if (newest >= set && (shown === undefined || shown.equals(seal))) return;
    if (newest >= set) {
      const what = `set ${set} of the store is not the one that this machine has seen`;
      throw new TardisError('STORE_ROLLED_BACK', what);
    }
    const missing = newest + 1 === set ? `set ${set} is` : `sets ${newest + 1} to ${set} are`;
    const what = `the newest set of the store is ${newest}, but was ${set} when this machine last saw it`;
    throw new TardisError('STORE_ROLLED_BACK', `${what}: ${missing} missing`);
  }
}
