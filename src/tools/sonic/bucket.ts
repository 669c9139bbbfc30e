/** Implements `sonic bucket`: examines a bucket before it is used as a store, and recovers or locks one that is. */
import type { BucketPlace, Settings } from '../../config/index.js';
import { usageError } from '../../errors/index.js';
import {
  type Bucket,
  type BucketAbilities,
  type ObjectStore,
  shownBucket,
} from '../../store/objects/index.js';
import { nodeSystem, type System } from '../../system/index.js';
import { type OpenedPlace, openPlace } from './bucket-place.js';
import { jsonText, print } from '../output/output.js';

type Options = Settings<'sonic bucket'>;

/** Maximum time for which a request of an examination is retried: who examines waits for the answer. */
const EXAMINE_PATIENCE_MS = 5000;
/** Number of measurements; their median is shown. */
const ROUNDS = 5;

interface Measured {
  readonly putMs: number;
  readonly getMs: number;
  /** Clock of the bucket minus clock of this machine; exact to a second. */
  readonly clockAheadMs: number;
}

interface Examined {
  readonly writers: 'many' | 'one';
  readonly lockDays: number;
  readonly abilities: BucketAbilities;
  readonly measured: Measured;
}

export async function bucket(options: Options): Promise<void> {
  const { recoverVersions, extendLocks, previewRecover, recoverTo, recoverBefore } = options;
  const { accountFiles } = options;
  const isPart = previewRecover || recoverTo !== undefined || recoverBefore !== undefined;
  if ((recoverVersions && extendLocks) || (isPart && !recoverVersions)) {
    const what = '--dry-run, --to and --before belong to --recover, which goes without --extend';
    throw usageError(what);
  }
  if (accountFiles !== undefined && (recoverVersions || extendLocks)) {
    throw usageError('--accounts goes without --recover and --extend');
  }
  const system = nodeSystem();
  const isExamined = accountFiles === undefined && !recoverVersions && !extendLocks;
  const patienceMs = isExamined ? EXAMINE_PATIENCE_MS : undefined;
  const here = await openPlace(system, options, options.database, patienceMs);
  try {
    if (accountFiles !== undefined) {
      await (await import('./bucket-accounts.js')).runAccounts(system, options, here);
    } else if (recoverVersions) {
      await (await import('./bucket-recover.js')).runRecover(system, options, here);
    } else if (extendLocks) await (await import('./bucket-extend.js')).runExtend(options, here);
    else await examine(system, options, here);
  } finally {
    here.bucket.store.close();
  }
}

async function examine(
  system: System,
  { lockDays, json }: Options,
  { place, bucket: opened }: OpenedPlace,
): Promise<void> {
  const found = {
    writers: await opened.writers(),
    lockDays,
    abilities: await opened.versions.abilities(),
    measured: await measure(opened.store, system),
  };
  if (json) printJson(place, opened, found);
  else printText(place, opened, found);
}

/** Writes, reads, lists and removes a small object. */
async function measure(store: ObjectStore, { clock, random }: System): Promise<Measured> {
  const name = `probe/${random.bytes(12).toString('hex')}`;
  const [puts, gets]: [number[], number[]] = [[], []];
  let clockAheadMs = 0;
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const startMs = clock.monotonicMs();
      await store.putOwn(name, Buffer.from(`round ${round}`));
      const betweenMs = clock.monotonicMs();
      await store.readWhole(name, 100);
      puts.push(betweenMs - startMs);
      gets.push(clock.monotonicMs() - betweenMs);
    }
    const head = await store.head(name);
    if (head !== undefined) clockAheadMs = head.storeNowMs - clock.nowMs();
    for await (const first of store.list('probe/')) if (first !== '') break;
  } finally {
    await store.remove([name]);
  }
  return { putMs: median(puts), getMs: median(gets), clockAheadMs };
}

function printJson(place: BucketPlace, opened: Bucket, found: Examined): void {
  const { host, region, isPathStyle } = opened;
  const { writers, lockDays, abilities, measured } = found;
  const rounded = {
    putMs: Math.round(measured.putMs),
    getMs: Math.round(measured.getMs),
    clockAheadSeconds: secondsAhead(measured),
  };
  const where = { place: shownBucket(place), endpoint: host, region, isPathStyle };
  const locks = { objectLock: abilities.locks, versioning: abilities.versions, lockDays };
  print(jsonText({ ...where, writers, ...locks, ...rounded }));
}

function printText(place: BucketPlace, opened: Bucket, found: Examined): void {
  const { host, region, isPathStyle } = opened;
  const { writers, measured } = found;
  const addressing = `name of the bucket in the ${isPathStyle ? 'path' : 'host'}`;
  print(`${shownBucket(place)} at ${host}, region ${region}, ${addressing}`);
  print('Objects can be created, read, listed and removed.');
  print(
    writers === 'many'
      ? 'Several machines may write: of 8 writers of one object at once, exactly one succeeded.'
      : 'Only one process at a time may write: the service does not honour If-None-Match.',
  );
  print(lockLine(found));
  const seconds = secondsAhead(measured);
  const direction = seconds > 0 ? 'ahead of' : 'behind';
  print(
    seconds === 0
      ? 'The clocks agree.'
      : `The clock of the bucket is ${Math.abs(seconds)} s ${direction} that of this machine.`,
  );
  print(
    `A small PUT takes ${Math.round(measured.putMs)} ms, a GET ${Math.round(measured.getMs)} ms.`,
  );
}

function lockLine({ lockDays, abilities: { locks, versions } }: Examined): string {
  if (lockDays > 0) return `New objects are locked for ${lockDays} days.`;
  if (locks === 'yes') return 'The bucket has Object Lock; LockDays is 0, so nothing is locked.';
  if (locks === 'unknown') return 'The access key may not read whether the bucket has Object Lock.';
  const kept = versions === 'yes' ? ', but it keeps versions' : '';
  return `The bucket has no Object Lock${kept}: with the access key, the backups can be deleted.`;
}

/**
 * Returns the difference of the clocks in seconds. Up to 2 seconds it is 0, since the bucket's clock is known only in
 * whole seconds.
 */
function secondsAhead({ clockAheadMs }: Measured): number {
  return Math.abs(clockAheadMs) <= 2000 ? 0 : Math.round(clockAheadMs / 1000);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
