/** A server of the benchmark, on a port that the system chooses. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Bench } from './bench.js';
import { type Command, killOnExit, ownEnvironment } from './measure.js';

const START_TIMEOUT_MS = 30_000;
/** Number of characters of the log that an error quotes. */
const QUOTED_CHARS = 4000;

interface ServerPlace {
  readonly store: string;
  readonly env: Readonly<Record<string, string>>;
  /** True for TLS, with a certificate that the server makes. */
  readonly isTls?: boolean;
}

export class RunningServer {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
    private readonly ended: Promise<void>,
    private readonly forget: () => void,
  ) {}

  /** Starts a `tardisd` that admits every client, and waits until it listens. */
  static tardisd(bench: Bench, { store, env, isTls = false }: ServerPlace): Promise<RunningServer> {
    const place = ['-D', store, '--port', '0', ...(isTls ? [] : ['--insecure-tcp'])];
    const argv = [bench.program('tardisd'), ...place, '--allow-new-hosts', '-v'] as const;
    return RunningServer.start({ argv, env }, /"address":"[^"]*:(\d+)"/);
  }

  /** Starts a server, and waits until its log has the port, which is the first group of `port`. */
  static async start({ argv, env }: Command, port: RegExp): Promise<RunningServer> {
    const [program, ...args] = argv;
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      env: { ...ownEnvironment(), ...env },
    });
    const forget = killOnExit(child.pid);
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
    });
    return new RunningServer(child, await portOf(child, port), ended, forget);
  }

  /** Resolves at the next line of the log that has this text. */
  next(text: string, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const { stderr } = this.child;
      const timer = setTimeout(() => {
        stderr!.off('data', look);
        reject(new Error(`a server did not log "${text}" in ${timeoutMs} ms`));
      }, timeoutMs);
      const look = (part: string): void => {
        if (!part.includes(text)) return;
        clearTimeout(timer);
        stderr!.off('data', look);
        resolve();
      };
      stderr!.on('data', look);
    });
  }

  /** Sends a signal to the server and its processes. */
  signal(name: NodeJS.Signals): void {
    const { exitCode, signalCode } = this.child;
    if (exitCode === null && signalCode === null) process.kill(-this.child.pid!, name);
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.ended;
    this.forget();
  }
}

/** Resolves with the port when the server listens. */
function portOf(child: ChildProcess, port: RegExp): Promise<number> {
  return new Promise((resolve, reject) => {
    let printed = '';
    const fail = (why: string): void => reject(new Error(`the server ${why}\n${printed}`));
    const timer = setTimeout(() => fail('did not start in time'), START_TIMEOUT_MS);
    child.once('error', (error) => fail(`could not start: ${error.message}`));
    child.once('exit', () => fail('ended'));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-QUOTED_CHARS);
      const found = port.exec(printed);
      if (found === null) return;
      clearTimeout(timer);
      resolve(Number(found[1]));
    });
  });
}
