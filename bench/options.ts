import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** A mistake on the command line. Only its message is printed for the user. */
export class UsageError extends Error {}

/** The peers that `--with` and `--without` accept; tardis itself always takes part. */
export const PEERS = ['restic', 'borg', 'rustic', 'rsync', 'rdiff', 'raw'] as const;
export type PeerName = (typeof PEERS)[number];

/** The questions, each named as its option. Without any of these options, tardis is compared with other programs. */
const BY_OPTION = [
  'bucket',
  'delay',
  'growth',
  'imports',
  'large',
  'mount',
  'parity',
  'releases',
  'sets',
  'shapes',
  'sync',
  'takeover',
  'tune',
  'web',
] as const;
export type OptionQuestion = (typeof BY_OPTION)[number];
type AnyQuestion = OptionQuestion | 'comparison';

const BESIDE_PEERS: readonly AnyQuestion[] = ['comparison', 'large', 'mount', 'releases', 'shapes'];

/** Options that belong to some questions only. */
const BELONGING: readonly {
  readonly options: readonly OptionName[];
  readonly to: readonly AnyQuestion[];
}[] = [
  { options: ['mib'], to: ['bucket', 'imports', 'large', 'mount', 'web'] },
  { options: ['only'], to: ['growth', 'large', 'shapes'] },
  { options: ['scale'], to: ['shapes'] },
  { options: ['disk'], to: ['comparison', 'shapes'] },
  { options: ['pi'], to: ['comparison'] },
  { options: ['with', 'without'], to: BESIDE_PEERS },
  { options: ['sizes'], to: ['growth'] },
  { options: ['history', 'tags', 'count'], to: ['releases'] },
  { options: ['names', 'entries'], to: ['mount'] },
];

/** Default of --mib by the question; its second number is that of --quick. Then the least and the most that are allowed. */
const MIB: Readonly<
  Partial<Record<AnyQuestion, readonly [usual: number, quick: number, least: number, most: number]>>
> = {
  bucket: [128, 128, 32, 65_536],
  imports: [64, 8, 1, 65_536],
  large: [1024, 32, 8, 65_536],
  mount: [256, 256, 2, 1 << 20],
  web: [64, 64, 1, 65_536],
};
/** Rounds of questions that differ from the others. */
const RUNS: Readonly<Partial<Record<AnyQuestion, number>>> = {
  growth: 1,
  releases: 1,
  shapes: 1,
  mount: 3,
  takeover: 3,
  tune: 3,
};
/** Files of the trees of such questions; the second number is that of --quick. */
const FILES: Readonly<Partial<Record<AnyQuestion, readonly [usual: number, quick: number]>>> = {
  mount: [8000, 8000],
  releases: [3000, 500],
  web: [2000, 2000],
};
const USUAL_FILES = [80_000, 8000] as const;
const READ_MS = [3000, 200] as const;
const ENTRIES = [500_000, 5000] as const;

const BORG_ENCRYPTIONS = ['repokey-blake2', 'none'] as const;

/** The options of the command line. */
export interface Options {
  readonly question: AnyQuestion;
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
  /** Round trip to the distant server, in milliseconds. */
  readonly delayMs: number;
  /** Numbers of files with which to measure how costs grow. */
  readonly sizes: readonly number[];
  /** Multiple of the sizes of the trees of other shapes. */
  readonly scale: number;
  /** True to drop all cached files from memory before each command. */
  readonly disk: boolean;
  /** Numbers of sets at which the history is queried. */
  readonly sets: readonly number[];
  /** Size of what `--mib` stands for in the question. */
  readonly mib: number;
  /** True to measure less. */
  readonly quick: boolean;
  readonly releases: ReleasesOptions;
  /** Text in the names of the large files or shapes that are measured; empty for all. */
  readonly only: string;
  readonly mount: MountOptions;
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

/** Sizes of the parts that are read in mounts, beside the tree of small files and the large file. */
export interface MountOptions {
  /** Number of names of the largest directory. */
  readonly names: number;
  /** Number of entries of the catalog that is mounted at the end. */
  readonly entries: number;
  /** Time of reading at random positions, in milliseconds. */
  readonly readMs: number;
}

const FLAG = { type: 'boolean' } as const;
const TEXT = { type: 'string' } as const;
const TEXTS = { type: 'string', multiple: true } as const;
const OPTIONS = {
  seed: TEXT,
  files: TEXT,
  tree: TEXT,
  work: TEXT,
  runs: TEXT,
  quick: FLAG,
  // Node 20.15 does not support `allowNegative` yet.
  'no-memory': FLAG,
  keep: FLAG,
  pi: FLAG,
  delay: TEXT,
  shapes: FLAG,
  scale: TEXT,
  sync: FLAG,
  parity: FLAG,
  tune: FLAG,
  disk: FLAG,
  sets: TEXT,
  web: FLAG,
  bucket: FLAG,
  takeover: FLAG,
  imports: FLAG,
  mib: TEXT,
  growth: FLAG,
  sizes: TEXT,
  releases: FLAG,
  history: TEXT,
  mount: FLAG,
  names: TEXT,
  large: FLAG,
  only: TEXT,
  entries: TEXT,
  tags: TEXT,
  count: TEXT,
  plots: TEXT,
  with: TEXTS,
  without: TEXTS,
  'borg-encryption': TEXT,
  level: TEXT,
  json: TEXT,
  check: FLAG,
  help: { type: 'boolean', short: 'h' },
} as const;
type OptionName = keyof typeof OPTIONS;
type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];

