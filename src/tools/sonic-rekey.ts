/**
 * `sonic rekey` and `sonic encrypt`: a client written anew with other keys, in a store on this machine; and what of an
 * encrypting client is to be forgotten.
 */
import type { Found, Settings } from '../config/index.js';
import {
  type FormerKeys,
  type Keyring,
  type KeyRecord,
  keyringOf,
  type MasterKey,
  meetKeys,
  parseKeyRecord,
  replaceKeys,
  unlockKeyRecord,
} from '../crypto/index.js';
import { asTardisError, TardisError } from '../errors/index.js';
import type { ForgetRequest } from '../model/index.js';
import {
  Generations,
  rekeyClient,
  type RekeyResult,
  removeOld,
  requestsDigest,
} from '../rekey/index.js';
import { listAccounts, newestKeys, openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import { givenNewPassword, requirePassword, strengthLine } from './password.js';
import { withRekeyProgress } from './rekey-progress.js';
import { interruptSignal, JSON_VERSION, print } from './run-tool.js';
import { requireYes } from './confirm.js';
import { formatBytes, formatCount } from './units.js';
import { promptFor } from './unlock.js';
import { clientPlace, storeSystem, storeLimits } from './local-store.js';

type Forgetting = Settings<'sonic forget-path'> & { readonly yes: boolean };
type Options = Settings<'sonic rekey'> | Settings<'sonic encrypt'> | Forgetting;
type Sources = ReadonlyMap<string, Found>;

/** What a second generation is made with. */
interface Keys {
  /** Undefined: the first generation does not encrypt. */
  readonly oldKeyring: Keyring | undefined;
  readonly record: KeyRecord;
  readonly masters: readonly MasterKey[];
  /** Only if it is a new one. */
  readonly newPassword: Buffer | undefined;
}

const DONE = {
  'sonic rekey': 'has new keys',
  'sonic encrypt': 'is encrypted',
  'sonic forget-path': 'has forgotten that, and has new keys',
} as const;

/** `sonic rekey`: new keys for all that an encrypting client has. */
export async function rekey(options: Settings<'sonic rekey'>, found: Sources): Promise<number> {
  return withGenerations('sonic rekey', options, [], async (system, generations) => {
    const { client } = options;
    const { password, former } = await ownKeys(system, generations, options, found);
    const askNew = { prompt: `New password of ${client}`, isNew: true };
    const next = await givenNewPassword(options, found, askNew);
    const fresh = await freshKeys(system, generations, next ?? password, former, '');
    return { ...fresh, oldKeyring: openKeyring(system, former), newPassword: next };
  });
}

/** `sonic encrypt`: keys for a client that had none, or whose keys have only waited. */
export async function encrypt(options: Settings<'sonic encrypt'>, found: Sources): Promise<number> {
  return withGenerations('sonic encrypt', options, [], async (system, generations) => {
    const { client } = options;
    const before = recordIn(system, generations.first.path);
    if (before?.isEncrypting === true) {
      throw new TardisError('CLIENT_ENCRYPTS', `the client "${client}" encrypts already`);
    }
    const isNew = before === undefined && generations.stage() !== 'making';
    const ask = isNew ? { prompt: `New password of ${client}`, isNew: true } : promptFor(client);
    const password = await requirePassword(options, found, ask);
    const former = before && (await unlocked(before, password));
    const fresh = await freshKeys(system, generations, password, former, '');
    return { ...fresh, oldKeyring: undefined, newPassword: isNew ? password : undefined };
  });
}

/** New keys, with the same password, for an encrypting client that forgets some paths. */
export async function rekeyWithout(
  options: Forgetting,
  found: Sources,
  requests: readonly ForgetRequest[],
): Promise<number> {
  const without = requestsDigest(requests);
  return withGenerations('sonic forget-path', options, requests, async (system, generations) => {
    const { password, former } = await ownKeys(system, generations, options, found);
    const fresh = await freshKeys(system, generations, password, former, without);
    return { ...fresh, oldKeyring: openKeyring(system, former), newPassword: undefined };
  });
}

/** The keys of an encrypting client, by its password. */
async function ownKeys(
  system: System,
  generations: Generations,
  options: Settings<'sonic rekey'> | Forgetting,
  found: Sources,
): Promise<{ password: Buffer; former: FormerKeys }> {
  const { client } = options;
  const before = recordIn(system, generations.first.path);
  if (before === undefined || !before.isEncrypting) {
    const what = `the client "${client}" does not encrypt`;
    throw new TardisError('USAGE', `${what}: \`sonic encrypt\` makes it encrypt`);
  }
  const password = await requirePassword(options, found, promptFor(client));
  return { password, former: await unlocked(before, password) };
}

/** Gives an unfinished second generation up, whatever it was begun for. */
export async function abortRekey(options: Settings<'sonic forget-path'>): Promise<number> {
  return withGenerations('sonic forget-path', { ...options, yes: true }, [], () => {
    throw new TardisError('INTERNAL', 'nothing is made here');
  });
}

/** What all have in common: whatever an earlier run has left is finished, given up or gone on with. */
async function withGenerations(
  tool: keyof typeof DONE,
  options: Options,
  requests: readonly ForgetRequest[],
  keysFor: (system: System, generations: Generations) => Promise<Keys>,
): Promise<number> {
  const system = storeSystem(options.umask);
  const generations = new Generations(system, openClientDirectory(system, clientPlace(options)));
  const lock = await generations.lock();
  try {
    if (options.abort) return await giveUp(options, generations);
    return await run(tool, options, requests, system, generations, keysFor);
  } finally {
    lock.release();
  }
}

async function run(
  tool: keyof typeof DONE,
  options: Options,
  requests: readonly ForgetRequest[],
  system: System,
  generations: Generations,
  keysFor: (system: System, generations: Generations) => Promise<Keys>,
): Promise<number> {
  const { client } = options;
  const stage = generations.stage();
  if (stage === 'switched') {
    await withRekeyProgress(system, options.progress, (onProgress) =>
      removeOld(generations, onProgress),
    );
    tell(
      options,
      'finished',
      undefined,
      `What an earlier run had left of the old generation of "${client}" is removed; its keys are those of that run.`,
    );
    return 0;
  }
  if (stage === 'begun') await generations.removeSecond();
  const keys = await keysFor(system, generations);
  confirm(options, system, generations);
  if (stage !== 'making')
    await begin(generations, keys.record, options.storeSkipFile, requestsDigest(requests));
  const keyring = openKeyring(system, { record: keys.record, keys: keys.masters });
  const result = await withRekeyProgress(system, options.progress, (onProgress) =>
    rekeyClient(system, {
      generations,
      oldKeyring: keys.oldKeyring,
      keyring,
      forgotten: requests,
      limits: storeLimits(),
      verify: options.verify,
      acceptDamage: options.acceptDamage,
      signal: interruptSignal(tool, 'the same command goes on with it'),
      onProgress,
    }),
  );
  meetKeys(keys.record, keys.masters);
  const { sets, contents, storedBytes, lostVersions } = result;
  const what = DONE[tool];
  const amount = `${formatCount(sets)} sets, ${formatCount(contents)} contents, ${formatBytes(storedBytes)}`;
  tell(options, 'done', result, `The client "${client}" ${what}: ${amount}.`);
  if (keys.newPassword !== undefined && !options.json) print(strengthLine(keys.newPassword));
  if (lostVersions === 0) return 0;
  if (!options.json)
    print(`The contents of ${formatCount(lostVersions)} versions of files were lost before.`);
  return 3;
}

async function giveUp(options: Options, generations: Generations): Promise<number> {
  const { client } = options;
  const stage = generations.stage();
  if (stage === 'switched') {
    throw new TardisError(
      'USAGE',
      `the new generation of "${client}" is in its place already: run this without --abort to finish`,
    );
  }
  if (stage === 'none') {
    throw new TardisError('USAGE', `of "${client}" there is no unfinished generation`);
  }
  await generations.removeSecond();
  tell(options, 'aborted', undefined, `The unfinished generation of "${client}" is removed.`);
  return 0;
}

/** Throws CONFIRMATION_NEEDED. */
function confirm({ yes, client }: Options, system: System, { first }: Generations): void {
  if (yes) return;
  const accounts = listAccounts(system, first.path).map(({ name }) => name);
  const gone =
    accounts.length === 0 ? '' : ` Its accounts (${accounts.join(', ')}) are not taken along.`;
  const question = `When all of "${client}" is written anew and compared, ${first.path} as it is now is removed.${gone} Go on?`;
  requireYes(question, `the old generation of "${client}" would be removed at the end`);
}

async function begin(
  generations: Generations,
  { bytes }: KeyRecord,
  skipFile: string,
  without: string,
): Promise<void> {
  try {
    await generations.begin(bytes, skipFile, without);
  } catch (error) {
    await generations.removeSecond().catch(() => undefined); // the failure that led here is the one to tell
    throw error;
  }
}

/**
 * New keys; those of an earlier run, if it has begun. Throws LOGIN_FAILED for another password than that run
 * had, KEYS_DAMAGED when that run began with another generation.
 */
async function freshKeys(
  system: System,
  generations: Generations,
  password: Buffer,
  former: FormerKeys | undefined,
  without: string,
): Promise<Pick<Keys, 'record' | 'masters'>> {
  if (generations.stage() !== 'making') {
    const { record } = await replaceKeys(system.native.modPow, password, former);
    const { keys: masters } = await unlockKeyRecord(record, password);
    return { record, masters };
  }
  const record = recordIn(system, generations.second.path);
  const marker = generations.marker();
  const wanted = record && generations.markerFor(record.bytes, without);
  const isSame =
    record !== undefined &&
    marker?.clientId === wanted?.clientId &&
    marker?.from === wanted?.from &&
    marker?.to === wanted?.to &&
    marker?.without === wanted?.without;
  if (!isSame) {
    const what = `${generations.second.path} was made from another generation`;
    throw new TardisError('KEYS_DAMAGED', `${what}: remove it with --abort`);
  }
  try {
    const { keys: masters } = await unlockKeyRecord(record, password);
    return { record, masters };
  } catch (error) {
    if (asTardisError(error).code !== 'LOGIN_FAILED') throw error;
    const what = 'the unfinished run was begun with another new password';
    throw new TardisError('LOGIN_FAILED', `${what}: give that one, or begin anew after --abort`);
  }
}

async function unlocked(record: KeyRecord, password: Buffer): Promise<FormerKeys> {
  if (!record.hasKeys) {
    throw new TardisError(
      'KEYS_ELSEWHERE',
      'the new keys go into the store: put the present ones there first (`sonic keys --insert`)',
    );
  }
  const { keys } = await unlockKeyRecord(record, password);
  meetKeys(record, keys);
  return { record, keys };
}

function openKeyring(system: System, { record, keys }: FormerKeys): Keyring {
  return keyringOf(system.native, record, keys);
}

function recordIn(system: System, directory: string): KeyRecord | undefined {
  const keys = newestKeys(system, directory);
  return keys && parseKeyRecord(keys.bytes);
}

function tell(
  { json, client }: Options,
  state: 'done' | 'finished' | 'aborted',
  result: RekeyResult | undefined,
  text: string,
): void {
  print(json ? JSON.stringify({ version: JSON_VERSION, client, state, ...result }) : text);
}
