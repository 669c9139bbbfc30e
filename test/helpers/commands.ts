/** Runs the commands of bin/ as a user would, each in a process group of its own that cannot outlive the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { Credit } from '../../src/system/index.js';
import { requireListedStatus } from './exit-statuses.js';
import {
  ownEnvironment,
  runHere,
  serveHere,
  type ServingHere,
  type ToolHere,
} from './in-process.js';
import { memoryFolder } from './scratch.js';
import { pause } from './until.js';

export type Tool =
  | 'tardis'
  | 'tardis-import'
  | 'tardisd'
  | 'regenerate'
  | 'lstardis'
  | 'tardiff'
  | 'tardisfs'
  | 'tardis-web'
  | 'tardisremote'
  | 'sonic';

export interface Outcome {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Milliseconds after which the command is killed and the test fails. */
  readonly timeoutMs?: number;
  readonly uid?: number;
  /** Text on standard input, which is empty without it. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** True for a command whose process the test needs, also if the file runs backups here. */
  readonly isProcess?: true;
  /** The id of a process whose mounts the command sees in place of its own. */
  readonly mountsOf?: number | undefined;
  /** Number of the first processors, to which the command is confined. */
  readonly processors?: number | undefined;
}

const TIMEOUT_MS = 120_000;
/** Time after that to learn of an end that has already come. */
const GRACE_MS = 1000;
const POLL_MS = 10;
/** The folder bin of the checkout; this file is compiled to dist/test/helpers. */
export const BIN = fileURLToPath(new URL('../../../bin', import.meta.url));

/** Returns the words of nsenter for a program, of this user, that sees the mounts of a process below that process's root. */
export function among(mountsOf: number, uid?: number): string[] {
  const user = uid === undefined ? [] : ['-S', String(uid), '-G', String(uid)];
  return ['-m', '-r', '-w', '-t', String(mountsOf), ...user];
}

/** A running command. */
export class Running {
  stdout = '';
  stderr = '';
  /** Resolves once the command has ended and all its output has been read. */
  readonly ended: Promise<Outcome>;
  private outcome: Outcome | undefined;
  private readonly child: ChildProcess;
  private readonly line: string;
  private readonly tool: Tool;
  private readonly args: readonly string[];

  constructor(tool: Tool, args: readonly string[], options: CommandOptions = {}) {
    this.tool = tool;
    this.args = args;
    this.line = `${tool} ${args.join(' ')}`;
    const { mountsOf, uid } = options;
    const inside = mountsOf === undefined ? [] : ['nsenter', ...among(mountsOf, uid)];
    const user = mountsOf === undefined ? { uid, gid: uid } : {};
    const confined =
      options.processors === undefined ? [] : ['taskset', '-c', `0-${options.processors - 1}`];
    const command = [path.join(BIN, tool), ...inlineWords(tool, args), ...args];
    const [program, ...words] = [...confined, ...inside, ...command] as [string, ...string[]];
    this.child = spawn(program, words, {
      detached: true,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: { ...cleanEnvironment(), ...options.env },
      cwd: options.cwd,
      ...user,
    });
    this.child.stdin?.on('error', () => undefined).end(options.input); // it may end before it reads
    this.child.stdout!.setEncoding('utf8').on('data', (printed: string) => {
      this.stdout += printed;
    });
    this.child.stderr!.setEncoding('utf8').on('data', (printed: string) => {
      this.stderr += printed;
    });
    this.ended = this.watch(options.timeoutMs ?? TIMEOUT_MS);
    this.ended.catch(() => undefined); // the caller that awaits it gets the error
  }

