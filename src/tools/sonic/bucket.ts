/** Implements `sonic bucket`: examines a bucket before it is used as a store. */
import { configInvalid, type Settings } from '../../config/index.js';
import { displayName } from '../../model/index.js';
import {
  type Bucket,
  type BucketAbilities,
  type BucketPlace,
  type ObjectStore,
  openBucket,
  parseStorePlace,
  shownBucket,
} from '../../store/objects/index.js';
import { nodeSystem, processEnvironment, type System } from '../../system/index.js';
import { authoritiesIn } from '../shared/bucket-authorities.js';
import { jsonText } from '../shared/json-text.js';
import { JSON_VERSION, print } from '../shared/run-tool.js';

type Options = Settings<'sonic bucket'>;

/** Times of which the median is shown. */
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
  const system = nodeSystem();
  const place = placeOf(options);
  const opened = await openBucket(system, place, {
    endpoint: options.endpoint,
    region: options.region,
    addressing: options.addressing,
    authorities: options.bucketCa === undefined ? undefined : authoritiesIn(options.bucketCa),
    isSingleWriter: options.singleWriter,
    lockDays: options.lockDays,
    environment: processEnvironment(),
  });
  try {
    const writers = await opened.writers();
    const found = {
      writers,
      lockDays: options.lockDays,
      abilities: await opened.versions.abilities(),
      measured: await measure(opened.store, system),
    };
    if (options.json) printJson(place, opened, found);
    else printText(place, opened, found);
  } finally {
    opened.store.close();
  }
}

function placeOf({ database }: Options): BucketPlace {
  const place = parseStorePlace(database, '-D/--database');
  if (place.kind === 'bucket') return place;
  throw configInvalid(
    `-D/--database must be s3://BUCKET/PREFIX for this command, not "${displayName(database)}"`,
  );
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
  print(jsonText({ version: JSON_VERSION, ...where, writers, ...locks, ...rounded }));
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
  if (locks === 'unknown') return 'The access key may not ask whether the bucket has Object Lock.';
  const kept = versions === 'yes' ? ', but it keeps versions' : '';
  return `The bucket has no Object Lock${kept}: with the access key, the backups can be deleted.`;
}

/** Returns the difference of the clocks; 0 within what whole seconds can show. */
function secondsAhead({ clockAheadMs }: Measured): number {
  return Math.abs(clockAheadMs) <= 2000 ? 0 : Math.round(clockAheadMs / 1000);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
