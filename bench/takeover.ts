import { randomFillSync } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGateway, whyNoGateway } from '../test/support/radosgw.js';
import { BUCKET } from '../test/support/s3-server.js';
import type { Answer } from './answer.js';
import type { Bench } from './bench.js';
import { bucketVariables } from './bucket-backups.js';
import { seconds } from './cells.js';
import { median } from './figures.js';
import type { Command } from './measure.js';
import { type Options, UsageError } from './options.js';
import { RunningServer } from './running-server.js';
import { makeSmallFiles } from './small-files.js';
import { passwordFileOf } from './subjects/choose.js';
import { confinedTo } from './subjects/subject.js';
import { verdictOf } from './targets.js';

const LIMITS_S = { killed: 3, lost: 18 } as const;
/** The servers are lost while these files are backed up. */
const CHANGED_FILES = 100;
const CHANGED_BYTES = 400_000;
/** Time that the backup runs before its server is lost. */
const RUNS_MS = 500;
const TAKEOVER_TIMEOUT_MS = 120_000;
/** Time without a message after which the client gives a server up. */
const CLIENT_TIMEOUT_S = 3;

type Loss = keyof typeof LIMITS_S;
/** The state of the other server's cache: a catalog of the client, or nothing. */
type Cache = 'warm' | 'empty';
const CASES = [
  { loss: 'killed', cache: 'warm' },
  { loss: 'lost', cache: 'warm' },
  { loss: 'killed', cache: 'empty' },
] as const satisfies readonly { loss: Loss; cache: Cache }[];

/**
 * Measures how long a backup is without a server when its server is killed, or falls silent as a machine that is lost,
 * and another server over the bucket takes over.
 */
export async function takeover(bench: Bench): Promise<Answer> {
  const { workplace, options, print } = bench;
  const why = whyNoGateway();
  if (why !== undefined) throw new UsageError(`--takeover needs radosgw: ${why}`);
  print(`generating a tree: ${options.files} files`);
  makeSmallFiles(workplace.tree, 'tree', options.files);
  const gateway = await startGateway();
  try {
    const lab = new Lab(bench, gateway.url);
    print('the first backup');
    await lab.first();
    const timesMs = CASES.map((): number[] => []);
    for (let round = 0; round < options.runs; round += 1) {
      for (const [index, one] of CASES.entries()) {
        const wallMs = await lab.lose(one.loss, one.cache);
        timesMs[index]!.push(wallMs);
        print(`${bench.roundName(round)}: ${inWords(one)}: ${seconds(wallMs)} s`);
      }
    }
    return answer(timesMs, options);
  } finally {
    await gateway.stop();
  }
}

function inWords({ loss, cache }: (typeof CASES)[number]): string {
  return `${loss === 'killed' ? 'killed' : 'silent'}, the other server's cache ${cache}`;
}

function answer(timesMs: readonly (readonly number[])[], { files, runs }: Options): Answer {
  return {
    question: 'takeover',
    about: `time from the loss of a server to the session at another one; a client with ${files} files in a bucket (radosgw in memory); medians of ${runs}`,
    headings: ['server', '', 's'],
    rows: CASES.map((one, index) => [inWords(one), '', seconds(median(timesMs[index]!))]),
    verdicts: CASES.map((one, index) =>
      verdictOf(`${inWords(one)}, s`, LIMITS_S[one.loss], median(timesMs[index]!) / 1000),
    ),
    notes: [`the client waits ${CLIENT_TIMEOUT_S} s for a silent server (--timeout)`],
    figures: { timesMs },
    plots: [],
  };
}

/** Two servers over one bucket, each with a cache of its own, and a client that knows both. */
class Lab {
  constructor(
    private readonly bench: Bench,
    private readonly url: string,
  ) {}

  /** Makes the client. */
  async first(): Promise<void> {
    const server = await this.start('one');
    const { tree } = this.bench.workplace;
    await this.bench.run(this.client('tardis', [server], ['--create', tree]));
    await server.stop();
  }

  /** Returns the time from the loss of the first server in a backup to its session at the second one. */
  async lose(loss: Loss, cache: Cache): Promise<number> {
    const servers = [await this.start('one'), await this.start('two')] as const;
    const [one, two] = servers;
    await this.bench.run(this.client('lstardis', [cache === 'warm' ? two : one], []));
    this.change();
    const { tree } = this.bench.workplace;
    const begins = one.next('"session begins"', TAKEOVER_TIMEOUT_MS);
    const words = ['--timeout', `${CLIENT_TIMEOUT_S}`, '--reconnect', '120', tree];
    const done = this.bench.run(this.client('tardis', servers, words));
    done.catch(() => undefined); // it is awaited below
    await begins;
    await sleep(RUNS_MS);
    const startMs = performance.now();
    one.signal(loss === 'killed' ? 'SIGKILL' : 'SIGSTOP');
    await two.next('"session begins"', TAKEOVER_TIMEOUT_MS);
    const wallMs = performance.now() - startMs;
    await done;
    one.signal('SIGKILL');
    await one.stop();
    await two.stop();
    // The other server begins the next case with a cache that is warm, or without one.
    rmSync(this.home('two'), { recursive: true, force: true });
    return wallMs;
  }

  private home(name: string): string {
    return join(this.bench.workplace.root, name);
  }

  private start(name: string): Promise<RunningServer> {
    mkdirSync(this.home(name), { recursive: true });
    const env = { ...confinedTo(this.home(name)), ...bucketVariables(this.url) };
    return RunningServer.tardisd(this.bench, { store: `s3://${BUCKET}/takeover`, env });
  }

  private client(
    tool: string,
    servers: readonly RunningServer[],
    words: readonly string[],
  ): Command {
    mkdirSync(this.home('client'), { recursive: true });
    const [first] = servers;
    const at =
      servers.length === 1
        ? ['127.0.0.1', '--port', `${first!.port}`]
        : [servers.map(({ port }) => `127.0.0.1:${port}`).join(',')];
    const program = this.bench.program(tool);
    // A client of a bucket's server has a password.
    const login = ['-C', 'me', '--password-file', passwordFileOf(this.bench.workplace)];
    return {
      argv: [program, '--server', ...at, '--insecure-tcp', ...login, ...words],
      env: confinedTo(this.home('client')),
    };
  }

  private change(): void {
    const bytes = Buffer.alloc(CHANGED_BYTES);
    for (let file = 0; file < CHANGED_FILES; file += 1) {
      writeFileSync(join(this.bench.workplace.tree, `changed-${file}`), randomFillSync(bytes));
    }
  }
}
