/** `sonic create`, `setpass`, `chpass` and `rotate`: clients and their passwords, in a store or through a server. */
import { type KeysRequest, withKeys } from '../client/index.js';
import type { Found, Settings } from '../config/index.js';
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
} from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import { checkKeysOfNew } from '../login/index.js';
import { changeKeys } from '../server/index.js';
import {
  type ClientDirectory,
  createClientDirectory,
  openClientDirectory,
  withClient,
} from '../store/index.js';
import type { System } from '../system/index.js';
import {
  askPassword,
  givenPassword,
  requireNewPassword,
  requirePassword,
  strengthLine,
} from './password.js';
import { JSON_VERSION, print } from './run-tool.js';
import { serverPlace } from './server-address.js';
import { keyFileOf, keysOf, promptFor } from './unlock.js';
import { clientPlace, storeSystem } from './local-store.js';

type Sources = ReadonlyMap<string, Found>;

export async function create(options: Settings<'sonic create'>, found: Sources): Promise<void> {
  const { client, throughServer, crypt } = options;
  const system = storeSystem(options.umask);
  const ask = { prompt: `New password of ${client}`, isNew: true };
  const password = await givenPassword(options, found, ask);
  if (throughServer !== undefined) {
    const request = requestTo(throughServer, options, password, true);
    await withKeys(system, request, () => Promise.resolve());
    tell(options.json, password, { client }, `The client "${client}" is ready.`);
    return;
  }
  const keyFile = keyFileOf(options);
  checkKeysOfNew({ password, encrypts: crypt, keyFile });
  const made = password && (await newKeyRecord(system.native.modPow, password, crypt)).record;
  const make = (keys: KeyRecord | undefined): Promise<ClientDirectory> =>
    createClientDirectory(system, {
      ...clientPlace(options),
      skipFile: options.storeSkipFile,
      ...(keys === undefined ? {} : { keys: keys.bytes }),
    });
  const { path } =
    keyFile === undefined || made === undefined
      ? await make(made)
      : await withNewKeys(keyFile, client, made, () => make(withoutKeys(made)));
  tell(options.json, password, { client, path }, `The client "${client}" is ready in ${path}.`);
}

export async function setPassword(
  options: Settings<'sonic setpass'>,
  found: Sources,
): Promise<void> {
  const { client, throughServer } = options;
  const system = storeSystem(options.umask);
  if (throughServer === undefined) requireNone(keysOf(system, clientPlace(options)), client);
  const ask = { prompt: `New password of ${client}`, isNew: true };
  const password = await requirePassword(options, found, ask);
  await changeRecord(system, options, undefined, async (shown, store) => {
    requireNone(shown, client);
    // What is there is not encrypted, so what comes is not either.
    await store((await newKeyRecord(system.native.modPow, password, false)).record);
  });
  tell(options.json, password, { client }, `The client "${client}" has a password now.`);
}

export async function changePass(options: Settings<'sonic chpass'>, found: Sources): Promise<void> {
  const { client, throughServer } = options;
  const system = storeSystem(options.umask);
  const file = keyFileOf(options);
  const whole = (shown: KeyRecord | undefined): KeyRecord =>
    requireOne(wholeRecord(shown, file, client), client);
  const isLocal = throughServer === undefined;
  const before = isLocal ? whole(keysOf(system, clientPlace(options))) : undefined;
  const ask = promptFor(client);
  const old = await requirePassword(options, found, ask);
  if (before !== undefined) await unlockKeyRecord(before, old);
  const askNew = { prompt: `New password of ${client}`, isNew: true };
  const next = await requireNewPassword(options, found, askNew);
  await changeRecord(system, options, old, async (shown, store) => {
    const from = whole(shown);
    const to = (await changePassword(system.native.modPow, from, old, next)).record;
    await moveOn(file, client, { from, to, keepsKeys: shown?.hasKeys === true }, store);
  });
  tell(options.json, next, { client }, `The password of "${client}" is changed.`);
}

/** `sonic rotate`: what is stored stays as it is; what comes is encrypted with another key. */
export async function rotate(options: Settings<'sonic rotate'>, found: Sources): Promise<void> {
  const { client, throughServer } = options;
  const system = storeSystem(options.umask);
  const file = keyFileOf(options);
  const whole = (shown: KeyRecord | undefined): KeyRecord =>
    requireEncrypting(wholeRecord(shown, file, client), client);
  if (throughServer === undefined) whole(keysOf(system, clientPlace(options)));
  const ask = promptFor(client);
  const password = await requirePassword(options, found, ask);
  await changeRecord(system, options, password, async (shown, store) => {
    const from = whole(shown);
    const to = (await addEpoch(system.native.modPow, from, password)).record;
    await moveOn(file, client, { from, to, keepsKeys: shown?.hasKeys === true }, store);
  });
  const text = `What is stored for "${client}" from now on is encrypted with a new key.`;
  tell(options.json, undefined, { client }, text);
}

/** Sees the key record that the store has, and may store the next one. */
export type RecordChange = (
  shown: KeyRecord | undefined,
  store: (record: KeyRecord) => Promise<void>,
) => Promise<void>;

/**
 * Changes the key record of a client, in its store or through a server; `password` is the one it has now. In
 * the store it is done under the client's lock, so that no session sees half of it and no other change is lost.
 */
export async function changeRecord(
  system: System,
  options: RecordSettings,
  password: Buffer | undefined,
  change: RecordChange,
): Promise<void> {
  const { throughServer } = options;
  if (throughServer !== undefined) {
    const request = requestTo(throughServer, options, password, false);
    await withKeys(system, request, ({ record }, store) => change(record, store));
    return;
  }
  const place = clientPlace(options);
  const directory = openClientDirectory(system, place);
  await withClient(system, directory, () =>
    change(keysOf(system, place), async ({ bytes }) => {
      await changeKeys(system, directory, bytes);
    }),
  );
}

function requireNone(record: KeyRecord | undefined, client: string): void {
  if (record === undefined) return;
  throw new TardisError('PASSWORD_IS_SET', `the client "${client}" has a password already`);
}

export function requireOne(record: KeyRecord | undefined, client: string): KeyRecord {
  if (record !== undefined) return record;
  throw new TardisError('PASSWORD_NOT_SET', `the client "${client}" has no password`);
}

export function requireEncrypting(record: KeyRecord | undefined, client: string): KeyRecord {
  const found = requireOne(record, client);
  if (found.isEncrypting) return found;
  throw new TardisError(
    'USAGE',
    `the client "${client}" does not encrypt: there is no key to change`,
  );
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
  // A server that is given a new password's verifier is not proven by it.
  const isProven = password !== undefined && !isNew;
  return {
    ...serverPlace(host, options, isProven),
    client: options.client,
    create: isNew,
    credentials: {
      password,
      ask: (over) => askPassword(promptFor(options.client), over),
      encrypts: 'crypt' in options ? options.crypt : true,
      keyFile: 'keysFile' in options ? keyFileOf(options) : undefined,
    },
    timeoutMs: options.timeoutSeconds * 1000,
  };
}

/** Tells what was done, and of a new password how strong it is. */
export function tell(
  asJson: boolean,
  password: Buffer | undefined,
  done: Record<string, string | boolean | number>,
  text: string,
): void {
  if (asJson) {
    const strength = password === undefined ? {} : { strength: passwordStrength(password) };
    print(JSON.stringify({ version: JSON_VERSION, ...done, ...strength }));
    return;
  }
  print(text);
  if (password !== undefined) print(strengthLine(password));
}
