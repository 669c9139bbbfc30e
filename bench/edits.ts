import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import { ContentMaker } from './content.js';
import { Random } from './random.js';
import { type PlannedFile, planTree, type TreePlan, writeTree } from './tree.js';
import { pick } from './vocabulary.js';

/** Minimum and maximum share of the files that a release changes. */
const CHANGED_LEAST = 0.05;
const CHANGED_MOST = 0.15;
const ADDED_SHARE = 0.01;
const REMOVED_SHARE = 0.005;
/**
 * Exponent that makes changes uneven: the tenth of the files that change most gets more than a third of the changes.
 */
const SKEW = 2.5;
/** Average number of lines of a file for each hunk. Each file gets one more hunk. */
const LINES_PER_HUNK = 150;
const HUNK_LINES_MAX = 8;
/** Share of the hunks that replace lines. INSERT_SHARE of the others insert lines; the remaining ones delete lines. */
const REPLACE_SHARE = 0.6;
const INSERT_SHARE = 0.7;
const NEW_TEXT_BYTES = 4096;
const NEW_FILE_MODE = 0o644;
/** Number of files of all kinds that are planned for each text file that is needed, with a margin. */
const PLANNED_RATIO = 1.25;
/** First stream of random numbers for edits, far from the streams that generate the tree. */
const EDIT_STREAM = 1000;
const LINE_FEED = 0x0a;

/**
 * A generated source tree and its later releases. Each release changes lines of some text files, and adds or removes a
 * few files. Some files are changed more often than others. A given seed and number of files always yield the same
 * releases.
 */
export class EditedTree {
  readonly #root: string;
  readonly #seed: number;
  readonly #plan: TreePlan;
  readonly #maker: ContentMaker;
  /** The text files, the most often changed first. Large files tend to change more often than small ones. */
  readonly #texts: PlannedFile[];
  /** Number of files added so far; the name of a removed file is never reused. */
  #number = 0;

  constructor(root: string, options: { readonly seed: number; readonly files: number }) {
    this.#root = root;
    this.#seed = options.seed;
    this.#plan = planTexts(options);
    this.#maker = new ContentMaker(options.seed);
    const random = new Random(options.seed, EDIT_STREAM);
    this.#texts = this.#plan.files
      .filter(({ content }) => content.sizeBytes > 0)
      .map((file) => ({ file, weight: file.content.sizeBytes * Math.exp(random.normal()) }))
      .sort((a, b) => b.weight - a.weight)
      .map(({ file }) => file);
  }

  /** Writes the first release; the root must not exist. */
  write(): void {
    writeTree(this.#plan, this.#root);
  }

  /** Changes the tree from the previous release to `release`, which counts from 1. Returns the numbers of changes. */
  edit(release: number): { changed: number; added: number; removed: number } {
    const random = new Random(this.#seed, EDIT_STREAM + release);
    const texts = this.#texts;
    const share = CHANGED_LEAST + (CHANGED_MOST - CHANGED_LEAST) * random.unit();
    const wanted = Math.max(1, Math.round(texts.length * share));
    const changed = new Set<PlannedFile>();
    while (changed.size < wanted) {
      const file = texts[Math.floor(texts.length * random.unit() ** SKEW)];
      if (file !== undefined) {
        changed.add(file);
      }
    }
    for (const file of changed) {
      this.#editFile(file, random);
    }
    const removed = Math.round(texts.length * REMOVED_SHARE);
    for (let i = 0; i < removed; i++) {
      const [file] = texts.splice(random.below(texts.length), 1);
      unlinkSync(`${this.#root}/${file?.path}`);
    }
    const added = Math.max(1, Math.round(texts.length * ADDED_SHARE));
    for (let i = 0; i < added; i++) {
      this.#addFile(random);
    }
    return { changed: changed.size, added, removed };
  }

  #editFile({ path, content }: PlannedFile, random: Random): void {
    const full = `${this.#root}/${path}`;
    const lines = linesOf(readFileSync(full));
    const news = linesOf(
      this.#maker.make({ ...content, sizeBytes: NEW_TEXT_BYTES, contentSeed: random.bits() }),
    );
    const hunks = 1 + random.below(Math.ceil((2 * lines.length) / LINES_PER_HUNK));
    for (let i = 0; i < hunks; i++) {
      const at = random.below(lines.length + 1);
      const count = 1 + random.below(HUNK_LINES_MAX);
      const from = random.below(Math.max(1, news.length - count));
      const fresh = news.slice(from, from + count);
      if (random.unit() < REPLACE_SHARE) {
        lines.splice(at, count, ...fresh);
      } else if (random.unit() < INSERT_SHARE) {
        lines.splice(at, 0, ...fresh);
      } else if (lines.length > count) {
        lines.splice(at, count);
      }
    }
    writeFileSync(full, Buffer.concat(lines));
  }

  /** Adds a file similar to an existing one, in the same directory. */
  #addFile(random: Random): void {
    const like = pick(this.#texts, random);
    this.#number += 1;
    const name = `added-${this.#number}${extname(like.path)}`;
    const directory = dirname(like.path);
    const path = directory === '.' ? name : `${directory}/${name}`;
    const content = { ...like.content, contentSeed: random.bits() };
    const made = this.#maker.make(content);
    writeFileSync(`${this.#root}/${path}`, made, { mode: NEW_FILE_MODE });
    // A random position in the order, so that some new files change often.
    this.#texts.splice(random.below(this.#texts.length + 1), 0, { ...like, path, content });
  }
}

/** Returns copies of the lines of a text, each with its line feed. */
function linesOf(text: Uint8Array): Buffer[] {
  const all = Buffer.from(text);
  const lines: Buffer[] = [];
  for (let from = 0; from < all.length; ) {
    const end = all.indexOf(LINE_FEED, from);
    const to = end === -1 ? all.length : end + 1;
    lines.push(all.subarray(from, to));
    from = to;
  }
  return lines;
}

/** Plans a generated tree with text files only, since source trees contain almost nothing else. */
function planTexts(options: { readonly seed: number; readonly files: number }): TreePlan {
  const plan = planTree({ ...options, files: Math.ceil(options.files * PLANNED_RATIO) });
  const files = plan.files.filter(({ content }) => content.kind === 'text').slice(0, options.files);
  return { ...plan, files, bytes: files.reduce((sum, file) => sum + file.content.sizeBytes, 0) };
}
