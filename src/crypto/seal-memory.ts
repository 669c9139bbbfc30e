/**
 * What this machine remembers of a client's newest sealed set: a store that was put back to an older state,
 * or lost a set, is told by that. A file for each client, in the user's state directory.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { systemCode, TardisError } from '../errors/index.js';
import { SEAL_BYTES } from '../model/index.js';

interface Remembered {
  readonly set: number;
  readonly seal: Buffer;
}

const LINE = /^(\d{1,15}) ([0-9a-f]+)\n$/;

export class SealMemory {
  private readonly file: string;

  /** `id`: that of the client's keys. */
  constructor(id: string) {
    this.file = path.join(stateDirectory(), 'tardis', 'seals', id);
  }

  /** What was remembered, or undefined. A file that makes no sense counts as none. */
  read(): Remembered | undefined {
    let text: string;
    try {
      text = fs.readFileSync(this.file, 'latin1');
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      return undefined;
    }
    const [, set, seal] = LINE.exec(text) ?? [];
    if (seal?.length !== 2 * SEAL_BYTES) return undefined;
    return { set: Number(set), seal: Buffer.from(seal, 'hex') };
  }

  /** Remembers the newest sealed set there is. Returns why not, in words, if it cannot be remembered. */
  write(set: number, seal: Buffer): string | undefined {
    try {
      fs.mkdirSync(path.dirname(this.file), { recursive: true, mode: 0o700 });
      const fresh = `${this.file}.new`;
      fs.writeFileSync(fresh, `${set} ${seal.toString('hex')}\n`, { mode: 0o600 });
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
    const remembered = this.read();
    if (remembered === undefined) return;
    const { set, seal } = remembered;
    const shown = sealOf(set);
    if (newest >= set && (shown === undefined || shown.equals(seal))) return;
    const what =
      newest < set
        ? `the store ends with set ${newest}, and had set ${set} before`
        : `set ${set} of the store is another one than it was`;
    throw new TardisError('STORE_ROLLED_BACK', `${what} (if you know why, remove ${this.file})`);
  }
}

function stateDirectory(): string {
  const given = process.env['XDG_STATE_HOME'];
  if (given !== undefined && path.isAbsolute(given)) return given;
  return path.join(os.homedir(), '.local', 'state');
}
