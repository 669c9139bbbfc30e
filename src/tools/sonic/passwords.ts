/**
 * Implements `sonic create`, `setpass`, `chpass` and `rotate`: clients and their passwords, in a store or through a
 * server.
 */
import { type KeysRequest, withKeys } from '../../client/index.js';
import type { Settings, SettingsNamed } from '../../config/index.js';
import {
  addEpoch,
  changePassword,
  type KeyRecord,
  moveOn,
  newKeyRecord,
  passwordStrength,
  unlockKeyRecord,
  wholeRecord,
  withNewKeys,
  withoutKeys,
} from '../../crypto/index.js';
import { TardisError, usageError } from '../../errors/index.js';
import { changeKeys } from '../../server/index.js';
import {
  bucketAt,
  type ClientDirectory,
  createClientDirectory,
  fetchClient,
  lostKeys,
  openClientDirectory,
  withClient,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import { checkKeysOfNew } from '../../transport/login/index.js';
import {
  checkShown,
  keyFileOf,
  keysOf,
  keysOfKnown,
  promptFor,
  promptForNew,
} from '../opening/keys.js';
import { identityAt } from '../opening/known-state.js';
import { clientPlace, newPlace, newPlaceText, storeSystem } from '../opening/local-store.js';
import {
  askPassword,
  givenPassword,
  type MemorySettings,
  requireNewPassword,
  requirePassword,
  strengthLine,
  stretchFor,
} from '../opening/password.js';
import { noteStored, requireNewest, requireNewestThere } from '../opening/rollback.js';
import { requireNoWeb, serverPlace } from '../opening/server.js';
import { joinCodeIn, joiningBy, printCode, requireClientOf } from './join-codes.js';
import { print, printJson } from '../output/output.js';

export async function create(given: Settings<'sonic create'>): Promise<void> {
  const system = storeSystem(given.umask);
  const { codeFor, joinFile } = given;
  if (codeFor !== undefined) {
    await printCode(system, codeFor, given);
    return;
  }
  const code = joinFile && joinCodeIn(joinFile);
  if (code !== undefined && given.sources.get('client')?.source === 'command line') {
    requireClientOf(code, given.client);
  }
  const options = code === undefined ? given : { ...given, client: code.client };
  const { client, crypt } = options;
  const throughServer = code?.server ?? given.throughServer;
  const password = await givenPassword(options, promptForNew(client));
  if (throughServer !== undefined) {
    const request = requestTo(throughServer, options, password, true);
    const joining = code === undefined ? request : joiningBy(code, request);
    await withKeys(system, joining, () => Promise.resolve());
    printResult(options, `The client "${client}" is ready.`, { password });
    return;
  }
  const keyFile = keyFileOf(options);
  checkKeysOfNew({ password, encrypts: crypt, keyFile });
  const { store } = clientPlace(options);
  const bucket = bucketAt(store);
  if (bucket !== undefined) await fetchClient(system, bucket, client); // another machine may have made the client
  const made =
    password &&
    (await newKeyRecord(system.native.modPow, password, crypt, stretchFor(options))).record;
  const make = (keys: KeyRecord | undefined): Promise<ClientDirectory> =>
    createClientDirectory(system, {
      ...clientPlace(options),
      skipFile: options.storeSkipFile,
      ...(keys === undefined ? {} : { keys: keys.bytes }),
    });
  const { path: directory } =
    keyFile === undefined || made === undefined
      ? await make(made)
      : await withNewKeys(keyFile, client, made, () => make(withoutKeys(made)));
  if (made !== undefined) identityAt(options, undefined).made(made);
  const place = newPlace(store, directory, []);
  const text = `The client "${client}" is ready in ${newPlaceText(place)}.`;
  printResult(options, text, { password, facts: { ...place } });
}

export async function setPassword(options: Settings<'sonic setpass'>): Promise<void> {
  const { client, throughServer } = options;
  const system = storeSystem(options.umask);
  if (throughServer === undefined) requireNone(keysUnlessLost(system, options), client);
  const password = await requirePassword(options, promptForNew(client));
  await changeRecord(system, options, async (shown, store) => {
    requireNone(shown, client);
    // The existing contents are not encrypted, so a password does not make later ones encrypted.
    await store(
      (await newKeyRecord(system.native.modPow, password, false, stretchFor(options))).record,
    );
  });
  printResult(options, `The client "${client}" now has a password.`, { password });
}

export async function changePass(options: Settings<'sonic chpass'>): Promise<void> {
  const { client, throughServer } = options;
  const system = storeSystem(options.umask);
  const file = keyFileOf(options);
  const whole = (shown: KeyRecord | undefined): KeyRecord =>
    requireOne(wholeRecord(shown, file, client), client);
  const isLocal = throughServer === undefined;
  const before = isLocal ? whole(keysOfKnown(system, options)) : undefined;
  const old = await requirePassword(options, promptFor(client));
  if (before !== undefined) await unlockKeyRecord(before, old);
  const next = await requireNewPassword(options, promptForNew(client));
  await changeRecord(
    system,
    options,
    async (shown, store) => {
      const from = whole(shown);
      const to = (
        await changePassword(system.native.modPow, from, old, {
          password: next,
          parameters: stretchFor(options),
        })
      ).record;
      await moveOn(file, client, { from, to, keepsKeys: shown?.hasKeys === true }, store);
    },
    { password: old },
  );
  printResult(options, `The password of "${client}" is changed.`, { password: next });
}

/** Implements `sonic rotate`: encrypts later contents with a new key, and leaves the existing ones as they are. */
export async function rotate(options: Settings<'sonic rotate'>): Promise<void> {
  const { client, throughServer } = options;
  const system = storeSystem(options.umask);
  const file = keyFileOf(options);
  const whole = (shown: KeyRecord | undefined): KeyRecord =>
    requireEncrypting(wholeRecord(shown, file, client), client);
  if (throughServer === undefined) whole(keysOfKnown(system, options));
  const password = await requirePassword(options, promptFor(client));
  await changeRecord(
    system,
    options,
    async (shown, store) => {
      const from = whole(shown);
      const to = (await addEpoch(system.native.modPow, from, password)).record;
      await moveOn(file, client, { from, to, keepsKeys: shown?.hasKeys === true }, store);
    },
    { password },
  );
  printResult(options, `Data stored for "${client}" from now on is encrypted with a new key.`);
}

/**
 * A change of a key record. This function gets the newest record of the store, and may call `store` to add the next
 * record.
 */
export type RecordChange = (
  shown: KeyRecord | undefined,
  store: (record: KeyRecord) => Promise<void>,
) => Promise<void>;

interface RecordProof {
  /** The current password; undefined if there is none. */
  readonly password?: Buffer | undefined;
  /** Returns the number of the key file's record, if that record takes the place of the store's. */
  readonly ownNumber?: ((shown: KeyRecord) => number) | undefined;
}

/**
 * Changes the key record of a client, in its store or through a server. In a store the change is made under the
 * client's lock. So a session cannot read a partial change, and no concurrent change is lost.
 */
export async function changeRecord(
  system: System,
  options: RecordSettings,
  change: RecordChange,
  { password, ownNumber }: RecordProof = {},
): Promise<void> {
  const { throughServer } = options;
  if (throughServer !== undefined) {
    const request = requestTo(throughServer, options, password, false);
    if (password !== undefined) await requireNewestThere(system, options, request);
    await withKeys(system, request, ({ record }, store) =>
      change(record, async (next) => {
        await store(next);
        noteStored(options, next);
      }),
    );
    return;
  }
  const place = clientPlace(options);
  const directory = openClientDirectory(system, place);
  await withClient(system, directory, async () => {
    const shown = keysUnlessLost(system, options);
    const remember = await checkShown(options, shown, password);
    if (shown?.isEncrypting === true && !options.trustStore)
      requireNewest(system, options, ownNumber?.(shown));
    await change(shown, async (next) => {
      await changeKeys(system, directory, next.bytes);
      noteStored(options, next);
    });
    remember();
  });
}

/**
 * Returns the key record of a client. Returns undefined if a record is lost that had only a password and no encryption.
 * Throws KEYS_LOST, KEYS_DAMAGED.
 */
function keysUnlessLost(system: System, options: RecordSettings): KeyRecord | undefined {
  const place = clientPlace(options);
  const { path } = openClientDirectory(system, place);
  return lostKeys(system, path) === 'password' ? undefined : keysOf(system, place);
}

function requireNone(record: KeyRecord | undefined, client: string): void {
  if (record === undefined) return;
  throw new TardisError('PASSWORD_IS_SET', `the client "${client}" already has a password`);
}

export function requireOne(record: KeyRecord | undefined, client: string): KeyRecord {
  if (record !== undefined) return record;
  throw new TardisError('PASSWORD_NOT_SET', `the client "${client}" has no password`);
}

export function requireEncrypting(record: KeyRecord | undefined, client: string): KeyRecord {
  const found = requireOne(record, client);
  if (found.isEncrypting) return found;
  throw usageError(`the client "${client}" does not encrypt: there is no key to change`);
}

type RecordSettings =
  | Settings<'sonic setpass'>
  | Settings<'sonic chpass'>
  | Settings<'sonic rotate'>
  | Settings<'sonic keys'>;

function requestTo(
  host: string,
  options: Settings<'sonic create'> | RecordSettings,
  password: Buffer | undefined,
  isNew: boolean,
): KeysRequest {
  // A server that gets the verifier of a new password is not authenticated by that password.
  const isProven = password !== undefined && !isNew;
  requireNoWeb(host);
  const place = serverPlace(host, options, isProven);
  return {
    ...place,
    client: options.client,
    create: isNew,
    credentials: {
      password,
      ask: (over) => askPassword(promptFor(options.client), over),
      encrypts: 'crypt' in options ? options.crypt : true,
      stretch: 'passwordMemoryBytes' in options ? stretchFor(options) : undefined,
      keyFile: 'keysFile' in options ? keyFileOf(options) : undefined,
      fillsKeyFile: 'extractKeys' in options && options.extractKeys,
      identity: identityAt(options, place.address),
    },
    timeoutMs: options.timeoutSeconds * 1000,
  };
}

/** Commands that set no password lack the memory for guesses of it. */
type ResultSettings = Partial<MemorySettings> & SettingsNamed<'client' | 'json'>;

interface Done {
  /** The new password; undefined if there is none. */
  readonly password?: Buffer | undefined;
  /** Further facts for JSON. */
  readonly facts?: Record<string, string | boolean | number>;
}

/** Prints the result for a client, and the strength of a new password. */
export function printResult(
  { client, json, passwordMemoryBytes }: ResultSettings,
  text: string,
  { password, facts }: Done = {},
): void {
  if (json) {
    const strength = password === undefined ? {} : { strength: passwordStrength(password) };
    return printJson({ client, ...facts, ...strength });
  }
  print(text);
  if (password === undefined || passwordMemoryBytes === undefined) return;
  print(strengthLine(password, { passwordMemoryBytes }));
}