  private watch(timeoutMs: number): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.signalGroup('SIGKILL');
        const printed = `${this.stdout.slice(-2000)}\n${this.stderr.slice(-2000)}`;
        reject(new Error(`after ${timeoutMs} ms still running: ${this.line}\n${printed}`));
      };
      // A thread that another test has held up for so long learns of the time before it learns of the command's end.
      let timer = setTimeout(() => {
        timer = setTimeout(giveUp, GRACE_MS);
      }, timeoutMs);
      this.child.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      this.child.once('close', (status, signal) => {
        clearTimeout(timer);
        const { stdout, stderr } = this;
        this.outcome = { status, signal, stdout, stderr };
        try {
          requireListedStatus(this.tool, this.args, status, stderr);
          resolve(this.outcome);
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  get hasEnded(): boolean {
    return this.outcome !== undefined;
  }

  /** Sends a signal to the command alone. */
  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  /** Sends such a signal, and returns the outcome. */
  endedBy(name: NodeJS.Signals): Promise<Outcome> {
    this.signal(name);
    return this.ended;
  }

  /** Sends a signal to the command and to all processes that it has started, as a terminal does. */
  signalGroup(name: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, name);
    } catch {
      return; // it has ended
    }
  }

  /** Returns the running child processes of this command. */
  childPids(): number[] {
    return fs
      .readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && parentOf(name) === this.pid)
      .map(Number);
  }

  /** Sends a signal to each running child process of this command. */
  signalChildren(name: NodeJS.Signals): void {
    for (const pid of this.childPids()) {
      try {
        process.kill(pid, name);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it has just ended
      }
    }
  }

  /** Waits until `holds` returns true. Throws if the command ends before, or if this takes too long. */
  until(what: string, holds: () => boolean, timeoutMs = TIMEOUT_MS): Promise<void> {
    return untilHolds(this, `${this.line}: no ${what}`, holds, timeoutMs);
  }
}

type Watched = Pick<Running, 'hasEnded' | 'stdout' | 'stderr'>;

async function untilHolds(
  running: Watched,
  lacking: string,
  holds: () => boolean,
  timeoutMs: number,
): Promise<void> {
  const start = performance.now();
  while (!holds()) {
    const isLate = performance.now() - start > timeoutMs;
    if (isLate || running.hasEnded) {
      const why = isLate ? 'too late' : 'it ended';
      throw new Error(`${lacking} (${why})\n${running.stdout}\n${running.stderr}`);
    }
    await pause(POLL_MS);
  }
}

/** A server in this thread, in place of its process. Its log is a file. */
class RunningHere implements Watched {
  readonly stdout = '';
  readonly ended: Promise<Outcome>;
  hasEnded = false;
  private readonly serving: ServingHere;
  private readonly log: string;
  private errors = '';

  private constructor(serving: ServingHere, log: string) {
    this.serving = serving;
    this.log = log;
    this.ended = serving.ended.then(({ status, stdout, stderr }) => {
      this.hasEnded = true;
      this.errors = stderr;
      return { status, signal: null, stdout, stderr: this.stderr };
    });
  }

  static async start(args: readonly string[], env: CommandOptions['env']): Promise<RunningHere> {
    fs.mkdirSync(STATE, { recursive: true });
    const log = path.join(STATE, `${randomUUID()}.log`);
    const words = [...withoutThread(args), '--logfile', log];
    return new RunningHere(await serveHere(words, () => ({ ...cleanEnvironment(), ...env })), log);
  }

  get stderr(): string {
    return (fs.existsSync(this.log) ? fs.readFileSync(this.log, 'utf8') : '') + this.errors;
  }

  get pid(): never {
    throw new Error('the server has no process of its own: isProcess');
  }

  signal(name: NodeJS.Signals): void {
    if (name !== 'SIGTERM') throw new Error(`a server needs a process for ${name}: isProcess`);
    this.serving.stop();
  }

  endedBy(name: NodeJS.Signals): Promise<Outcome> {
    this.signal(name);
    return this.ended;
  }

  signalGroup(name: NodeJS.Signals): void {
    this.signal(name);
  }

