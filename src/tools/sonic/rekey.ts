/**
 * Implements `sonic rekey` and `sonic encrypt`, which rewrite a client with other keys in a store on this machine. For
 * `sonic forget-path`, it rewrites an encrypting client without the forgotten paths.
 */
import type { Settings } from '../../config/index.js';
import {
  type FormerKeys,
  type Keyring,
  type KeyRecord,
  keyringOf,
  parseKeyRecord,
  replaceKeys,
  type StretchParameters,
  unlockKeyRecord,
} from '../../crypto/index.js';
import { asTardisError, TardisError, usageError } from '../../errors/index.js';
import type { ForgetRequest } from '../../model/index.js';
import {
  Generations,
  rewriteClient,
  type RewriteResult,
  removeOld,
  requestsDigest,
  requireOwnPacks,
} from '../../maintenance/rewrite/index.js';
import { listAccounts, newestKeys, openClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import {
  givenNewPassword,
  requirePassword,
  strengthLine,
  stretchFor,
} from '../opening/password.js';
import { withRewriteProgress } from '../output/step-progress.js';
import { interruptSignal } from '../shared/signals.js';
import { PARTLY } from '../output/exit-status.js';
import { jsonText, print } from '../output/output.js';
import { requireYes } from './confirm.js';
import { formatBytes, formatCount } from '../output/units.js';
import { identityAt, type IdentitySettings } from '../opening/known-state.js';
import { bringAccounts, keysOf, rememberOpened, promptFor, promptForNew } from '../opening/keys.js';
import { clientPlace, storeSystem, storeLimits } from '../opening/local-store.js';

type Forgetting = Settings<'sonic forget-path'> & { readonly yes: boolean };
type Options = Settings<'sonic rekey'> | Settings<'sonic encrypt'> | Forgetting;
/** The keys that are replaced, and the password of the new ones. */
interface Unlocked {
  /** Undefined if the client had none. */
  readonly former: FormerKeys | undefined;
  readonly password: Buffer;
  /** The password if it is a new one; otherwise undefined. */
  readonly newPassword?: Buffer | undefined;
}

const DONE = {
  'sonic rekey': 'has new keys',
  'sonic encrypt': 'is encrypted',
  'sonic forget-path': 'has forgotten these paths, and has new keys',
} as const;

/** Implements `sonic rekey`: rewrites an encrypting client with new keys. */
export async function rekey(options: Settings<'sonic rekey'>): Promise<number> {
  return withGenerations('sonic rekey', options, [], async (system, generations) => {
    const { client } = options;
    const { password, former } = await ownKeys(system, generations, options);
    const next = await givenNewPassword(options, promptForNew(client));
    return { former, password: next ?? password, newPassword: next };
  });
}

/**
 * Implements `sonic encrypt`: encrypts a client that has no password, or has a password without encryption. Throws
 * CLIENT_ENCRYPTS.
 */
export async function encrypt(options: Settings<'sonic encrypt'>): Promise<number> {
  return withGenerations('sonic encrypt', options, [], async (system, generations) => {
    const { client } = options;
    const before = keysOf(system, clientPlace(options));
    if (before?.isEncrypting === true) {
      throw new TardisError('CLIENT_ENCRYPTS', `the client "${client}" already encrypts`);
    }
    const isNew = before === undefined && generations.stage() !== 'making';
    const ask = isNew ? promptForNew(client) : promptFor(client);
    const password = await requirePassword(options, ask);
    if (before === undefined) identityAt(options, undefined).requirePlain();
    const former = before && (await unlocked(options, before, password));
    return { former, password, newPassword: isNew ? password : undefined };
  });
}

/** Rewrites an encrypting client without some paths, with new keys and the same password. */
export async function rewriteWithout(
  options: Forgetting,
  requests: readonly ForgetRequest[],
): Promise<number> {
  return withGenerations('sonic forget-path', options, requests, (system, generations) =>
    ownKeys(system, generations, options),
  );
}

/** Unlocks the keys of an encrypting client with its password. */
async function ownKeys(
  system: System,
  generations: Generations,
  options: Settings<'sonic rekey'> | Forgetting,
): Promise<Unlocked & { readonly former: FormerKeys }> {
  const { client } = options;
  const before = recordIn(system, generations.first.path);
  if (before === undefined || !before.isEncrypting) {
    identityAt(options, undefined).requirePlain();
    const what = `the client "${client}" does not encrypt`;
    throw usageError(`${what}: use \`sonic encrypt\``);
  }
  const password = await requirePassword(options, promptFor(client));
  return { password, former: await unlocked(options, before, password) };
}

/** Removes the unfinished generation that an interrupted `sonic rekey`, `encrypt` or `forget-path` has left. */
export async function abortRewrite(options: Settings<'sonic forget-path'>): Promise<number> {
  return withGenerations('sonic forget-path', { ...options, yes: true }, [], () => {
    throw new TardisError('INTERNAL', 'no keys are made here');
  });
}

/** Runs a rewrite while its lock is held. An unfinished earlier run is completed, removed or continued. */
async function withGenerations(
  tool: keyof typeof DONE,
  options: Options,
  requests: readonly ForgetRequest[],
  keysFor: (system: System, generations: Generations) => Promise<Unlocked>,
): Promise<number> {
  const system = storeSystem(options.umask);
  const generations = new Generations(system, openClientDirectory(system, clientPlace(options)));
  using _lock = await generations.lock();
  if (options.abort) return await giveUp(options, generations);
  return await run(system, generations, { tool, options, requests, keysFor });
}

/** A rewrite with the settings of the user. */
interface Rewrite {
  readonly tool: keyof typeof DONE;
  readonly options: Options;
  readonly requests: readonly ForgetRequest[];
  readonly keysFor: (system: System, generations: Generations) => Promise<Unlocked>;
}

async function run(
  system: System,
  generations: Generations,
  { tool, options, requests, keysFor }: Rewrite,
): Promise<number> {
  const { client } = options;
  const stage = await generations.state();
  if (stage === 'switched') {
    await withRewriteProgress(system, options.progress, (onProgress) =>
      removeOld(generations, onProgress),
    );
    printResult(
      options,
      'finished',
      undefined,
      `The rest of the old generation of "${client}" was removed; the client has the keys of the earlier run.`,
    );
    return 0;
  }
  if (stage === 'begun') await generations.removeSecond();
  const { former, password, newPassword } = await keysFor(system, generations);
  const without = requestsDigest(requests);
  const stretch = stretchFor(options);
  const fresh = await freshKeys(system, generations, password, { former, without, stretch });
  // This comes after the keys: if keys and format file are missing, all packs look foreign.
  await requireOwnPacks(system, generations.first);
  await confirm(options, system, generations);
  if (stage !== 'making') await begin(generations, fresh.record, options.storeSkipFile, without);
  const oldKeyring = former?.record.isEncrypting === true ? openKeyring(system, former) : undefined;
  const keyring = openKeyring(system, fresh);
  const result = await withRewriteProgress(system, options.progress, (onProgress) =>
    rewriteClient(system, {
      generations,
      oldKeyring,
      keyring,
      forgotten: requests,
      limits: storeLimits(options),
      verify: options.verify,
      acceptDamage: options.acceptDamage,
      signal: interruptSignal(tool, 'the same command continues it'),
      onProgress,
    }),
  ).catch(async (error: unknown) => {
    await generations.removeUnwritten(); // a run that wrote nothing must not block the next one
    throw error;
  });
  rememberOpened(options, fresh.record, fresh.keys);
  const { sets, contents, storedBytes, lostVersions } = result;
  const what = DONE[tool];
  const amount = `${formatCount(sets)} sets, ${formatCount(contents)} contents, ${formatBytes(storedBytes)}`;
  printResult(options, 'done', result, `The client "${client}" ${what}: ${amount}.`);
  if (newPassword !== undefined && !options.json) print(strengthLine(newPassword, options));
  if (lostVersions === 0) return 0;
  if (!options.json)
    print(`The contents of ${formatCount(lostVersions)} versions of files had already been lost.`);
  return PARTLY;
}

async function giveUp(options: Options, generations: Generations): Promise<number> {
  const { client } = options;
  const stage = generations.stage();
  if (stage === 'switched') {
    throw usageError(
      `the new generation of "${client}" is already in use: run this without --abort to finish`,
    );
  }
  if (stage === 'none' && !(await generations.isBuiltElsewhere())) {
    throw usageError(`the client "${client}" has no unfinished generation`);
  }
  await generations.removeSecond();
  printResult(
    options,
    'aborted',
    undefined,
    `The unfinished generation of "${client}" was removed.`,
  );
  return 0;
}

/** Prompts for confirmation before the rewrite. Throws CONFIRMATION_NEEDED. */
async function confirm(options: Options, system: System, { first }: Generations): Promise<void> {
  const { yes, client } = options;
  if (yes) return;
  await bringAccounts(system, options);
  const accounts = listAccounts(system, first.path).map(({ name }) => name);
  const gone =
    accounts.length === 0 ? '' : ` Its accounts (${accounts.join(', ')}) will not be kept.`;
  const question = `All of "${client}" will be rewritten and compared; then the present ${first.path} will be removed.${gone} Continue?`;
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
    await generations.removeSecond().catch(() => undefined); // the first failure is reported, not this one
    throw error;
  }
}

