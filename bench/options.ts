import { parseArgs } from 'node:util';
import { requirePaths } from './check-paths.js';
import { UsageError } from './usage-error.js';

export { UsageError };

/** The peers that `--with` and `--without` accept; tardis itself always takes part. */
export const PEERS = ['restic', 'borg', 'rustic', 'rsync', 'rdiff', 'raw'] as const;
export type PeerName = (typeof PEERS)[number];

const BORG_ENCRYPTIONS = ['repokey-blake2', 'none'] as const;

/** The options of the command line. */
export interface Options {
  readonly seed: number;
  readonly files: number;
  readonly tree: string | undefined;
  readonly work: string;
  readonly runs: number;
  readonly peers: readonly PeerName[];
  /** Peers that take part if they are installed. */
  readonly peersIfThere: readonly PeerName[];
  readonly borgEncryption: (typeof BORG_ENCRYPTIONS)[number];
  readonly level: number | undefined;
  readonly memory: boolean;
  readonly json: string | undefined;
  readonly check: boolean;
  readonly keep: boolean;
  /** True to measure tardis on a small machine too. */
  readonly pi: boolean;
  /** Round trip to the distant server to measure, in milliseconds; undefined for another question. */
  readonly delayMs: number | undefined;
  /** Numbers of files with which to measure how costs grow; empty for another question. */
  readonly growth: readonly number[];
  /** Multiple of the sizes of the trees of other shapes; undefined for another question. */
  readonly shapesScale: number | undefined;
  /** True to measure the cost of syncing. */
  readonly sync: boolean;
  /** True to measure the cost of parity. */
  readonly parity: boolean;
  /** True to search for the best settings for this machine. */
  readonly tune: boolean;
  /** True to drop all cached files from memory before each command. */
  readonly disk: boolean;
  /** Numbers of sets at which the history is queried; undefined for another question. */
  readonly sets: readonly number[] | undefined;
  /** Size in MiB of the archive with which to measure the HTTP interfaces (doors); undefined for another question. */
  readonly webMib: number | undefined;
  /** Size in MiB of the tree whose sets are imported; undefined for another question. */
  readonly importMib: number | undefined;
  /** True to measure less. */
  readonly quick: boolean;
  /** True to measure how long a backup is without a server when another one takes over. */
  readonly takeover: boolean;
  /** MiB of packs with which to measure a bucket; undefined for another question. */
  readonly bucketMib: number | undefined;
  /** Releases of a source tree with which to measure the size of the store; undefined for another question. */
  readonly releases: ReleasesOptions | undefined;
  /** Size in MiB of the images among the large files of which the second backup is measured; undefined for another question. */
  readonly largeMib: number | undefined;
  /** Text in the names of the large files or shapes that are measured; empty for all. */
  readonly only: string;
  /** Sizes of the parts that are read in mounts; undefined for another question. */
  readonly mount: MountOptions | undefined;
  /** Directory for plots. */
  readonly plots: string | undefined;
}

/** The releases to back up. */
export interface ReleasesOptions {
  /** A git repository; undefined for generated edits. */
  readonly history: string | undefined;
  /** Tags of the releases; empty to choose them by their names. */
  readonly tags: readonly string[];
  readonly count: number;
}

/** Sizes of the parts that are read in mounts, beside the tree of small files. */
export interface MountOptions {
  /** Number of names of the largest directory. */
  readonly names: number;
  /** Size of the large file. */
  readonly largeMib: number;
  /** Number of entries of the catalog that is mounted at the end. */
  readonly entries: number;
  /** Time of reading at random positions, in milliseconds. */
  readonly readMs: number;
}

/** Sizes of a mount as words of the command line. */
interface MountWords {
  readonly names?: string;
  readonly mib?: string;
  readonly entries?: string;
}

const READ_MS = 3000;
const ENTRIES = 500_000;
const QUICK_ENTRIES = 5000;
const QUICK_READ_MS = 200;
/** Files of the tree for `--web`, unless others are given. */
const WEB_FILES = 2000;

