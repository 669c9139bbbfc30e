/**
 * `sonic keys`: the wrapped keys of a client go from the store into a key file, as a copy or for good, and
 * back. In the store each step is a next key record; the keys are the same all along.
 */
import type { Found, Settings } from '../config/index.js';
import {
  changePassword,
  type KeyFile,
  type KeyRecord,
  keyFileText,
  moveOn,
  unlockKeyRecord,
  wholeRecord,
} from '../crypto/index.js';
import { TardisError } from '../errors/index.js';
import {
  openClientDirectory,
  removeOlderKeys,
  requireNoAccounts,
  withClient,
} from '../store/index.js';
import { nodeSystem, type System } from '../system/index.js';
import { qrImages, writePaper } from './keys-paper.js';
import { requirePassword } from './password.js';
import { JSON_VERSION, print } from './run-tool.js';
import { changeRecord, type RecordChange, requireEncrypting, tell } from './sonic-passwords.js';
import { KEY_FILE_UMASK, keyFileOf, keysOf, promptFor } from './unlock.js';
import { clientPlace, storeSystem } from './local-store.js';

type KeysOptions = Settings<'sonic keys'>;

/** What is to be done, and with what. */
interface Job {
  readonly system: System;
  readonly client: string;
  readonly file: KeyFile;
  readonly password: Buffer;
  /** The store is on this machine: its owner decides. */
  readonly isLocal: boolean;
}

export async function moveKeys(
  options: KeysOptions,
  found: ReadonlyMap<string, Found>,
): Promise<void> {
  const { client, extractKeys, insertKeys, removeKeys, printKeys, showKeys } = options;
  const file = keyFileOf(options);
  const isPaper = printKeys !== undefined || showKeys;
  if ([extractKeys, insertKeys, isPaper].filter(Boolean).length !== 1) {
    throw new TardisError('USAGE', 'give one of --extract and --insert, or --pdf and --qr');
  }
  if (isPaper) {
    const system = storeSystem(options.umask);
    requireKeysHere(system, options);
    const password = await requirePassword(options, found, promptFor(client));
    return putOnPaper(system, options, file, password);
  }
  if (removeKeys && !extractKeys) throw new TardisError('USAGE', '--remove goes with --extract');
  if (file === undefined) throw new TardisError('USAGE', 'name the key file by --keys');
  if (insertKeys) file.read(); // before a password is asked for
  const system = storeSystem(options.umask);
  const isLocal = options.throughServer === undefined;
  requireKeysHere(system, options);
  if (isLocal && removeKeys) {
    // Asked here too, before the file is touched: the server's own check comes behind that.
    requireNoAccounts(system, openClientDirectory(system, clientPlace(options)).path);
  }
  const ask = promptFor(client);
  const password = await requirePassword(options, found, ask);
  const job = { system, client, file, password, isLocal };
  const change = insertKeys ? insertInto(job) : removeKeys ? takeOut(job) : copyOut(job);
  await changeRecord(system, options, password, change);
  if (!removeKeys) {
    const text = insertKeys
      ? `The store has the keys of "${client}". The key file has them too, and may be removed.`
      : `The key file has the keys of "${client}". The store has them too.`;
    tell(options.json, undefined, { client }, text);
    return;
  }
  const olderRemoved = isLocal ? await forgetOlder(job, options) : 0;
  const text = isLocal
    ? `The keys of "${client}" are in the key file only. Do not lose it.`
    : `The store has a key record without keys of "${client}". Older ones, with keys, are gone when the same is ` +
      'done on its machine, with -D. Do not lose the key file.';
  tell(options.json, undefined, { client, olderRemoved, olderStay: !isLocal }, text);
}

/** Before a password is asked for; a server tells it after that. Throws PASSWORD_NOT_SET, USAGE. */
function requireKeysHere(system: System, options: KeysOptions): void {
  if (options.throughServer !== undefined) return;
  requireEncrypting(keysOf(system, clientPlace(options)), options.client);
}

