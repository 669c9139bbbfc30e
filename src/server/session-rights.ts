/** The rights of a session, and the key record that its login proved. */
import { TardisError } from '../errors/index.js';
import type { Right } from '../model/index.js';
import { newestKeys, readRights } from '../store/index.js';
import type { System } from '../system/index.js';

export type Rights = ReadonlySet<Right>;

const NO_BYTES: Buffer = Buffer.alloc(0);

/** Rights of the owner of a client: adding and reading, but not deleting. */
const DEFAULT_RIGHTS: Rights = new Set(['add', 'read', 'list', 'keys']);

/** Returns the newest key record of a login. Throws LOGIN_FAILED if another one was proven. */
export function requireNewest(system: System, directory: string, proven: Buffer): Buffer {
  const keys = newestKeys(system, directory)?.bytes ?? NO_BYTES;
  if (keys.equals(proven)) return keys;
  throw new TardisError('LOGIN_FAILED', 'the password was changed');
}

/** Returns the rights of an account, or of the owner. Throws NO_SUCH_ACCOUNT, ACCOUNT_INVALID. */
export function rightsOf(system: System, client: string, account: string): Rights {
  return account === '' ? DEFAULT_RIGHTS : new Set(readRights(system, client, account));
}

/** Throws NOT_PERMITTED if a right is missing. */
export function requireRight(rights: Rights, right: Right, account: string): void {
  if (rights.has(right)) return;
  const who = account === '' ? 'this session' : `the account "${account}"`;
  const more = right === 'list' ? ', which every session takes that reads or changes sets' : '';
  throw new TardisError('NOT_PERMITTED', `${who} does not have the right "${right}"${more}`);
}
