import { randomFillSync } from 'node:crypto';
import { openBucket, type ObjectStore } from '../src/store/objects/index.js';
import { nodeSystem } from '../src/system/index.js';
import { startGateway, whyNoGateway } from '../test/support/radosgw.js';
import { BUCKET, S3Server } from '../test/support/s3-server.js';
import type { Answer } from './answer.js';
import type { Bench } from './bench.js';
import { type BucketBackups, bucketBackups, bucketVariables } from './bucket-backups.js';
import { median } from './figures.js';

const MIB = 1 << 20;
const PACK_MIB = 32;
const RANGE_MIB = 4;
/** Number of requests at once: for packs and ranges, and for small objects. */
const AT_ONCE = { large: 4, small: 8 };
const SMALL_OBJECTS = 400;
const SMALL_BYTES = 1024;

interface Figures {
  readonly service: string;
  readonly putMibPerS: number;
  readonly getMibPerS: number;
  readonly smallPutsPerS: number;
  readonly smallGetsPerS: number;
  /** Time of one small PUT, and of one small GET, without other requests at the same time. */
  readonly putMs: number;
  readonly getMs: number;
}

/**
 * Measures the speed of a bucket: at a server in this process, and at a real gateway. At the gateway, backups and
 * restores are measured too.
 */
export async function bucket(bench: Bench): Promise<Answer> {
  const { print } = bench;
  const why = whyNoGateway();
  const all: Figures[] = [];
  let backups: BucketBackups | undefined;
  const server = await S3Server.start();
  print('measuring a server in this process');
  all.push(await measured('in process', server.url, bench));
  server.close();
  if (why === undefined) {
    print('starting radosgw with its data in memory');
    const gateway = await startGateway();
    try {
      print('measuring radosgw');
      all.push(await measured('radosgw', gateway.url, bench));
      backups = await bucketBackups(bench, gateway.url);
    } finally {
      await gateway.stop();
    }
  }
  return answerOf(all, backups, why);
}

function answerOf(
  all: readonly Figures[],
  backups: BucketBackups | undefined,
  why: string | undefined,
): Answer {
  const services = servicesOf(all);
  if (backups === undefined) {
    const notes = [SHARED, `radosgw and backups are left out: ${why}`];
    return { ...services, question: 'bucket', verdicts: [], notes, figures: all, plots: [] };
  }
  const { figures, ...table } = backups;
  return {
    ...table,
    question: 'bucket',
    notes: [
      services.about,
      ...all.map((one) => `${one.service}: ${inWords(one)}`),
      SHARED,
      'a ratio is the median of pairs; the requests are counted at a server in this process, without the examination of a new bucket',
    ],
    figures: { services: all, backups: figures },
    plots: [],
  };
}

const SHARED = 'the server in this process shares its thread with the client';

function inWords({ putMibPerS, getMibPerS, smallPutsPerS, smallGetsPerS, putMs, getMs }: Figures) {
  const whole = [putMibPerS, getMibPerS, smallPutsPerS, smallGetsPerS].map((one) => one.toFixed(0));
  const [put, get, puts, gets] = whole;
  return `PUT ${put} MiB/s, GET ${get} MiB/s, ${puts} small PUT/s, ${gets} small GET/s; one PUT ${putMs.toFixed(1)} ms, one GET ${getMs.toFixed(1)} ms`;
}

function servicesOf(all: readonly Figures[]): Pick<Answer, 'about' | 'headings' | 'rows'> {
  return {
    about: `what a bucket takes and gives: packs of ${PACK_MIB} MiB and ranges of ${RANGE_MIB} MiB by ${AT_ONCE.large} at once, objects of ${SMALL_BYTES} bytes by ${AT_ONCE.small}`,
    headings: ['service', 'PUT MiB/s', 'GET MiB/s', 'PUT/s', 'GET/s', 'one PUT ms', 'one GET ms'],
    rows: all.map(({ service, ...figures }) => [
      service,
      ...[figures.putMibPerS, figures.getMibPerS, figures.smallPutsPerS, figures.smallGetsPerS].map(
        (figure) => figure.toFixed(0),
      ),
      ...[figures.putMs, figures.getMs].map((figure) => figure.toFixed(1)),
    ]),
  };
}

