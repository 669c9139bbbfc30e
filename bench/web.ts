import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  openSync,
  closeSync,
  ftruncateSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomFillSync } from 'node:crypto';
import type { Answer } from './answer.js';
import type { Bench } from './bench.js';
import { median } from './figures.js';
import { killOnExit } from './measure.js';
import { peakResidentBytes } from './processes.js';
import { confinedTo } from './subjects/subject.js';
import { verdictOf } from './targets.js';

const MIB = 1 << 20;
/** Flags of Node as in bin/launch.sh, since memory is measured. */
const LAUNCH_FLAGS = ['--max-semi-space-size=2', '--v8-pool-size=1'];
const LAUNCH_VARIABLES = { MALLOC_ARENA_MAX: '1' };
const SERVER = fileURLToPath(new URL('web-server.js', import.meta.url));
const HOLE_BYTES = 10 * 1024 * MIB;
const RANGE_BYTES = MIB;
const FILE_MIB = 8;
const READERS = 200;
/** Maximum number of names on a page of a search. */
const SEARCH_LIMIT = 10_000;
/** A pattern that few names match: 3,439 of a million. The search examines all names. */
const RARE = '*777*';
const QUESTIONS_EACH = 5;
/** Share of the files that are in the directory whose first page is requested; it has at least one. */
const WIDE_SHARE = 0.01;

/** Limits of the measured values. A zip must have at least 0.6 of the speed of a restore. */
const BOUNDS = {
  pageMs: 200,
  searchMs: 300,
  searchAllMs: 1000,
  rangeMs: 200,
  zipTimes: 1 / 0.6,
  zipMb: 150,
  p99Ms: 1000,
  backup: 1.2,
};

interface Figures {
  readonly pageMs: number;
  readonly searchMs: number;
  readonly searchAllMs: number;
  readonly foundCount: number;
  readonly rangeMs: number;
  readonly zipMs: number;
  readonly restoreMs: number;
  readonly zipBytes: number;
  readonly serverPeakBytes: number;
  readonly p99Ms: number;
  readonly backupMs: number;
  readonly backupBesideMs: number;
}

/**
 * Measures the HTTP interfaces (doors): a directory, a range of a large file, a zip archive, many readers, and a backup
 * at the same time.
 */
export async function web(bench: Bench): Promise<Answer> {
  const { options, print } = bench;
  const { tree, root } = bench.workplace;
  const { mib: webMib, files } = options;
  const wide = Math.max(1, Math.round(files * WIDE_SHARE));
  print(`making ${files} files, one with a hole of 10 GiB, and ${webMib} MiB for an archive`);
  makeWebTree(tree, { files, wide, webMib });
  const run = async (tool: string, ...args: string[]): Promise<number> => {
    const argv = [bench.program(tool), ...args] as const;
    return (await bench.run({ argv, env: confinedTo(root) })).wallMs;
  };
  const store = join(root, 'store');
  const place = ['-D', store, '-C', 'bench'];
  await run('tardis', ...place, '--local', '--create', tree);
  const backup = (): Promise<number> => run('tardis', ...place, '--local', tree);
  await backup(); // this backup reads recently changed files again
  const backupMs = await backup();
  const out = join(root, 'out');
  mkdirSync(out);
  const restoreMs = await run('regenerate', ...place, '-o', out, join(tree, 'archive'));
  rmSync(out, { recursive: true });
  const server = await Server.start(store);
  try {
    const { runs } = options;
    const at = (route: string, name: string): string =>
      `/api/v1/clients/bench/sets/latest/${route}?path=${encodeURIComponent(join(tree, name))}`;
    const page = `${at('directory', 'wide')}&limit=1000`;
    const pageMs = await server.time(page, runs);
    const search = `/api/v1/clients/bench/search?pattern=${encodeURIComponent('file *')}`;
    const searchMs = await server.time(`${search}&limit=50`, runs);
    const searchFrom = performance.now();
    const foundCount = await server.search(`/api/v1/clients/bench/search?pattern=${RARE}`);
    const searchAllMs = performance.now() - searchFrom;
    const range = { range: `bytes=${HOLE_BYTES / 2}-${(HOLE_BYTES / 2) + RANGE_BYTES - 1}` };
    const rangeMs = await server.time(at('content', 'hole'), runs, range);
    const zipped = await zip(store, at('archive', 'archive'));
    const question = at('entry', 'hole');
    const p99Ms = percentile(await askMany(server, question), 0.99);
    const beside = askUntil(server, question);
    const backupBesideMs = await backup();
    await beside.stop();
    const pages = { pageMs, searchMs, searchAllMs, foundCount, rangeMs };
    const figures = { ...pages, ...zipped, restoreMs, p99Ms, backupMs, backupBesideMs };
    return answer(figures, { files, wide, webMib });
  } finally {
    await server.stop();
  }
}

