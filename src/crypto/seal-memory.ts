/**
 * What this machine remembers of a client's newest sealed set and key record: a store that was put back to
 * an older state, or lost a set, is told by that. A file for each client, in the user's state directory.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemCode, TardisError } from '../errors/index.js';
import { SEAL_BYTES } from '../model/index.js';
import { formerIds, type KeyRecord, type MasterKey } from './key-record.js';

export interface Remembered {
  /** The newest sealed set; 0: none. */
  readonly set: number;
  readonly seal: Buffer;
  /** The number of the newest key record. */
  readonly keys: number;
  /** Other keys have taken the place of these. */
  readonly isReplaced: boolean;
}

const LINE = /^(\d{1,15}) ([0-9a-f]+) (\d{1,10})( replaced)?\n$/;
const NOTHING: Remembered = Object.freeze({
  set: 0,
  seal: Buffer.alloc(SEAL_BYTES),
  keys: 0,
  isReplaced: false,
});

/**
 * A key record was opened with its password: refuses one that is older than what this machine has seen, or
 * whose keys were replaced, and remembers it, with what it replaces. Records of sub-accounts are numbered for
 * themselves, and not counted. Throws STORE_ROLLED_BACK.
 */
export function meetKeys(record: KeyRecord, keys: readonly MasterKey[], account?: string): void {
  const memory = new SealMemory(record.keysetId.toString('hex'));
  const isCounted = record.isEncrypting && (account === undefined || account === '');
  memory.checkKeys(isCounted ? record.number : 0);
  for (const id of formerIds(keys)) new SealMemory(id.toString('hex')).replaced();
}

export class SealMemory {
  private readonly file: string;

  /** `id`: that of the client's keys. */
  constructor(id: string) {
    this.file = path.join(stateDirectory(), 'tardis', 'seals', id);
  }

  /** What is remembered. A file that makes no sense counts as none. */
  read(): Remembered {
    let text: string;
    try {
      text = fs.readFileSync(this.file, 'latin1');
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      return NOTHING;
    }
    const [, set, seal, keys, replaced] = LINE.exec(text) ?? [];
    if (seal?.length !== 2 * SEAL_BYTES) return NOTHING;
    return {
      set: Number(set),
      seal: Buffer.from(seal, 'hex'),
      keys: Number(keys),
      isReplaced: replaced !== undefined,
    };
  }

  /** Remembers the newest sealed set there is. Returns why not, in words, if it cannot be remembered. */
  write(set: number, seal: Buffer): string | undefined {
    return this.put({ ...this.read(), set, seal });
  }

  /**
   * Compares the number of a key record with the newest this machine has seen, and remembers it. Throws
   * STORE_ROLLED_BACK for an older one, and for one whose keys were replaced: a password that was changed must
   * not open anything again. 0: a record of keys that only wait, which are not counted.
   */
  checkKeys(number: number): void {
    const remembered = this.read();
    if (remembered.isReplaced) {
      const what = 'the store shows keys that others have taken the place of';
      throw new TardisError('STORE_ROLLED_BACK', `${what} (if you know why, remove ${this.file})`);
    }
    if (number === 0) return;
    if (number > remembered.keys) this.put({ ...remembered, keys: number });
    if (number >= remembered.keys) return;
    const what = `the store shows key record ${number}, and had ${remembered.keys} before`;
    throw new TardisError('STORE_ROLLED_BACK', `${what} (if you know why, remove ${this.file})`);
  }

  /** These keys are not to be believed any more. */
  replaced(): void {
    const remembered = this.read();
    if (!remembered.isReplaced) this.put({ ...remembered, isReplaced: true });
  }

  private put({ set, seal, keys, isReplaced }: Remembered): string | undefined {
    try {
      makeDirectories(path.dirname(this.file));
      const fresh = `${this.file}.new`;
      const line = `${set} ${seal.toString('hex')} ${keys}${isReplaced ? ' replaced' : ''}\n`;
      fs.writeFileSync(fresh, line, { mode: 0o600 });
      fs.renameSync(fresh, this.file);
      return undefined;
    } catch (error) {
      const code = systemCode(error);
      if (code === undefined) throw error;
      return `the newest set is not remembered: ${this.file}: ${code}; a store that is put back would not show`;
    }
  }

  /**
   * Compares with the newest set a store shows (`set` 0: none), and with the seal of the remembered one if
   * that is known. Throws STORE_ROLLED_BACK.
   */
  check(newest: number, sealOf: (set: number) => Buffer | undefined): void {
    const { set, seal } = this.read();
    if (set === 0) return;
    const shown = sealOf(set);
    if (newest >= set && (shown === undefined || shown.equals(seal))) return;
    const what =
      newest < set
        ? `the store ends with set ${newest}, and had set ${set} before`
        : `set ${set} of the store is another one than it was`;
    throw new TardisError('STORE_ROLLED_BACK', `${what} (if you know why, remove ${this.file})`);
  }
}

/** One by one: Node's own way never ends below a directory like /proc, where nothing can be made. */
function makeDirectories(directory: string): void {
  if (fs.existsSync(directory)) return;
  const above = path.dirname(directory);
  if (above !== directory) makeDirectories(above);
  fs.mkdirSync(directory, { mode: 0o700 });
}

function stateDirectory(): string {
  const given = process.env['XDG_STATE_HOME'];
  if (given !== undefined && path.isAbsolute(given)) return given;
  return path.join(os.homedir(), '.local', 'state');
}
