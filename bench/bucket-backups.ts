import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BUCKET, KEYS, type S3Record, S3Server } from '../test/support/s3-server.js';
import { type Bench, rest } from './bench.js';
import { seconds, shownRatio } from './cells.js';
import { treeLine } from './change.js';
import { median, ratioOf } from './figures.js';
import type { Command } from './measure.js';
import { restic } from './subjects/restic.js';
import type { Place, Subject } from './subjects/subject.js';
import { tardis } from './subjects/tardis.js';
import { type Verdict, verdictOf } from './targets.js';

const LIMITS = Object.freeze({
  firstToDirectory: 1.15,
  firstToRestic: 0.5,
  restoreToRestic: 0.5,
  putsPerGb: 36,
  unchanged: Object.freeze({ PUT: 2, GET: 2, HEAD: 1, LIST: 0 }),
  oneFileS: 3,
});
const WAYS = ['directory', 'bucket', 'restic'] as const;
type Way = (typeof WAYS)[number];
const WORK = ['first', 'unchanged', 'restore'] as const;
type Work = (typeof WORK)[number];
type Times = Record<Way, Record<Work, number[]>>;
type Requests = Readonly<Record<'PUT' | 'GET' | 'HEAD' | 'LIST', number>>;
const GB = 1e9;

/** Times of backups into a bucket, of backups into a directory, and of restic's backups into the bucket. */
export interface BucketBackups {
  readonly about: string;
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly verdicts: readonly Verdict[];
  readonly figures: unknown;
}

/**
 * Measures backups into the bucket of a service, in rounds. The requests are counted separately, at a server in this
 * process.
 */
export async function bucketBackups(bench: Bench, url: string): Promise<BucketBackups> {
  const { workplace, options, print } = bench;
  const size = await bench.makeTree();
  await rest();
  const times = Object.fromEntries(
    WAYS.map((way) => [way, { first: [], unchanged: [], restore: [] }]),
  ) as unknown as Times;
  const oneFile: number[] = [];
  await bench.inPairs(WAYS, async (way, round) => {
    const subject = subjectOf(bench, way, url, `round-${round}`);
    await bench.runAll(subject.prepare());
    for (const work of WORK) {
      const { wallMs } = await bench.run(commandOf(subject, work));
      times[way][work].push(wallMs);
      print(`${bench.roundName(round)}: ${way}, ${work}: ${seconds(wallMs)} s`);
    }
    if (way === 'bucket') oneFile.push(await oneFileMs(bench, url, `round-${round}`));
    rmSync(workplace.place(way).store, { recursive: true, force: true });
    rmSync(workplace.place(way).out, { recursive: true, force: true });
  });
  const { first, objects, unchanged, storedBytes } = await counted(bench);
  const ratio = (work: Work, other: Way): number | undefined =>
    ratioOf(times.bucket[work], times[other][work])?.pairwise;
  const putsPerGb = (first.PUT * GB) / storedBytes;
  return {
    about: `backups into a bucket (radosgw in memory), in a directory, and by restic into the same bucket; ${treeLine(size)}; medians of ${options.runs}`,
    headings: ['what', '', ...WAYS, 'bucket/directory', 'bucket/restic'],
    rows: [
      ...WORK.map((work) => [
        work,
        's',
        ...WAYS.map((way) => seconds(median(times[way][work]))),
        shownRatio(ratio(work, 'directory')),
        shownRatio(ratio(work, 'restic')),
      ]),
      ['one file, without a cache', 's', '', seconds(median(oneFile)), '', '', ''],
      ['PUT of a first backup, a GB', '', '', putsPerGb.toFixed(1), '', '', ''],
      ...objects.map(([kind, count]) => [
        `PUT of a first backup: ${kind}`,
        '',
        '',
        `${count}`,
        '',
        '',
        '',
      ]),
    ],
    verdicts: [
      verdictOf('first, times a directory', LIMITS.firstToDirectory, ratio('first', 'directory')),
      verdictOf('first, times restic', LIMITS.firstToRestic, ratio('first', 'restic')),
      verdictOf('restore, times restic', LIMITS.restoreToRestic, ratio('restore', 'restic')),
      verdictOf('PUT a GB', LIMITS.putsPerGb, putsPerGb),
      ...(['PUT', 'GET', 'HEAD', 'LIST'] as const).map((method) =>
        verdictOf(`${method}, unchanged`, LIMITS.unchanged[method], unchanged[method]),
      ),
      verdictOf('one file, without a cache, s', LIMITS.oneFileS, median(oneFile) / 1000),
    ],
    figures: { times, oneFile, first, objects, unchanged, storedBytes },
  };
}