interface FreshKeysOptions {
  readonly former: FormerKeys | undefined;
  /** Digest of the requests to forget paths; empty without them. */
  readonly without: string;
  readonly stretch: StretchParameters;
}

/**
 * Returns new keys, or those of an unfinished earlier run. Throws LOGIN_FAILED if that run used another password,
 * KEYS_DAMAGED if it rewrote another generation.
 */
async function freshKeys(
  system: System,
  generations: Generations,
  password: Buffer,
  { former, without, stretch }: FreshKeysOptions,
): Promise<FormerKeys> {
  if (generations.stage() !== 'making') {
    const { record } = await replaceKeys(system.native.modPow, password, former, stretch);
    return { record, keys: (await unlockKeyRecord(record, password)).keys };
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
    const what = `${generations.second.path} was written from another generation`;
    throw new TardisError('KEYS_DAMAGED', `${what}: remove it with --abort`);
  }
  try {
    return { record, keys: (await unlockKeyRecord(record, password)).keys };
  } catch (error) {
    if (asTardisError(error).code !== 'LOGIN_FAILED') throw error;
    const what = 'the unfinished run was started with another new password';
    throw new TardisError(
      'LOGIN_FAILED',
      `${what}: give that password, or start again after --abort`,
    );
  }
}

async function unlocked(
  options: IdentitySettings,
  record: KeyRecord,
  password: Buffer,
): Promise<FormerKeys> {
  if (!record.hasKeys) {
    throw new TardisError(
      'KEYS_ELSEWHERE',
      'the new keys are stored in the store: put the present keys there first (`sonic keys --insert`)',
    );
  }
  const { keys } = await unlockKeyRecord(record, password);
  rememberOpened(options, record, keys);
  return { record, keys };
}

function openKeyring(system: System, { record, keys }: FormerKeys): Keyring {
  return keyringOf(system.native, record, keys);
}

function recordIn(system: System, directory: string): KeyRecord | undefined {
  const keys = newestKeys(system, directory);
  return keys && parseKeyRecord(keys.bytes);
}

function printResult(
  { json, client }: Options,
  state: 'done' | 'finished' | 'aborted',
  result: RewriteResult | undefined,
  text: string,
): void {
  print(json ? jsonText({ client, state, ...result }) : text);
}