/** Parses the command line; undefined if it requests help. */
export function parseOptions(argv: readonly string[]): Options | undefined {
  const values = parse(argv);
  if (values.help === true) {
    return undefined;
  }
  const quick = values.quick === true;
  const growth = sizesOf(values.growth === true, values.sizes, quick);
  const isReleases = values.releases === true;
  const [isDelay, isShapes] = [values.delay !== undefined, values.shapes === true];
  const isSync = values.sync === true;
  const isParity = values.parity === true;
  const isSets = values.sets !== undefined;
  const isMount = values.mount === true;
  const isWeb = values.web === true;
  const isBucket = values.bucket === true;
  const isTakeover = values.takeover === true;
  const isImports = values.imports === true;
  const isTune = values.tune === true;
  const isDisk = values.disk === true;
  const isLarge = values.large === true;
  if (values.mib !== undefined && !isWeb && !isBucket && !isMount && !isLarge && !isImports) {
    throw new UsageError('--mib belongs to --bucket, --imports, --large, --mount and --web');
  }
  if (values.only !== undefined && !isLarge && !isShapes && growth.length === 0) {
    throw new UsageError('--only belongs to --growth, --large and --shapes');
  }
  if (values.scale !== undefined && !isShapes) throw new UsageError('--scale belongs to --shapes');
  const ofSizes = [growth.length > 0, isDelay, isShapes, isReleases];
  const kinds = [
    isSync,
    isParity,
    isSets,
    isMount,
    isWeb,
    isBucket,
    isLarge,
    isTakeover,
    isTune,
    isImports,
  ];
  const requested = [...ofSizes, ...kinds];
  if (requested.filter(Boolean).length > 1) {
    const names =
      '--bucket, --delay, --growth, --imports, --large, --mount, --parity, --releases, --sets, --shapes, --sync, --takeover, --tune and --web';
    throw new UsageError(`${names} are different questions`);
  }
  const isComparison = !requested.some(Boolean);
  if (isDisk && !isComparison && !isShapes) {
    throw new UsageError(
      '--disk belongs to --shapes and the comparison with restic and the raw limits',
    );
  }
  const { tree, work, plots, json } = values;
  requirePaths({ tree, work, plots, json });
  if (values.pi === true && !isComparison) {
    throw new UsageError('--pi belongs to the comparison with restic and the raw limits');
  }
  const hasPeers = values.with !== undefined || values.without !== undefined;
  const isBesidePeers = isReleases || isMount || isLarge || isShapes;
  if (hasPeers && !isComparison && !isBesidePeers) {
    throw new UsageError('--with and --without belong to comparisons with other tools');
  }
  const peers = new Set<PeerName>(isBesidePeers ? ['restic', 'borg'] : ['restic', 'raw']);
  const ifThere = new Set<PeerName>(
    isComparison ? ['borg', 'rustic'] : isShapes ? ['rustic'] : isLarge ? ['rdiff'] : [],
  );
  for (const name of values.with ?? []) {
    peers.add(peerName(name));
    ifThere.delete(peerName(name));
  }
  if (peers.has('rdiff') && !isLarge) throw new UsageError('rdiff belongs to --large');
  const isOfOneVersion = peers.has('rsync') || peers.has('raw');
  if (isReleases && values.tree !== undefined) {
    throw new UsageError('--tree is one state of a tree: --releases takes a --history');
  }
  if ((isReleases || isLarge || isShapes) && isOfOneVersion) {
    throw new UsageError('rsync and raw keep one version only: nothing to ask here');
  }
  if ((isReleases || isLarge) && peers.has('rustic')) {
    throw new UsageError('--releases and --large compare with restic and borg');
  }
  if ((isLarge || isShapes) && values.tree !== undefined) {
    throw new UsageError('--large and --shapes back up files of their own');
  }
  if (isMount && (values.tree !== undefined || peers.has('rustic') || isOfOneVersion)) {
    throw new UsageError('--mount reads a tree of its own, beside restic and borg');
  }
  for (const name of values.without ?? []) {
    peers.delete(peerName(name));
    ifThere.delete(peerName(name));
  }
  const encryption = values['borg-encryption'] ?? 'repokey-blake2';
  const borgEncryption = BORG_ENCRYPTIONS.find((known) => known === encryption);
  if (borgEncryption === undefined) {
    throw new UsageError(`--borg-encryption is one of: ${BORG_ENCRYPTIONS.join(', ')}`);
  }
  return {
    seed: integer('seed', values.seed, 1, 0, 0xffff_ffff),
    files: integer(
      'files',
      values.files,
      isWeb ? WEB_FILES : filesOf(isReleases, quick || isMount),
      1,
      10_000_000,
    ),
    tree: values.tree,
    work: values.work ?? (isSync || isDisk ? '.' : '/dev/shm'),
    runs: integer(
      'runs',
      values.runs,
      growth.length > 0 || isReleases || isShapes
        ? 1
        : isMount || isTune || isTakeover
          ? 3
          : quick
            ? 2
            : 5,
      1,
      1000,
    ),
    peers: PEERS.filter((name) => peers.has(name)),
    peersIfThere: [...ifThere],
    borgEncryption,
    level: values.level === undefined ? undefined : integer('level', values.level, 1, 1, 19),
    memory: values['no-memory'] !== true,
    json: values.json,
    check: values.check === true,
    keep: values.keep === true,
    pi: values.pi === true,
    delayMs:
      values.delay === undefined ? undefined : integer('delay', values.delay, 100, 1, 60_000),
    growth,
    shapesScale: isShapes
      ? integer('scale', values.scale, quick ? 1 : 100, 0, 1000) / 100
      : undefined,
    sync: isSync,
    parity: isParity,
    takeover: isTakeover,
    importMib: isImports ? integer('mib', values.mib, quick ? 8 : 64, 1, 65_536) : undefined,
    quick,
    tune: isTune,
    disk: isDisk,
    bucketMib: isBucket ? integer('mib', values.mib, 128, 32, 65_536) : undefined,
    webMib: isWeb ? integer('mib', values.mib, 64, 1, 65_536) : undefined,
    only: values.only ?? '',
    largeMib: isLarge ? integer('mib', values.mib, quick ? 32 : 1024, 8, 65_536) : undefined,
    sets: values.sets === undefined ? undefined : numbersIn('sets', values.sets, 3, 100_000),
    releases: releasesOf(isReleases, values),
    mount: mountOf(isMount, values, quick),
    plots: values.plots,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        seed: { type: 'string' },
        files: { type: 'string' },
        tree: { type: 'string' },
        work: { type: 'string' },
        runs: { type: 'string' },
        quick: { type: 'boolean' },
        // Node 20.15 does not support `allowNegative` yet.
        'no-memory': { type: 'boolean' },
        keep: { type: 'boolean' },
        pi: { type: 'boolean' },
        delay: { type: 'string' },
        shapes: { type: 'boolean' },
        scale: { type: 'string' },
        sync: { type: 'boolean' },
        parity: { type: 'boolean' },
        tune: { type: 'boolean' },
        disk: { type: 'boolean' },
        sets: { type: 'string' },
        web: { type: 'boolean' },
        bucket: { type: 'boolean' },
        takeover: { type: 'boolean' },
        imports: { type: 'boolean' },
        mib: { type: 'string' },
        growth: { type: 'boolean' },
        sizes: { type: 'string' },
        releases: { type: 'boolean' },
        history: { type: 'string' },
        mount: { type: 'boolean' },
        names: { type: 'string' },
        large: { type: 'boolean' },
        only: { type: 'string' },
        entries: { type: 'string' },
        tags: { type: 'string' },
        count: { type: 'string' },
        plots: { type: 'string' },
        with: { type: 'string', multiple: true },
        without: { type: 'string', multiple: true },
        'borg-encryption': { type: 'string' },
        level: { type: 'string' },
        json: { type: 'string' },
        check: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function peerName(name: string): PeerName {
  const known = PEERS.find((peer) => peer === name);
  if (known === undefined) {
    throw new UsageError(`no peer is called ${name}; there are: ${PEERS.join(', ')}`);
  }
  return known;
}

/** Returns the numbers of files to measure, in ascending order; empty unless `--growth` is given. */
function sizesOf(isRequested: boolean, text: string | undefined, quick: boolean): number[] {
  if (!isRequested) {
    if (text !== undefined) {
      throw new UsageError('--sizes belongs to --growth');
    }
    return [];
  }
  const given = text ?? (quick ? '1000,4000' : '10000,100000,1000000');
  return numbersIn('sizes', given, 100, 10_000_000);
}

/** Returns the numbers of a list with commas, in ascending order. */
function numbersIn(name: string, text: string, least: number, most: number): number[] {
  const numbers = text.split(',').map((one) => integer(name, one, 0, least, most));
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function filesOf(isReleases: boolean, quick: boolean): number {
  if (isReleases) {
    return quick ? 500 : 3000;
  }
  return quick ? 8000 : 80_000;
}

function releasesOf(
  isRequested: boolean,
  values: { readonly history?: string; readonly tags?: string; readonly count?: string },
): ReleasesOptions | undefined {
  const { history, tags, count } = values;
  if (!isRequested) {
    if (history !== undefined || tags !== undefined || count !== undefined) {
      throw new UsageError('--history, --tags and --count belong to --releases');
    }
    return undefined;
  }
  if (tags !== undefined && (history === undefined || count !== undefined)) {
    throw new UsageError('--tags belongs to --history, and says how many there are');
  }
  return {
    history,
    tags: (tags ?? '').split(',').filter((tag) => tag !== ''),
    count: integer('count', count, 10, 1, 1000),
  };
}

function mountOf(
  isRequested: boolean,
  { names, mib, entries }: MountWords,
  quick: boolean,
): MountOptions | undefined {
  if (!isRequested) {
    if (names !== undefined || entries !== undefined) {
      throw new UsageError('--names and --entries belong to --mount');
    }
    return undefined;
  }
  return {
    names: integer('names', names, 10_000, 1, 10_000_000),
    largeMib: integer('mib', mib, 256, 2, 1 << 20),
    entries: integer('entries', entries, quick ? QUICK_ENTRIES : ENTRIES, 1, 100_000_000),
    readMs: quick ? QUICK_READ_MS : READ_MS,
  };
}

function integer(
  name: string,
  text: string | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  if (text === undefined) {
    return fallback;
  }
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw new UsageError(`--${name} is a whole number from ${least} to ${most}, not ${text}`);
  }
  return value;
}