/** Parses the command line; undefined if it requests help. */
export function parseOptions(argv: readonly string[]): Options | undefined {
  const values = parse(argv);
  if (values.help === true) return undefined;
  const question = questionIn(values);
  requireBelonging(question, values);
  requirePaths(values);
  const quick = values.quick === true;
  const of = ([usual, less]: readonly [number, number]): number => (quick ? less : usual);
  const peers = peersIn(question, values);
  requireFitting(question, peers.always, values);
  const [usualMib, quickMib, leastMib, mostMib] = MIB[question] ?? [0, 0, 0, 0];
  const { tree, json, plots, history, tags = '' } = values;
  const sizes = values.sizes ?? (quick ? '1000,4000' : '10000,100000,1000000');
  const isOnDisk = question === 'sync' || values.disk === true;
  return {
    question,
    seed: integer('seed', values.seed, 1, 0, 0xffff_ffff),
    files: integer('files', values.files, of(FILES[question] ?? USUAL_FILES), 1, 10_000_000),
    tree,
    work: values.work ?? (isOnDisk ? '.' : '/dev/shm'),
    runs: integer('runs', values.runs, RUNS[question] ?? of([5, 2]), 1, 1000),
    peers: PEERS.filter((name) => peers.always.has(name)),
    peersIfThere: [...peers.ifThere],
    borgEncryption: borgEncryptionIn(values),
    level: values.level === undefined ? undefined : integer('level', values.level, 1, 1, 19),
    memory: values['no-memory'] !== true,
    json,
    check: values.check === true,
    keep: values.keep === true,
    pi: values.pi === true,
    delayMs: integer('delay', values.delay, 100, 1, 60_000),
    sizes: numbersIn('sizes', sizes, 100, 10_000_000),
    scale: integer('scale', values.scale, of([100, 1]), 0, 1000) / 100,
    disk: values.disk === true,
    sets: numbersIn('sets', values.sets ?? '3', 3, 100_000),
    mib: integer('mib', values.mib, of([usualMib, quickMib]), leastMib, mostMib),
    quick,
    releases: {
      history,
      tags: tags.split(',').filter((tag) => tag !== ''),
      count: integer('count', values.count, 10, 1, 1000),
    },
    only: values.only ?? '',
    mount: {
      names: integer('names', values.names, 10_000, 1, 10_000_000),
      entries: integer('entries', values.entries, of(ENTRIES), 1, 100_000_000),
      readMs: of(READ_MS),
    },
    plots,
  };
}

