import { closeSync, futimesSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ContentMaker, type ContentKind, type ContentSpec } from './content.js';
import { Random } from './random.js';
import { pick, type Vocabulary } from './vocabulary.js';

/** A file to be written. */
export interface PlannedFile {
  readonly path: string;
  readonly content: ContentSpec;
  readonly mode: number;
  readonly mtimeS: number;
}

/** A tree that is not written yet, so that its size is known before the work begins. */
export interface TreePlan {
  readonly seed: number;
  readonly directories: readonly string[];
  readonly files: readonly PlannedFile[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
  readonly bytes: number;
}

/** Log-normal sizes of files. */
export interface Sizes {
  readonly medianBytes: number;
  readonly deviation: number;
  readonly maxBytes: number;
}

/** Sizes of a source tree: their mean is about 16 KiB, and a few files have over 1 MiB. */
const SOURCE_SIZES: Sizes = { medianBytes: 3600, deviation: 1.74, maxBytes: 20 * 1024 * 1024 };
/** Files are written in pieces of at most so many bytes. */
const PIECE_BYTES = 20 * 1024 * 1024;
const DEPTH_MAX = 10;
const FILES_PER_DIRECTORY = 10;
const BINARY_SHARE = 0.08;
const NOISE_SHARE = 0.03;
const DUPLICATE_SHARE = 0.01;
const LINK_SHARE = 0.008;
/** Share of the directories that begin a new theme. The others have the theme of their parent. */
const NEW_THEME_SHARE = 0.3;
/** The latest time of a file. It is a fixed day, so that a seed gives the same tree in any year. */
const EPOCH_S = Date.UTC(2024, 0, 1) / 1000;
const AGE_MAX_S = 5 * 365 * 86_400;

const EXTENSIONS: Readonly<Record<ContentKind, readonly string[]>> = {
  text: ['ts', 'js', 'c', 'h', 'py', 'rs', 'md', 'json', 'txt', 'css'],
  binary: ['o', 'bin', 'so', 'dat', 'wasm'],
  noise: ['png', 'jpg', 'gz', 'zst'],
};

interface Folder {
  readonly path: string;
  readonly depth: number;
  readonly themeSeed: number;
  readonly taken: Set<string>;
}

/** Plans a tree like a source tree. A given seed and number of files always yield the same tree. */
export function planTree(options: {
  readonly seed: number;
  readonly files: number;
  readonly sizes?: Sizes;
}): TreePlan {
  const { sizes = SOURCE_SIZES } = options;
  const random = new Random(options.seed);
  const words = new ContentMaker(options.seed).vocabulary;
  const folders: Folder[] = [];
  const files: PlannedFile[] = [];
  const links: { path: string; target: string }[] = [];
  while (files.length < options.files) {
    const folder = addFolder(folders, words, random);
    // The count is skewed and has the required mean: most directories are small, and some contain hundreds of files.
    const count = Math.max(
      1,
      Math.round(FILES_PER_DIRECTORY * 0.73 * Math.exp(0.8 * random.normal())),
    );
    for (let i = 0; i < count && files.length < options.files; i++) {
      const file = planFile(folder, { earlier: files, sizes }, words, random);
      files.push(file);
      if (random.unit() < LINK_SHARE) {
        const path = join(folder.path, freshName(folder, words, random, '.lnk'));
        links.push({ path, target: file.path.slice(file.path.lastIndexOf('/') + 1) });
      }
    }
  }
  return {
    seed: options.seed,
    directories: folders.map((folder) => folder.path),
    files,
    links,
    bytes: files.reduce((sum, file) => sum + file.content.sizeBytes, 0),
  };
}

/** Writes a planned tree; `root` must not exist. */
export function writeTree(plan: TreePlan, root: string): void {
  const maker = new ContentMaker(plan.seed);
  for (const directory of plan.directories) {
    mkdirSync(join(root, directory), { recursive: true, mode: 0o755 });
  }
  for (const file of plan.files) {
    const fd = openSync(`${root}/${file.path}`, 'wx', file.mode);
    try {
      for (let at = 0, piece = 0; at < file.content.sizeBytes; at += PIECE_BYTES, piece++) {
        const sizeBytes = Math.min(PIECE_BYTES, file.content.sizeBytes - at);
        const contentSeed = file.content.contentSeed + piece;
        writeFully(fd, maker.make({ ...file.content, sizeBytes, contentSeed }));
      }
      futimesSync(fd, file.mtimeS, file.mtimeS);
    } finally {
      closeSync(fd);
    }
  }
  for (const link of plan.links) {
    symlinkSync(link.target, `${root}/${link.path}`);
  }
}

/** Writes all bytes, in several writes if one is short. */
export function writeFully(fd: number, contents: Uint8Array): void {
  let done = 0;
  while (done < contents.length) {
    done += writeSync(fd, contents, done);
  }
}

function addFolder(folders: Folder[], words: Vocabulary, random: Random): Folder {
  const parent = folders.length === 0 ? undefined : chooseParent(folders, random);
  const folder = {
    path: parent === undefined ? '' : join(parent.path, freshName(parent, words, random, '')),
    depth: parent === undefined ? 0 : parent.depth + 1,
    themeSeed:
      parent === undefined || random.unit() < NEW_THEME_SHARE ? random.bits() : parent.themeSeed,
    taken: new Set<string>(),
  };
  folders.push(folder);
  return folder;
}

/**
 * Returns a random directory that may have children. It prefers directories near the root: it draws two candidates, and
 * if the first one is deeper, takes it only one time in three.
 */
function chooseParent(folders: readonly Folder[], random: Random): Folder {
  for (;;) {
    const one = pick(folders, random);
    const other = pick(folders, random);
    const parent = one.depth <= other.depth || random.unit() < 1 / 3 ? one : other;
    if (parent.depth < DEPTH_MAX) {
      return parent;
    }
  }
}

function planFile(
  folder: Folder,
  { earlier, sizes }: { readonly earlier: readonly PlannedFile[]; readonly sizes: Sizes },
  words: Vocabulary,
  random: Random,
): PlannedFile {
  const content =
    earlier.length > 0 && random.unit() < DUPLICATE_SHARE
      ? pick(earlier, random).content
      : planContent(folder.themeSeed, sizes, random);
  const name = freshName(folder, words, random, `.${pick(EXTENSIONS[content.kind], random)}`);
  return {
    path: join(folder.path, name),
    content,
    mode: random.unit() < 0.04 ? 0o755 : 0o644,
    mtimeS: EPOCH_S - random.below(AGE_MAX_S),
  };
}

function planContent(themeSeed: number, sizes: Sizes, random: Random): ContentSpec {
  const dice = random.unit();
  const sizeBytes = Math.round(sizes.medianBytes * Math.exp(sizes.deviation * random.normal()));
  return {
    kind: dice < NOISE_SHARE ? 'noise' : dice < NOISE_SHARE + BINARY_SHARE ? 'binary' : 'text',
    sizeBytes: Math.min(sizes.maxBytes, sizeBytes),
    contentSeed: random.bits(),
    themeSeed,
  };
}

function freshName(folder: Folder, words: Vocabulary, random: Random, ending: string): string {
  for (;;) {
    const separator = random.unit() < 0.5 ? '_' : '-';
    const stem =
      random.unit() < 0.3
        ? words.word(random)
        : `${words.word(random)}${separator}${words.word(random)}`;
    const name = stem + ending;
    if (!folder.taken.has(name)) {
      folder.taken.add(name);
      return name;
    }
  }
}
