/** Measures the code that each file of tests reaches, and keeps the result until that code changes. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import type { Profiler } from 'node:inspector';
import { SourceMap } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { removeScratch } from '../helpers/scratch.js';
import { segments } from '../fuzz/engine/coverage.js';
import { type CopiedCheckout, type Outcome, temporaryFolder } from './copied-checkout.js';

/** Pairs of numbers, in order: each range that ran, of characters of dist/src or of lines of native/src. */
type Ranges = readonly number[];

export interface Reach {
  /** The file of tests, as `test/store/frames.test.ts`. */
  readonly test: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly ran: Readonly<Record<string, Ranges>>;
  /** Digests of all files that the measurement depends on. */
  readonly digests: Readonly<Record<string, string>>;
}

const OWN = /\/(dist\/(?:src|test)\/[^?]+\.js)(?:\?.*)?$/;
const MAX_GCOV_BYTES = 2 ** 29;
const digests = new Map<string, string>();

function digestOf(file: string): string {
  const known = digests.get(file);
  if (known !== undefined) return known;
  const bytes = fs.existsSync(file) ? fs.readFileSync(file) : '';
  const digest = createHash('sha256').update(bytes).digest('base64').slice(0, 16);
  digests.set(file, digest);
  return digest;
}

export function compiledOf(source: string): string {
  return `dist/${source.replace(/\.ts$/, '.js')}`;
}

/** Ranges that ran, by file. */
class Ran {
  private readonly ranges = new Map<string, (readonly [number, number])[]>();

  add(file: string, ranges: readonly (readonly [number, number])[]): void {
    if (ranges.length > 0) this.ranges.set(file, [...(this.ranges.get(file) ?? []), ...ranges]);
  }

  /** Returns all ranges; those that overlap or touch are joined. */
  all(): Record<string, Ranges> {
    return Object.fromEntries(
      [...this.ranges].map(([file, ranges]) => {
        const found: number[] = [];
        for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
          if (found.length > 0 && from <= found.at(-1)!) found.push(Math.max(found.pop()!, to));
          else found.push(from, to);
        }
        return [file, found];
      }),
    );
  }
}

/** Keeps what is known of all files of tests in a folder, and measures one for at most `limitMs`. */
export class Reaches {
  constructor(
    private readonly folder: string,
    private readonly limitMs: number,
  ) {}

  private fileOf(test: string): string {
    return path.join(this.folder, `${test.replaceAll('/', '+')}.json`);
  }

  /** Returns the reach of a file of tests; undefined if it is not known, or if its code has changed since. */
  known(test: string): Reach | undefined {
    const file = this.fileOf(test);
    if (!fs.existsSync(file)) return undefined;
    const reach = JSON.parse(fs.readFileSync(file, 'utf8')) as Reach;
    if (reach.outcome === 'too long' && this.limitMs > 1000 * (reach.seconds + 1)) return undefined;
    const isSame = Object.entries(reach.digests).every(([name, one]) => digestOf(name) === one);
    return isSame ? reach : undefined;
  }

  /** Runs a file of tests in a copy whose addon counts its lines, and keeps what it reaches, unless it fails. */
  async measure(copy: CopiedCheckout, test: string): Promise<Reach> {
    const folder = temporaryFolder();
    const startMs = performance.now();
    try {
      const outcome = await copy.run(compiledOf(test), this.limitMs, {
        NODE_V8_COVERAGE: path.join(folder, 'v8'),
        NODE_DISABLE_COMPILE_CACHE: '1', // functions from the cache have no counts of their blocks
        GCOV_PREFIX: folder,
      });
      const seconds = Math.round((performance.now() - startMs) / 100) / 10;
      const all = new Ran();
      addScripts(all, path.join(folder, 'v8'), copy);
      addNative(all, folder, copy);
      const ran = all.all();
      const names = [compiledOf(test), ...Object.keys(ran)];
      const known = Object.fromEntries(names.map((name) => [name, digestOf(name)]));
      const reach = { test, outcome, seconds, ran, digests: known };
      fs.mkdirSync(this.folder, { recursive: true });
      if (outcome !== 'failed') fs.writeFileSync(this.fileOf(test), JSON.stringify(reach));
      return reach;
    } finally {
      removeScratch(folder);
    }
  }
}