function parse(argv: readonly string[]): Values {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function questionIn(values: Values): AnyQuestion {
  const [question = 'comparison', ...others] = BY_OPTION.filter(
    (name) => values[name] !== undefined,
  );
  if (others.length === 0) return question;
  throw new UsageError(`${shownList(BY_OPTION)} are different questions`);
}

/** Returns options as a list for the user. */
function shownList(names: readonly string[]): string {
  const [last, ...before] = names.map((name) => `--${name}`).toReversed();
  return before.length === 0 ? last! : `${before.toReversed().join(', ')} and ${last}`;
}

function requireBelonging(question: AnyQuestion, values: Values): void {
  for (const { options, to } of BELONGING) {
    if (to.includes(question) || options.every((name) => values[name] === undefined)) continue;
    const named = to.filter((one) => one !== 'comparison');
    const places = [
      ...(named.length === 0 ? [] : [shownList(named)]),
      ...(named.length === to.length ? [] : ['the comparison with other programs']),
    ];
    const belong = options.length === 1 ? 'belongs' : 'belong';
    throw new UsageError(`${shownList(options)} ${belong} to ${places.join(' and ')}`);
  }
}

/** Throws a UsageError if a path cannot be used. A long run would otherwise end without what it measured. */
function requirePaths({ tree, work, plots, json }: Values): void {
  requireDirectory('--tree', tree, 'no directory to copy');
  requireDirectory('--work', work, 'no directory to work in');
  requireDirectory('--plots', plots, 'no directory to write plots to');
  if (json === undefined) return;
  requireDirectory('--json', dirname(resolve(json)), 'no directory to write figures to');
  if (isDirectory(json)) throw new UsageError(`--json: ${json} is a directory`);
}

function requireDirectory(option: string, path: string | undefined, what: string): void {
  if (path === undefined || isDirectory(path)) return;
  throw new UsageError(`${option}: ${path} is ${what}`);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

interface ChosenPeers {
  readonly always: ReadonlySet<PeerName>;
  readonly ifThere: ReadonlySet<PeerName>;
}

/** Peers that take part in a question if they are installed. */
const IF_THERE: Readonly<Partial<Record<AnyQuestion, readonly PeerName[]>>> = {
  comparison: ['borg', 'rustic'],
  large: ['rdiff'],
  shapes: ['rustic'],
};

function peersIn(question: AnyQuestion, values: Values): ChosenPeers {
  const isComparison = question === 'comparison' || !BESIDE_PEERS.includes(question);
  const always = new Set<PeerName>(isComparison ? ['restic', 'raw'] : ['restic', 'borg']);
  const ifThere = new Set<PeerName>(IF_THERE[question]);
  for (const name of (values.with ?? []).map(peerName)) {
    always.add(name);
    ifThere.delete(name);
  }
  for (const name of (values.without ?? []).map(peerName)) {
    always.delete(name);
    ifThere.delete(name);
  }
  return { always, ifThere };
}

function peerName(name: string): PeerName {
  const known = PEERS.find((peer) => peer === name);
  if (known !== undefined) return known;
  throw new UsageError(`no peer is called ${name}; there are: ${PEERS.join(', ')}`);
}

/** Throws a UsageError for peers, trees and releases that a question cannot measure. */
function requireFitting(
  question: AnyQuestion,
  peers: ReadonlySet<PeerName>,
  { tree, history, tags, count }: Values,
): void {
  const refuse = (isWrong: boolean, questions: readonly AnyQuestion[], why: string): void => {
    if (isWrong && questions.includes(question)) throw new UsageError(why);
  };
  const keepsOne = peers.has('rsync') || peers.has('raw');
  if (peers.has('rdiff') && question !== 'large') throw new UsageError('rdiff belongs to --large');
  const isTree = tree !== undefined;
  refuse(isTree, ['releases'], '--tree is one state of a tree: --releases takes a --history');
  refuse(
    keepsOne,
    ['releases', 'large', 'shapes'],
    'rsync and raw keep one version only: nothing to ask here',
  );
  refuse(
    peers.has('rustic'),
    ['releases', 'large'],
    '--releases and --large compare with restic and borg',
  );
  refuse(isTree, ['large', 'shapes'], '--large and --shapes back up files of their own');
  refuse(
    isTree || peers.has('rustic') || keepsOne,
    ['mount'],
    '--mount reads a tree of its own, beside restic and borg',
  );
  refuse(
    tags !== undefined && (history === undefined || count !== undefined),
    ['releases'],
    '--tags belongs to --history, and says how many there are',
  );
}

function borgEncryptionIn(values: Values): Options['borgEncryption'] {
  const encryption = values['borg-encryption'] ?? 'repokey-blake2';
  const known = BORG_ENCRYPTIONS.find((one) => one === encryption);
  if (known !== undefined) return known;
  throw new UsageError(`--borg-encryption is one of: ${BORG_ENCRYPTIONS.join(', ')}`);
}

/** Returns the numbers of a list with commas, in ascending order. */
function numbersIn(name: string, text: string, least: number, most: number): number[] {
  const numbers = text.split(',').map((one) => integer(name, one, 0, least, most));
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function integer(
  name: string,
  text: string | undefined,
  fallback: number,
  least: number,
  most: number,
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`--${name} is a whole number from ${least} to ${most}, not ${text}`);
}
