/** `sonic create`, `setpass` and `chpass`: clients and their passwords, in a store or through a server. */
import { type KeysRequest, withKeys } from '../client/index.js';
import type { Found, Settings } from '../config/index.js';
import {
  addEpoch,
  changePassword,
  type KeyRecord,
  newKeyRecord,
  passwordStrength,
  unlockKeyRecord,
} from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import { changeKeys } from '../server/index.js';
import { acquireClient, createClientDirectory, openClientDirectory } from '../store/index.js';
import { nodeSystem, type System } from '../system/index.js';
import { askPassword, givenNewPassword, givenPassword, strengthLine } from './password.js';
import { clientPlace, JSON_VERSION, print } from './run-tool.js';
import { serverPlace } from './server-address.js';
import { keysOf, promptFor } from './unlock.js';

type Sources = ReadonlyMap<string, Found>;

/** The system, where files and directories get the permissions of the settings, and no others. */
export function storeSystem(umask: number): System {
  process.umask(umask);
  return nodeSystem(umask);
}

export async function create(options: Settings<'sonic create'>, found: Sources): Promise<void> {
  const { client } = options;
  const system = storeSystem(options.umask);
  const ask = { prompt: `New password of ${client}`, isNew: true };
  const password = await givenPassword(options, found, ask);
  if (options.throughServer !== undefined) {
    const request = requestTo(options.throughServer, options, password, true);
    await withKeys(system, request, () => Promise.resolve(undefined));
    tell(options.json, password, { client }, `The client "${client}" is ready.`);
    return;
  }
  const made = password && (await newKeyRecord(system.native.modPow, password, options.crypt));
  const { path } = await createClientDirectory(system, {
    ...clientPlace(options),
    skipFile: options.storeSkipFile,
    ...(made === undefined ? {} : { keys: made.record.bytes }),
  });
  tell(options.json, password, { client, path }, `The client "${client}" is ready in ${path}.`);
}

export async function setPassword(
  options: Settings<'sonic setpass'>,
  found: Sources,
): Promise<void> {
  const { client } = options;
  const system = storeSystem(options.umask);
  const { throughServer } = options;
  const isLocal = throughServer === undefined;
  if (isLocal) requireNone(keysOf(system, clientPlace(options)), client);
  const ask = { prompt: `New password of ${client}`, isNew: true };
  const password = (await givenPassword(options, found, ask)) ?? (await askPassword(ask));
  const change = async (record: KeyRecord | undefined): Promise<KeyRecord> => {
    requireNone(record, client);
    // What is there is not encrypted, so what comes is not either.
    return (await newKeyRecord(system.native.modPow, password, false)).record;
  };
  if (isLocal) await changeLocally(system, options, change);
  else {
    const request = requestTo(throughServer, options, undefined, false);
    await withKeys(system, request, ({ record }) => change(record));
  }
  tell(options.json, password, { client }, `The client "${client}" has a password now.`);
}

export async function changePass(options: Settings<'sonic chpass'>, found: Sources): Promise<void> {
  const { client } = options;
  const system = storeSystem(options.umask);
  const { throughServer } = options;
  const isLocal = throughServer === undefined;
  const ask = promptFor(client);
  if (isLocal) requireOne(keysOf(system, clientPlace(options)), client);
  const old = (await givenPassword(options, found, ask)) ?? (await askPassword(ask));
  if (isLocal) await unlockKeyRecord(requireOne(keysOf(system, clientPlace(options)), client), old);
  const askNew = { prompt: `New password of ${client}`, isNew: true };
  const next = (await givenNewPassword(options, found, askNew)) ?? (await askPassword(askNew));
  const change = async (record: KeyRecord | undefined): Promise<KeyRecord> => {
    const before = requireOne(record, client);
    return (await changePassword(system.native.modPow, before, old, next)).record;
  };
  if (isLocal) await changeLocally(system, options, change);
  else {
    const request = requestTo(throughServer, options, old, false);
    await withKeys(system, request, ({ record }) => change(record));
  }
  tell(options.json, next, { client }, `The password of "${client}" is changed.`);
}

/** `sonic rotate`: what is stored stays as it is; what comes is encrypted with another key. */
export async function rotate(options: Settings<'sonic rotate'>, found: Sources): Promise<void> {
  const { client, throughServer } = options;
  const system = storeSystem(options.umask);
  const isLocal = throughServer === undefined;
  if (isLocal) requireEncrypting(keysOf(system, clientPlace(options)), client);
  const ask = promptFor(client);
  const password = (await givenPassword(options, found, ask)) ?? (await askPassword(ask));
  const change = async (record: KeyRecord | undefined): Promise<KeyRecord> => {
    const before = requireEncrypting(record, client);
    return (await addEpoch(system.native.modPow, before, password)).record;
  };
  if (isLocal) await changeLocally(system, options, change);
  else {
    const request = requestTo(throughServer, options, password, false);
    await withKeys(system, request, ({ record }) => change(record));
  }
  const text = `What is stored for "${client}" from now on is encrypted with a new key.`;
  tell(options.json, undefined, { client }, text);
}

/** Under the client's lock, so that no session sees half of it and no other change is lost. */
async function changeLocally(
  system: System,
  options: Parameters<typeof clientPlace>[0],
  change: (record: KeyRecord | undefined) => Promise<KeyRecord>,
): Promise<void> {
  const place = clientPlace(options);
  const directory = openClientDirectory(system, place);
  const lock = await acquireClient(system, directory);
  try {
    await changeKeys(system, directory, (await change(keysOf(system, place))).bytes);
  } finally {
    lock.release();
  }
}

function requireNone(record: KeyRecord | undefined, client: string): void {
  if (record === undefined) return;
  throw new TardisError('PASSWORD_IS_SET', `the client "${client}" has a password already`);
}

function requireOne(record: KeyRecord | undefined, client: string): KeyRecord {
  if (record !== undefined) return record;
  throw new TardisError('PASSWORD_NOT_SET', `the client "${client}" has no password`);
}

function requireEncrypting(record: KeyRecord | undefined, client: string): KeyRecord {
  const found = requireOne(record, client);
  if (found.isEncrypting) return found;
  throw new TardisError(
    'USAGE',
    `the client "${client}" does not encrypt: there is no key to change`,
  );
}

function requestTo(
  host: string,
  options:
    | Settings<'sonic create'>
    | Settings<'sonic setpass'>
    | Settings<'sonic chpass'>
    | Settings<'sonic rotate'>,
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
    },
    timeoutMs: options.timeoutSeconds * 1000,
  };
}

/** Tells what was done, and of a new password how strong it is. */
function tell(
  asJson: boolean,
  password: Buffer | undefined,
  done: Record<string, string>,
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