/** Requests an archive of a server that got no other request, so that the measured memory is that of the archive. */
async function zip(
  store: string,
  url: string,
): Promise<Pick<Figures, 'zipMs' | 'zipBytes' | 'serverPeakBytes'>> {
  const server = await Server.start(store);
  try {
    const from = performance.now();
    const zipBytes = await server.get(url);
    const zipMs = performance.now() - from;
    return { zipMs, zipBytes, serverPeakBytes: server.peakBytes() };
  } finally {
    await server.stop();
  }
}

interface Shape {
  readonly files: number;
  readonly wide: number;
  readonly webMib: number;
}

/**
 * Creates `wide/` with some of the files, `many/` with the others, the sparse file `hole`, and `archive/`, of which
 * half is text.
 */
function makeWebTree(tree: string, { files, wide, webMib }: Shape): void {
  for (const name of ['wide', 'many', 'archive']) mkdirSync(join(tree, name), { recursive: true });
  for (let index = 0; index < files; index += 1) {
    const isWide = index < wide;
    const directory = isWide ? 'wide' : join('many', String(Math.floor(index / 1000)));
    if (!isWide) mkdirSync(join(tree, directory), { recursive: true });
    writeFileSync(join(tree, directory, `file ${index}`), String(index));
  }
  const hole = openSync(join(tree, 'hole'), 'w');
  ftruncateSync(hole, HOLE_BYTES);
  writeSync(hole, 'data', HOLE_BYTES / 2);
  closeSync(hole);
  for (let index = 0; index * FILE_MIB < webMib; index += 1) {
    const bytes = randomFillSync(Buffer.alloc(Math.min(FILE_MIB, webMib - index * FILE_MIB) * MIB));
    if (index % 2 === 1) {
      for (let at = 0; at < bytes.length; at += 1) bytes[at] = 0x61 + (bytes[at]! & 0x0f);
    }
    writeFileSync(join(tree, 'archive', `part ${index}`), bytes);
  }
}

class Server {
  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: READERS });
  private readonly forget: () => void;

  private constructor(
    private readonly child: ChildProcess,
    private readonly port: number,
  ) {
    this.forget = killOnExit(child.pid);
  }

  static async start(store: string): Promise<Server> {
    const child = spawn(process.execPath, [...LAUNCH_FLAGS, SERVER, store, 'bench'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...LAUNCH_VARIABLES },
    });
    const [first] = (await once(child.stdout, 'data')) as [Buffer];
    return new Server(child, Number(first));
  }

  /** Requests a URL and returns the number of bytes of the answer. Throws for any status other than 200 and 206. */
  get(url: string, headers: Record<string, string> = {}, keep?: Buffer[]): Promise<number> {
    const options = { host: '127.0.0.1', port: this.port, path: url, headers, agent: this.agent };
    return new Promise((resolve, reject) => {
      const request = http.get(options, (reply) => {
        let bytes = 0;
        reply.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          keep?.push(chunk);
        });
        reply.once('error', reject);
        reply.once('end', () => {
          const isGood = reply.statusCode === 200 || reply.statusCode === 206;
          if (isGood) resolve(bytes);
          else reject(new Error(`${url}: status ${reply.statusCode}`));
        });
      });
      request.once('error', reject);
    });
  }

  async text(url: string): Promise<string> {
    const chunks: Buffer[] = [];
    await this.get(url, {}, chunks);
    return Buffer.concat(chunks).toString();
  }

  /** Requests all pages of a search, and returns the number of paths that were found. */
  async search(url: string): Promise<number> {
    let count = 0;
    for (let after = ''; ; ) {
      const text = await this.text(`${url}&limit=${SEARCH_LIMIT}${after}`);
      const { found, next } = JSON.parse(text) as { found: unknown[]; next?: string };
      count += found.length;
      if (next === undefined) return count;
      after = `&after=${encodeURIComponent(next)}`;
    }
  }

  /** Returns the median time of some requests, in milliseconds. */
  async time(url: string, runs: number, headers: Record<string, string> = {}): Promise<number> {
    const times: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      const from = performance.now();
      await this.get(url, headers);
      times.push(performance.now() - from);
    }
    return median(times);
  }

  /** Returns the largest resident memory of the server so far. */
  peakBytes(): number {
    return peakResidentBytes(this.child.pid!);
  }

  async stop(): Promise<void> {
    this.agent.destroy();
    const ended = once(this.child, 'exit');
    this.child.kill();
    await ended;
    this.forget();
  }
}