  until(what: string, holds: () => boolean, timeoutMs = TIMEOUT_MS): Promise<void> {
    return untilHolds(this, `tardisd: no ${what}`, holds, timeoutMs);
  }
}

/** Returns the arguments of a server, with a configuration by which it writes in this thread. */
function withoutThread(args: readonly string[]): string[] {
  const at = args.indexOf('--config');
  const given = at < 0 ? '' : fs.readFileSync(args[at + 1]!, 'utf8');
  if (given.includes('StorageThreads')) return [...args];
  const line = '[Pipeline]\nStorageThreads = 0\n';
  const config = path.join(STATE, `${randomUUID()}.cfg`);
  const isThere = given.includes('[Pipeline]\n');
  fs.writeFileSync(config, isThere ? given.replace('[Pipeline]\n', line) : `${given}\n${line}`);
  return at < 0 ? [...args, '--config', config] : args.with(at + 1, config);
}

/** Limits the commands that run at once; the tests of one file run concurrently. */
const places = new Credit(4);

const READERS: readonly ToolHere[] = ['sonic', 'regenerate', 'lstardis', 'tardiff'];
let toolsHere: ReadonlySet<string> = new Set();

/**
 * Makes this test file run the commands that read or change a store in its own thread, because their processes are not
 * its subject. Backups and servers stay processes.
 */
export function commandsRunHere(): void {
  toolsHere = new Set(READERS);
}

/** Makes the next tests of this file run every command as a process again. */
export function commandsAreProcesses(): void {
  toolsHere = new Set();
}

/**
 * Makes this test file run backups in its own thread too, each with its local server, and servers of a network (`Server`). To
 * kill or to pause a server takes a process (`isProcess`), and so does one over a bucket, which has the keys of its machine.
 */
export function backupsRunHere(): void {
  toolsHere = new Set<ToolHere>([...READERS, 'tardis', 'tardis-import', 'tardisd']);
}

/** Options of a server that only a process can have, and stores that only it can serve. */
const OF_PROCESS =
  /^(?:--(?:stdio|daemon|user|group|pidfile|logfile|local|remote|profile-sessions)\b|s3:)/;

const WITH_THREADS: ReadonlySet<string> = new Set<ToolHere>([
  'tardis',
  'tardis-import',
  'regenerate',
]);
let hasPools = true;

/**
 * Makes the processes of this test file back up and restore without a pool of threads, because the pool is not its
 * subject: for a small tree it takes as much processor time as all the rest.
 */
export function poolsStayAway(): void {
  hasPools = false;
}

/** Returns the words by which a command of this file has no pool, unless it names its own. */
function inlineWords(tool: Tool, args: readonly string[], isHere = false): readonly string[] {
  const isInline = WITH_THREADS.has(tool) && (isHere || !hasPools);
  return isInline && !args.some((arg) => arg.startsWith('--workers')) ? ['--workers', '0'] : [];
}

/** The time zone of this thread, which no variable changes any more. */
const ZONE = new Intl.DateTimeFormat().resolvedOptions().timeZone;

/** True if a command needs no process: it gets no user, directory, mounts, time, or variable of Node.js or the system. */
function mayRunHere(tool: Tool, args: readonly string[], options: CommandOptions): boolean {
  const { env = {}, ...others } = options;
  const isOurs = Object.entries(env).every(
    ([name, value]) => /^(TARDIS|XDG|AWS)_|^PATH$/.test(name) || (name === 'TZ' && value === ZONE),
  );
  const isText = args.every((arg) => !arg.includes('\ufffd'));
  const isWhole = tool !== 'tardisd' || !args.some((arg) => OF_PROCESS.test(arg));
  return toolsHere.has(tool) && isOurs && isText && isWhole && Object.keys(others).length === 0;
}