/** Adds what ran of each of our scripts by the files that V8 wrote. Deletes these, which are large. */
function addScripts(ran: Ran, folder: string, copy: CopiedCheckout): void {
  const prefix = pathToFileURL(copy.folder).href;
  for (const name of fs.globSync('*.json', { cwd: folder })) {
    const text = fs.readFileSync(path.join(folder, name), 'utf8');
    fs.rmSync(path.join(folder, name));
    if (!text.endsWith('}')) continue; // its process was killed while it wrote
    const { result } = JSON.parse(text) as { result: Profiler.ScriptCoverage[] };
    for (const script of result.filter(({ url }) => url.startsWith(prefix))) {
      const own = OWN.exec(script.url)?.[1];
      if (own !== undefined) ran.add(own, segments(script));
    }
  }
}

interface Gcov {
  readonly files: readonly {
    readonly file: string;
    readonly lines: readonly { readonly line_number: number; readonly count: number }[];
  }[];
}

/** Adds the lines of the addon that ran. The counts are below `folder`, what gcov needs besides is in the copy. */
function addNative(ran: Ran, folder: string, copy: CopiedCheckout): void {
  const objects = path.join(copy.folder, 'native/build/Release/obj.target/tardis_native/src');
  const counts = path.join(folder, objects);
  const names = fs.globSync('*.gcda', { cwd: counts });
  if (names.length === 0) return;
  for (const name of names.map((one) => one.replace(/gcda$/, 'gcno')))
    fs.symlinkSync(path.join(objects, name), path.join(counts, name));
  const options = { cwd: counts, encoding: 'utf8', maxBuffer: MAX_GCOV_BYTES } as const;
  const { stdout } = spawnSync('gcov', ['--json-format', '--stdout', ...names], options);
  for (const text of stdout.split('\n').filter((one) => one.startsWith('{'))) {
    for (const { file, lines } of (JSON.parse(text) as Gcov).files) {
      if (!/^(?:\.\.\/)*src\//.test(file)) continue; // a header of the system
      const ranges = lines.filter(({ count }) => count > 0).map((one) => one.line_number);
      ran.add(
        `native/src/${path.basename(file)}`,
        ranges.map((line) => [line, line + 1]),
      );
    }
  }
}

/** True if a file of tests ran the code at a place: a character of a script, or a line of the addon. */
export function reaches(reach: Reach, file: string, at: number): boolean {
  const ranges = reach.ran[file] ?? [];
  return ranges.some((from, index) => index % 2 === 0 && from <= at && at < ranges[index + 1]!);
}

/** Returns the character of a compiled module that stands for a line and a column of its source. */
export function compiledPlace(source: string, line: number, column: number): number {
  const file = compiledOf(source);
  const map = new SourceMap(JSON.parse(fs.readFileSync(`${file}.map`, 'utf8')) as never);
  let best = { line: 0, column: 0, at: 0 };
  let start = 0;
  for (const [index, text] of fs.readFileSync(file, 'utf8').split('\n').entries()) {
    for (const { index: at } of text.matchAll(/[\w$]+|\S/g)) {
      const entry = map.findEntry(index, at);
      if (!('originalLine' in entry) || entry.generatedColumn !== at) continue;
      const place = { line: entry.originalLine, column: entry.originalColumn, at: start + at };
      if (isNotAfter(place, { line, column }) && isNotAfter(best, place)) best = place;
    }
    start += text.length + 1;
  }
  return best.at;
}

interface Position {
  readonly line: number;
  readonly column: number;
}

function isNotAfter(one: Position, other: Position): boolean {
  return one.line < other.line || (one.line === other.line && one.column <= other.column);
}
