/** The rights of a session, its purpose, and the key record that its login proved. */
import { protocolViolation, TardisError } from '../errors/index.js';
import { NO_BYTES, type Right } from '../model/index.js';
import { loginKeys, readRights } from '../store/index.js';
import type { System } from '../system/index.js';
import { type Channel, type Head, Purpose, type PurposeName } from '../transport/index.js';

export type Rights = ReadonlySet<Right>;

/** Rights of the owner of a client over the network: adding, reading and changing keys, but not deleting. */
const DEFAULT_RIGHTS: Rights = new Set(['add', 'read', 'list', 'keys']);

/** A client, by its directory, and the account that logs in; empty for the owner. */
export interface LoginOf {
  readonly directory: string;
  readonly account: string;
}

/** Returns the newest key record of a login. Throws LOGIN_FAILED if the login has proven another record. */
export function requireNewest(
  system: System,
  { directory, account }: LoginOf,
  proven: Buffer,
): Buffer {
  const keys = loginKeys(system, directory, account)?.bytes ?? NO_BYTES;
  if (keys.equals(proven)) return keys;
  throw new TardisError('LOGIN_FAILED', 'the password was changed');
}

/** Rights of an owner whose server is its own process: its operating system lets it change the files of the store. */
const ALL_RIGHTS: Rights = new Set([...DEFAULT_RIGHTS, 'purge', 'admin']);

/**
 * Returns the rights of an account, or of the owner if `account` is empty. `isOwnChild` is true if the server is the
 * owner's own process. Throws the errors of `readRights`.
 */
export function rightsOf(
  system: System,
  { directory, account }: LoginOf,
  isOwnChild: boolean,
): Rights {
  if (account === '') return isOwnChild ? ALL_RIGHTS : DEFAULT_RIGHTS;
  return new Set(readRights(system, directory, account));
}

/** Returns those of some rights that a server grants to anybody; all if `restricted` is undefined. */
export function limited(rights: Rights, restricted: Rights | undefined): Rights {
  if (restricted === undefined) return rights;
  return new Set([...rights].filter((right) => restricted.has(right)));
}

/** Throws NOT_PERMITTED if a right is missing. */
export function requireRight(rights: Rights, right: Right, account: string): void {
  if (rights.has(right)) return;
  const holder = account === '' ? 'this session' : `the account "${account}"`;
  const more = right === 'list' ? ', which every session takes that reads or changes sets' : '';
  throw new TardisError('NOT_PERMITTED', `${holder} does not have the right "${right}"${more}`);
}

/** Interval between two checks that a login is still valid, and the maximum time that a check may take. */
const LOOKS = Object.freeze({ everyMs: 2000, longestMs: 15_000 });

/**
 * Checks every two seconds that a login is still valid. The session is ended by `refuse` if `look` rejects or takes
 * too long. Returns a function that stops the checks.
 */
export function watchLogin(
  look: () => Promise<void>,
  refuse: (error: unknown) => void,
  { everyMs, longestMs }: { readonly everyMs: number; readonly longestMs: number } = LOOKS,
): () => void {
  let sinceMs: number | undefined;
  const end = (error: unknown): void => {
    clearInterval(timer); // ending a session takes time, and once is enough
    refuse(error);
  };
  const timer = setInterval(() => {
    const nowMs = performance.now();
    if (sinceMs !== undefined) {
      if (nowMs - sinceMs < longestMs) return;
      end(new TardisError('STORE_AWAY', 'the server cannot read the accounts of its store now'));
      return;
    }
    sinceMs = nowMs;
    look().then(
      () => (sinceMs = undefined),
      (error: unknown) => end(error),
    );
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

export function purposeOf(text: string): PurposeName {
  const purpose = Object.values(Purpose).find((one) => one === text);
  if (purpose !== undefined) return purpose;
  throw protocolViolation('a session of an unknown purpose');
}

/**
 * Checks the purpose of a greeting, before a client is created. Throws NOT_PERMITTED if the server accepts no copies,
 * or none from this account or over this connection. Throws PROTOCOL_VIOLATION for an unknown purpose, and for a reader
 * that creates a client.
 */
export function requireFitting(
  { acceptCopies }: { readonly acceptCopies?: boolean },
  { create, keys, account, code, purpose: text }: Head<'hello'>,
  { kind }: Channel,
): void {
  const purpose = purposeOf(text);
  if (code !== '' && !(create && purpose === Purpose.backup)) {
    throw protocolViolation('a code is for a new client that makes backups');
  }
  if (create && purpose === Purpose.read) throw protocolViolation('a reader makes no client');
  if (purpose !== Purpose.copy) return;
  if (acceptCopies !== true) {
    throw new TardisError('NOT_PERMITTED', 'this server takes no copies (AcceptCopies)');
  }
  if (account !== '') {
    throw new TardisError('NOT_PERMITTED', 'only the owner of a client copies it to a server');
  }
  if (create && keys.length === 0 && kind !== 'unix') {
    const what = 'over a network a client is copied to a server only with a password';
    throw new TardisError('NOT_PERMITTED', what);
  }
}