/** Returns the times of small requests that many readers send at once. */
async function askMany(server: Server, url: string): Promise<number[]> {
  const times: number[] = [];
  const reader = async (): Promise<void> => {
    for (let question = 0; question < QUESTIONS_EACH; question += 1) {
      const from = performance.now();
      await server.get(url);
      times.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return times;
}

/** Lets many readers send requests until `stop` is called. Each sends one request a second, as people do. */
function askUntil(server: Server, url: string): { stop(): Promise<void> } {
  const over = new AbortController();
  const reader = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await server.get(url);
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.random() * 2));
    }
  };
  const all = Promise.all(Array.from({ length: READERS }, reader));
  return {
    stop: async () => {
      over.abort();
      await all;
    },
  };
}

function percentile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((one, other) => one - other);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? NaN;
}

function answer(figures: Figures, { files, wide, webMib }: Shape): Answer {
  const { pageMs, searchMs, searchAllMs, foundCount, rangeMs, zipMs, restoreMs } = figures;
  const { zipBytes, serverPeakBytes, p99Ms, backupMs, backupBesideMs } = figures;
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  const speed = (timeMs: number): string => `${((webMib * MIB) / 1000 / timeMs).toFixed(0)} MB/s`;
  return {
    question: 'web',
    about: `${files} files, a directory of ${wide}, an archive of ${webMib} MiB, ${READERS} readers`,
    headings: ['what', 'measured'],
    rows: [
      ['first page of a directory', ms(pageMs)],
      ['search, first 50', ms(searchMs)],
      [`search of all names, ${foundCount} found`, ms(searchAllMs)],
      ['1 MiB of a file of 10 GiB', ms(rangeMs)],
      ['zip', `${ms(zipMs)}, ${speed(zipMs)}, ${(zipBytes / 1e6).toFixed(0)} MB`],
      ['regenerate', `${ms(restoreMs)}, ${speed(restoreMs)}`],
      ['largest memory of a server that sends it', `${(serverPeakBytes / 1e6).toFixed(0)} MB`],
      ['small questions, p99', ms(p99Ms)],
      ['backup without changes', ms(backupMs)],
      ['the same beside the readers', ms(backupBesideMs)],
    ],
    verdicts: [
      verdictOf('first page in ms', BOUNDS.pageMs, pageMs),
      verdictOf('search, first 50, in ms', BOUNDS.searchMs, searchMs),
      verdictOf('search of all names in ms', BOUNDS.searchAllMs, searchAllMs),
      verdictOf('range in ms', BOUNDS.rangeMs, rangeMs),
      verdictOf('zip, times regenerate', BOUNDS.zipTimes, zipMs / restoreMs),
      verdictOf('memory in MB', BOUNDS.zipMb, serverPeakBytes / 1e6),
      verdictOf('small questions in ms, p99', BOUNDS.p99Ms, p99Ms),
      verdictOf('backup beside readers, times alone', BOUNDS.backup, backupBesideMs / backupMs),
    ],
    notes: ['the time of regenerate includes its start; memory is the peak of the resident pages'],
    figures,
    plots: [],
  };
}