/** Runs a command to its end. */
export async function run(
  tool: Tool,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Outcome> {
  if (tool !== 'tardisd' && mayRunHere(tool, args, options)) {
    const { status, stdout, stderr } = await runHere(
      tool as ToolHere,
      [...inlineWords(tool, args, true), ...args],
      () => ({ ...cleanEnvironment(), ...options.env }),
    );
    requireListedStatus(tool, args, status, stderr);
    return { status, signal: null, stdout, stderr };
  }
  await places.take(1);
  try {
    return await new Running(tool, args, options).ended;
  } finally {
    places.give(1);
  }
}

/** Runs a command that must succeed; returns its standard output. */
export async function succeed(
  tool: Tool,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { status, signal, stdout, stderr } = await run(tool, args, options);
  if (status !== 0) {
    throw new Error(`${tool} ${args.join(' ')}: ${status ?? signal}\n${stdout}\n${stderr}`);
  }
  return stdout;
}

/** The output of `tardis --json`, as far as tests use it. */
export interface BackupReport {
  readonly elapsedMs: number;
  readonly set: number;
  readonly storedBytes: number;
  readonly wireBytes: number;
  readonly failed: readonly Record<string, string>[];
  readonly budgetBytes: number;
  readonly progress: {
    readonly directories: number;
    readonly entries: number;
    readonly listings: number;
    readonly sameDirectories: number;
    readonly filesRead: number;
    readonly filesHad: number;
    readonly contentsSent: number;
    readonly deltasSent: number;
    readonly sentBytes: number;
    readonly vanished: number;
    readonly unreadable: number;
    readonly changed: number;
    readonly leftOut: number;
    readonly incomplete: number;
    readonly inconsistent: number;
    readonly holeBytes: number;
    readonly missingBytes: number;
    readonly protected: number;
    readonly readBytes: number;
  };
}

/** Runs `tardis --json`, which must succeed. */
export async function backup(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<BackupReport> {
  return JSON.parse(await succeed('tardis', ['--json', ...args], options)) as BackupReport;
}

const BUSY_STATUS = 11;
const BUSY_PAUSE_MS = 50;
const MAX_BUSY = 200;

/** Repeats a command while its client is busy: the end of a broken session may take a moment. */
export async function runWhenFree(
  tool: Tool,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Outcome> {
  for (let busy = 0; ; busy += 1) {
    const outcome = await run(tool, args, options);
    if (outcome.status !== BUSY_STATUS || busy >= MAX_BUSY) return outcome;
    await pause(BUSY_PAUSE_MS);
  }
}

/** Returns the lines of a command's JSON output. */
export function jsonLines<T = Record<string, unknown>>(stdout: string): T[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

export interface ListedSet {
  readonly requestedBy?: string;
  readonly set: number;
  readonly name: string;
  readonly priority: number;
  readonly state: string;
  readonly isDoubtful: boolean;
}

export async function listedSets(
  store: string,
  client: string,
  args: readonly string[] = [],
): Promise<ListedSet[]> {
  const shown = await succeed('lstardis', ['-D', store, '-C', client, '--json', ...args]);
  return (JSON.parse(shown) as { sets: ListedSet[] }).sets;
}

/** A server on a port that the system chose: in a process of its own, or in this thread. */
export class Server {
  readonly running: Running | RunningHere;
  private portNumber: number | undefined;

  private constructor(running: Server['running']) {
    this.running = running;
  }

  static async start(
    store: string,
    args: readonly string[] = [],
    options: CommandOptions = {},
  ): Promise<Server> {
    const many = ['--allow-new-hosts', '--new-hosts-at-once', '1000000'];
    const { mountsOf } = options;
    const seen = mountsOf === undefined ? store : `/proc/${mountsOf}/root${store}`;
    const create = isEmpty(seen) ? ['--create'] : [];
    const all = ['-D', store, '--port', '0', '--insecure-tcp', ...many, '-v', ...create, ...args];
    const running = mayRunHere('tardisd', all, options)
      ? await RunningHere.start(all, options.env)
      : new Running('tardisd', all, { timeoutMs: 600_000, ...options });
    const server = new Server(running);
    await running.until('listening server', () => server.findPort() !== undefined);
    forgetServer(server.port);
    return server;
  }

  /** Starts a server that is killed when the test is over. */
  static async during(
    t: Pick<ExecutionContext, 'teardown'>,
    ...started: Parameters<typeof Server.start>
  ): Promise<Server> {
    const server = await Server.start(...started);
    t.teardown(() => server.kill());
    return server;
  }

  private findPort(): number | undefined {
    const found = /"address":"127\.0\.0\.1:(\d+)"/.exec(this.running.stderr);
    return found === null ? undefined : Number(found[1]);
  }

  get port(): number {
    this.portNumber ??= this.findPort();
    return this.portNumber!;
  }

  /** The arguments with which a client connects to it. */
  get clientArgs(): string[] {
    return ['--server', '127.0.0.1', '--port', String(this.port), '--insecure-tcp'];
  }

  /** Sends SIGTERM, and waits until the server has ended. */
  async stop(): Promise<Outcome> {
    this.running.signal('SIGTERM');
    return this.running.ended;
  }

  /** Kills the server. One in this thread is stopped. */
  async kill(): Promise<void> {
    if (this.running instanceof Running) this.running.signalGroup('SIGKILL');
    else await this.stop();
  }
}

/** True if there is no directory for a store, or it is empty. */
function isEmpty(store: string): boolean {
  if (store.startsWith('s3://')) return false;
  return !fs.existsSync(store) || fs.readdirSync(store).length === 0;
}

/** Makes a store without clients, as `tardisd --create` does. */
export function makeEmptyStore(store: string): void {
  fs.mkdirSync(store);
  fs.writeFileSync(path.join(store, '.tardis-store'), '');
}

/**
 * Waits so that the next backup trusts recent changes: an entry changed shortly before a walk may change again
 * unnoticed.
 */
export function rest(): Promise<void> {
  return pause(2200);
}

/** Returns the resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? 0) * 1024;
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // it ended meanwhile
  }
}

/** State directory of the commands of this test file, and its cache, separate because other files may run in parallel. */
const STATE = path.join(memoryFolder(), `tardis-test-state-${randomUUID()}`);
export const CACHE: string = path.join(STATE, 'cache');
process.once('exit', () => fs.rmSync(STATE, { recursive: true, force: true }));

/** Removes the state of a port, which another server of this file with other clients may have used. */
export function forgetServer(port: number): void {
  const clients = path.join(STATE, 'tardis', 'clients');
  if (!fs.existsSync(clients)) return;
  // Other names are temporary files of commands that are running now; they may be renamed at any time.
  for (const name of fs.readdirSync(clients).filter((each) => each.endsWith('.json'))) {
    const file = path.join(clients, name);
    if (fs.readFileSync(file, 'utf8').includes(`"server 127.0.0.1:${port}"`)) fs.rmSync(file);
  }
}

/** Compiled code of the bundles, which each build removes; a command compiles only what it does not find there. */
const COMPILED = fileURLToPath(new URL('../../compiled', import.meta.url));
/** Variables that change Node.js itself. Authorities of the machine are read at each start that loads TLS. */
const OF_NODE = ['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS'];

/**
 * Returns an environment without settings that change the commands; logins use as little memory and time as
 * possible.
 */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.fromEntries(
    Object.entries(ownEnvironment()).filter(
      ([name]) => !name.startsWith('TARDIS_') && !OF_NODE.includes(name),
    ),
  );
  return {
    ...inherited,
    XDG_STATE_HOME: STATE,
    XDG_CACHE_HOME: CACHE,
    XDG_CONFIG_HOME: path.join(STATE, 'config'),
    TARDIS_PASSWORD_MEMORY: '16M',
    NODE_COMPILE_CACHE: COMPILED,
  };
}