/** Returns the subject with an empty place of its own. In the bucket, that place is a prefix of the round. */
function subjectOf(bench: Bench, way: Way, url: string, prefix: string): Subject {
  const place = bench.workplace.freshPlace(way);
  if (way === 'directory') return tardis(place, bench);
  if (way === 'restic') {
    return inBucket(restic({ ...place, store: `s3:${url}/${BUCKET}/restic-${prefix}` }), url);
  }
  return inBucket(tardis(ours(place, prefix), bench), url);
}

function ours(place: Place, prefix: string): Place {
  return { ...place, store: `s3://${BUCKET}/${prefix}` };
}

/** Returns the environment of a command that uses a bucket: its endpoint and its access key. */
export function bucketVariables(url: string) {
  return {
    AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
    TARDIS_ENDPOINT: url,
  };
}

/** Returns the bytes of all objects of a server. */
export function storedBytesOf({ objects }: S3Server): number {
  return objects.keys().reduce((sum, key) => sum + (objects.bytesOf(key)?.length ?? 0), 0);
}

/** Returns the subject with the endpoint and the access key in its environment. */
function inBucket(subject: Subject, url: string): Subject {
  const variables = bucketVariables(url);
  const reached = (command: Command): Command => ({
    ...command,
    env: { ...command.env, ...variables },
  });
  return {
    ...subject,
    prepare: () => subject.prepare().map(reached),
    first: () => reached(subject.first()),
    again: () => reached(subject.again()),
    restore: () => reached(subject.restore()),
    reading: (path) => {
      const { archive, restore } = subject.reading!(path);
      return { archive: reached(archive), restore: reached(restore) };
    },
  };
}

function commandOf(subject: Subject, work: Work): Command {
  if (work === 'first') return subject.first();
  return work === 'unchanged' ? subject.again() : subject.restore();
}

/** Measures the restore of one file on a machine that has only the access key. */
async function oneFileMs(bench: Bench, url: string, prefix: string): Promise<number> {
  const { workplace } = bench;
  const place = ours(workplace.freshPlace('fresh'), prefix);
  const subject = inBucket(tardis(place, bench), url);
  const { restore } = subject.reading!(someFile(workplace.tree));
  const { wallMs } = await bench.run(restore);
  bench.print(`one file, without a cache: ${seconds(wallMs)} s`);
  return wallMs;
}

/** Returns the first file of a tree. */
function someFile(directory: string): string {
  const entries = readdirSync(directory, { withFileTypes: true });
  const file = entries.find((entry) => entry.isFile());
  if (file !== undefined) return join(directory, file.name);
  const below = entries.find((entry) => entry.isDirectory());
  if (below === undefined) throw new Error(`${directory} has no file`);
  return someFile(join(directory, below.name));
}

/** Requests of backups, and what the first one made. */
interface Counted {
  readonly first: Requests;
  /** Number of PUTs of the first backup, by the folder or name of the objects below that of the client. */
  readonly objects: readonly (readonly [kind: string, count: number])[];
  readonly unchanged: Requests;
  readonly storedBytes: number;
}

/** Counts the requests of a first backup and of one that changes nothing, and the bytes of the store. */
async function counted(bench: Bench): Promise<Counted> {
  const server = await S3Server.start();
  try {
    const subject = subjectOf(bench, 'bucket', server.url, 'counted');
    const requested = async (command: Command): Promise<readonly S3Record[]> => {
      const from = server.requests.length;
      await bench.run(command);
      // Only a new bucket is probed.
      return server.requests.slice(from).filter(({ key }) => !key.startsWith('counted/probe/'));
    };
    const first = await requested(subject.first());
    const storedBytes = storedBytesOf(server);
    const unchanged = numbersOf(await requested(subject.again()));
    return { first: numbersOf(first), objects: objectsOf(first), unchanged, storedBytes };
  } finally {
    server.close();
  }
}

function numbersOf(requested: readonly S3Record[]): Requests {
  const count = (wanted: string): number =>
    requested.filter(({ method, key }) => (key === '' ? 'LIST' : method) === wanted).length;
  return { PUT: count('PUT'), GET: count('GET'), HEAD: count('HEAD'), LIST: count('LIST') };
}

/** Counts the PUTs by what they make: the client, its log, packs, copies of the catalog. */
function objectsOf(requested: readonly S3Record[]): Counted['objects'] {
  const kinds = new Map<string, number>();
  for (const { method, key } of requested) {
    if (method !== 'PUT') continue;
    const kind = /^counted\/c\/[^/]+\/(?:g\d+[^/]*\/)?([^/]+)/.exec(key)?.[1] ?? key;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds];
}
