/**
 * Makes this thread derive the key of a password once for each salt. Deriving it is slow by design, and the commands that
 * run in a test's thread would do it again for each of them.
 */
import crypto, { type BinaryLike, type ScryptOptions } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

type Done = (error: Error | null, key: Buffer) => void;

const keys = new Map<string, Buffer>();
const derive = crypto.scrypt;

function remembering(
  password: BinaryLike,
  salt: BinaryLike,
  keyBytes: number,
  options: ScryptOptions,
  done: Done,
): void {
  const hex = [password, salt].map((bytes) => Buffer.from(bytes as Uint8Array).toString('hex'));
  const requested = JSON.stringify([...hex, keyBytes, options]);
  const known = keys.get(requested);
  if (known !== undefined) {
    // Callers overwrite the key with zeros.
    setImmediate(() => done(null, Buffer.from(known)));
    return;
  }
  derive(password, salt, keyBytes, options, (error, key) => {
    if (error === null) keys.set(requested, Buffer.from(key));
    done(error, key);
  });
}

/** Replaces the function for all modules, also for those that are loaded already. */
export function rememberPasswords(): void {
  Object.assign(crypto, { scrypt: remembering });
  syncBuiltinESMExports();
}