/** Measures a service in several rounds. The figures are medians. */
async function measured(
  service: string,
  url: string,
  { options: { mib, runs } }: Bench,
): Promise<Figures> {
  const rounds: Figures[] = [];
  for (let round = 0; round < runs; round += 1) {
    rounds.push(await measureOnce(service, url, mib, `round-${round}`));
  }
  const of = (figure: (one: Figures) => number): number => median(rounds.map(figure));
  return {
    service,
    putMibPerS: of((one) => one.putMibPerS),
    getMibPerS: of((one) => one.getMibPerS),
    smallPutsPerS: of((one) => one.smallPutsPerS),
    smallGetsPerS: of((one) => one.smallGetsPerS),
    putMs: of((one) => one.putMs),
    getMs: of((one) => one.getMs),
  };
}

async function measureOnce(
  service: string,
  endpoint: string,
  mib: number,
  prefix: string,
): Promise<Figures> {
  const { store } = await openBucket(
    nodeSystem(),
    { bucket: BUCKET, prefix },
    { endpoint, environment: bucketVariables(endpoint) },
  );
  const packs = Math.max(1, Math.round(mib / PACK_MIB));
  const bytes = Buffer.alloc(PACK_MIB * MIB);
  randomFillSync(bytes);
  const packNames = Array.from({ length: packs }, (_, index) => `packs/${index}`);
  const putMs = await timeOf(AT_ONCE.large, packNames, (name) => store.putNew(name, bytes));
  const ranges = packNames.flatMap((name) =>
    Array.from({ length: PACK_MIB / RANGE_MIB }, (_, index) => ({
      name,
      at: index * RANGE_MIB * MIB,
    })),
  );
  const targets = Array.from({ length: AT_ONCE.large }, () => Buffer.alloc(RANGE_MIB * MIB));
  const getMs = await timeOf(AT_ONCE.large, ranges, async ({ name, at }) => {
    const target = targets.pop()!;
    await store.read(name, at, target, target.length);
    targets.push(target);
  });
  const small = Array.from({ length: SMALL_OBJECTS }, (_, index) => `log/${index}`);
  const slot = (name: string): Buffer => Buffer.alloc(SMALL_BYTES, name);
  const smallPutMs = await timeOf(AT_ONCE.small, small, (name) => store.putNew(name, slot(name)));
  const smallGetMs = await timeOf(AT_ONCE.small, small, (name) =>
    store.readWhole(name, SMALL_BYTES),
  );
  const single = await singles(store);
  await store.remove([...packNames, ...small]);
  store.close();
  const perS = (count: number, ms: number): number => (count * 1000) / ms;
  return {
    service,
    putMibPerS: perS(packs * PACK_MIB, putMs),
    getMibPerS: perS(packs * PACK_MIB, getMs),
    smallPutsPerS: perS(SMALL_OBJECTS, smallPutMs),
    smallGetsPerS: perS(SMALL_OBJECTS, smallGetMs),
    ...single,
  };
}

/** Returns the times of single requests, one after the other. */
async function singles(store: ObjectStore): Promise<{ putMs: number; getMs: number }> {
  const [puts, gets]: [number[], number[]] = [[], []];
  const names = Array.from({ length: 20 }, (_, index) => `single/${index}`);
  for (const name of names) {
    puts.push(await timeOf(1, [name], () => store.putNew(name, Buffer.from(name))));
    gets.push(await timeOf(1, [name], () => store.readWhole(name, SMALL_BYTES)));
  }
  await store.remove(names);
  return { putMs: median(puts), getMs: median(gets) };
}

/** Works on all items, `atOnce` of them at the same time, and returns the time in milliseconds. */
async function timeOf<T>(
  atOnce: number,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<number> {
  const left = [...items].reverse();
  const startMs = performance.now();
  const workers = Array.from({ length: atOnce }, async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  });
  await Promise.all(workers);
  return performance.now() - startMs;
}