/** The keys of the store, or of the file where that has them, for a printer or as an image of characters. */
async function putOnPaper(
  system: System,
  options: KeysOptions,
  file: KeyFile | undefined,
  password: Buffer,
): Promise<void> {
  const { client, printKeys, showKeys, json } = options;
  let text: Buffer = Buffer.alloc(0);
  await changeRecord(system, options, password, async (shown) => {
    const record = wholeRecord(requireEncrypting(shown, client), file, client)!;
    await unlockKeyRecord(record, password);
    text = keyFileText(client, record);
  });
  if (printKeys !== undefined)
    await writePaper(nodeSystem(KEY_FILE_UMASK), printKeys, { client, text });
  const qr = showKeys ? await qrImages(text) : undefined;
  if (json && qr !== undefined) {
    print(JSON.stringify({ version: JSON_VERSION, client, qr }));
    return;
  }
  for (const image of qr ?? []) print(image);
  if (printKeys === undefined) return;
  const what =
    'With it and the password the keys are as they are now: a later change needs another paper.';
  tell(json, undefined, { client }, `The wrapped keys of "${client}" are in the PDF. ${what}`);
}

/** The keys of the store into the file, which then has their record. Throws KEY_FILE_DIFFERS rather than to lose a newer one. */
async function extract({ client, file, password }: Job, shown: KeyRecord): Promise<KeyRecord> {
  if (!shown.hasKeys) {
    const record = file.recordOf(shown, client);
    await unlockKeyRecord(record, password);
    return record;
  }
  await unlockKeyRecord(shown, password);
  const newest = file.recordsOf(shown.keysetId).at(-1);
  if (newest === undefined || newest.number < shown.number) await file.put(client, [shown]);
  return file.recordOf(shown, client);
}

function copyOut(job: Job): RecordChange {
  return async (shown) => {
    await extract(job, requireEncrypting(shown, job.client));
  };
}

/** The store gets a next record without keys; where it has one already, nothing is left to do. */
function takeOut(job: Job): RecordChange {
  const { system, client, file, password } = job;
  return async (shown, store) => {
    const from = await extract(job, requireEncrypting(shown, client));
    if (shown?.hasKeys !== true) return;
    const to = (await changePassword(system.native.modPow, from, password, password)).record;
    await moveOn(file, client, { from, to, keepsKeys: false }, store);
  };
}

/** The store gets a next record with keys; where it has one, it must be the file's. */
function insertInto(job: Job): RecordChange {
  const { system, client, file, password } = job;
  return async (shown, store) => {
    const before = requireEncrypting(shown, client);
    const from = fromFile(job, before);
    await unlockKeyRecord(from, password);
    if (before.hasKeys) return;
    const next = { ...from, number: before.number };
    const to = (await changePassword(system.native.modPow, next, password, password)).record;
    await moveOn(file, client, { from, to, keepsKeys: true }, store);
  };
}

/** Who put back an older copy of a store may go on with his newer key file. */
function fromFile({ client, file, isLocal }: Job, shown: KeyRecord): KeyRecord {
  const newest = file.recordsOf(shown.keysetId).at(-1);
  const isPutBack = isLocal && !shown.hasKeys && (newest?.number ?? 0) > shown.number;
  return isPutBack ? newest! : file.recordOf(shown, client);
}

/**
 * Removes the key records before the newest one, if that has no keys and its keys are in the file. Returns
 * how many.
 */
async function forgetOlder({ system, client, file }: Job, options: KeysOptions): Promise<number> {
  const directory = openClientDirectory(system, clientPlace(options));
  return withClient(system, directory, async () => {
    const newest = requireEncrypting(keysOf(system, clientPlace(options)), client);
    if (newest.hasKeys) return 0; // somebody was quicker, and has put them back
    file.recordOf(newest, client);
    return removeOlderKeys(system, directory.path, newest.number);
  });
}
