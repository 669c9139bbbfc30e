/** The machine: the resources that this process may use, and the identity that its sets carry. */
import { createHmac } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { ifPossible } from '../errors/index.js';

export interface Machine {
  readonly processors: number;
  /** Bytes of memory of the machine, or the limit of a cgroup if that is less. */
  readonly memoryBytes: number;
}

export function thisMachine(): Machine {
  // Without a limit this is 0, or more than all memory.
  const limitBytes = process.constrainedMemory();
  const totalBytes = os.totalmem();
  const isLimited = limitBytes > 0 && limitBytes < totalBytes;
  return {
    processors: os.availableParallelism(),
    memoryBytes: isLimited ? limitBytes : totalBytes,
  };
}

/** Files with the id of the machine, which is random and secret (see machine-id(5)). */
const MACHINE_ID_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];
/** Identifies this software in the id that it derives. It must never change. */
const APPLICATION_ID = 'e1d3a3a0-6f2b-4f0e-9a39-7a1b1c0d5c3e';
const ID_CHARS = 32;

/**
 * Returns the identity of this machine: its name, and an id from which its secret id cannot be computed (32 hexadecimal
 * digits). Undefined if the machine has no lasting id, as in most containers.
 */
export function machineIdentity(): { readonly id: string; readonly host: string } | undefined {
  const secret = MACHINE_ID_FILES.map(secretIdIn).find((id) => id !== undefined);
  if (secret === undefined) return undefined;
  const keyed = createHmac('sha256', Buffer.from(secret, 'hex')).update(APPLICATION_ID);
  return { id: keyed.digest('hex').slice(0, ID_CHARS), host: os.hostname() };
}

function secretIdIn(file: string): string | undefined {
  const text = ifPossible(() => fs.readFileSync(file, 'latin1')) ?? ''; // the machine may have no such file
  return /^[0-9a-f]{32}$/.exec(text.trim())?.[0];
}

let knowsAes: boolean | undefined;

/** True if the processor has AES instructions; without them other ciphers are faster. */
export function hasAes(): boolean {
  if (knowsAes === undefined) {
    try {
      const text = fs.readFileSync('/proc/cpuinfo', 'latin1');
      knowsAes = /^(?:flags|Features)\s*:.*\baes\b/m.test(text);
    } catch {
      knowsAes = true; // most have them, and a wrong guess costs only time
    }
  }
  return knowsAes;
}
