/**
 * Runs a command of bin/ in this thread: its real command line, exit status and output, without the start time of
 * a process. Commands run one at a time: arguments, environment, output and exit status belong to the whole thread.
 * A server that listens goes on beside them.
 */
import path from 'node:path';
import { registerHooks } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { loadNative } from '../../src/system/index.js';

/** Makes this thread derive each key from a password once only. */
function rememberPasswords(): void {
  const native = loadNative();
  const derive = native.scrypt;
  const derived = new Map<string, Promise<Buffer>>();
  native.scrypt = (...given) => {
    const name = given
      .map((one) => (typeof one === 'number' ? one : Buffer.from(one).toString('hex')))
      .join();
    const key = derived.get(name) ?? derive(...given);
    derived.set(name, key);
    return key.then((bytes) => Buffer.from(bytes)); // callers overwrite it with zeros
  };
}

export type ToolHere =
  | 'tardis'
  | 'tardis-import'
  | 'tardisd'
  | 'sonic'
  | 'regenerate'
  | 'lstardis'
  | 'tardiff';

export interface InProcessOutcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The first code in the output, of a warning or an error. */
  readonly code: string | undefined;
  /** The code of the error that ended the command, if any. */
  readonly failure: string | undefined;
}

const TOOLS = fileURLToPath(new URL('../../src/tools/', import.meta.url));
const TOOLS_URL = pathToFileURL(TOOLS).href;
let runs = 0;
let outside: NodeJS.ProcessEnv | undefined;
let last: Promise<unknown> = Promise.resolve();

/** Returns the environment of this thread, without the changes that a running command needs. */
export function ownEnvironment(): NodeJS.ProcessEnv {
  return outside ?? process.env;
}

/** Functions that give the variables of the tools' modules their first values, by the module's address. */
const resets = new Map<string, () => void>();
const RESETS = Symbol.for('tardis-test-resets');
Object.assign(globalThis, { [RESETS]: resets });
const VARIABLE = /^let (\w+)(?: = (.*))?;$/gm;

/** Appends a function to a module that resets its variables. */
function withReset(url: string, source: string): string {
  const values = [...source.matchAll(VARIABLE)].map(([, name, first]) => `${name} = ${first};`);
  if (values.length === 0) return source;
  const reset = `() => { ${values.join(' ')} }`;
  return `${source}\nglobalThis[Symbol.for('tardis-test-resets')].set(${JSON.stringify(url)}, ${reset});`;
}

/** Modules of the tools keep the state of one command, such as its exit status, in variables. */
registerHooks({
  load: (url, context, next) => {
    const loaded = next(url, context);
    if (!url.startsWith(TOOLS_URL) || !loaded.source) return loaded;
    return {
      ...loaded,
      source: withReset(url, Buffer.from(loaded.source as Uint8Array).toString()),
    };
  },
});

rememberPasswords();

/** Replaces `process.umask`: a command sets one for good, and the process that runs the tests keeps its own. */
function keepUmask(): void {
  Object.defineProperty(process, 'umask', { value: () => 0o022, configurable: true });
}

/** Returns `stderr` without its warnings. */
function withoutWarnings(stderr: string): string {
  return stderr.replaceAll(/^warning: .*\n/gm, '');
}

/** Returns the error code in text output, or in the output of --json. */
function codeIn({ stdout, stderr }: { stdout: string; stderr: string }): string | undefined {
  const code = /\[([A-Z_]+)\]\n/.exec(stderr) ?? /"error":\{"code":"([A-Z_]+)"/.exec(stdout);
  return code?.[1];
}

/** Collects what is written in place of a stream's own output. */
class Written {
  private readonly pieces: Buffer[] = [];
  private began = (): void => undefined;
  /** Resolves when something is written. */
  readonly begun = new Promise<void>((resolve) => (this.began = resolve));

  readonly write: typeof process.stdout.write = (
    bytes: string | Uint8Array,
    encoding?: unknown,
    done?: unknown,
  ): boolean => {
    this.pieces.push(Buffer.from(bytes as Uint8Array));
    this.began();
    const then = typeof encoding === 'function' ? encoding : done;
    if (typeof then === 'function') queueMicrotask(() => void then());
    return true;
  };

  get text(): string {
    return Buffer.concat(this.pieces).toString();
  }
}

/** Where a command adds listeners, which must not outlive it. */
const LISTENED: readonly NodeJS.EventEmitter[] = [process, process.stdout, process.stderr];

/** Returns a function that removes all listeners that were added since. */
function keepListeners(): () => void {
  const kept = LISTENED.map((source) => {
    const names = new Set(source.eventNames());
    return new Map([...names].map((name) => [name, new Set(source.rawListeners(name))]));
  });
  return () => {
    for (const [at, source] of LISTENED.entries()) {
      for (const name of source.eventNames()) {
        for (const listener of source.rawListeners(name)) {
          if (kept[at]!.get(name)?.has(listener) === true) continue;
          source.removeListener(name, listener as (...args: unknown[]) => void);
        }
      }
    }
  };
}

function replaceEnvironment(by: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) {
    if (by[name] === undefined) delete process.env[name];
  }
  Object.assign(process.env, by);
}

/** Returns the environment of this thread without settings. */
function withoutSettings(): NodeJS.ProcessEnv {
  const all = Object.entries(process.env).filter(([name]) => !name.startsWith('TARDIS_'));
  return Object.fromEntries(all);
}

/**
 * Runs a command to its end, after those that began before. The module of the tool is loaded again, as in a new
 * process; of those that it imports, the ones of the tools are reset. The environment is this thread's, without
 * settings, unless `environmentOf` returns another one.
 */
export function runHere(
  tool: ToolHere,
  args: readonly string[],
  environmentOf = withoutSettings,
): Promise<InProcessOutcome> {
  return inTurn(() => asCommand(tool, args, environmentOf, ({ ended }) => ended));
}

/** A server in this thread. */
export interface ServingHere {
  /** Resolves when the server has stopped. */
  readonly ended: Promise<InProcessOutcome>;
  /** Stops the server, as SIGTERM does. */
  stop(): void;
}

/** Starts `tardisd`, after the commands that began before. Resolves when it listens, or has ended. */
export function serveHere(
  args: readonly string[],
  environmentOf: () => NodeJS.ProcessEnv,
): Promise<ServingHere> {
  return inTurn(() =>
    asCommand('tardisd', args, environmentOf, async ({ ended, listening, stops }) => {
      await Promise.race([ended, listening]);
      const all = stops();
      return { ended, stop: () => all.forEach((stop) => stop()) };
    }),
  );
}

/** Does the work after that of those who called before. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = last.then(work);
  last = mine.catch(() => undefined);
  return mine;
}

/** A command that has begun. */
interface Begun {
  readonly ended: Promise<InProcessOutcome>;
  /** Resolves when it has printed something, as a server does when it listens. */
  readonly listening: Promise<void>;
  /** Returns the functions that it has added for SIGTERM. */
  stops(): (() => void)[];
}

/** Begins a command. While `work` lasts, this thread has its arguments, environment and output. */
async function asCommand<T>(
  tool: ToolHere,
  args: readonly string[],
  environmentOf: () => NodeJS.ProcessEnv,
  work: (begun: Begun) => Promise<T>,
): Promise<T> {
  const environment = environmentOf();
  const [argv, out, err] = [process.argv, process.stdout.write, process.stderr.write];
  const [stdout, stderr] = [new Written(), new Written()];
  const removeListeners = keepListeners();
  const ours = process.rawListeners('SIGTERM');
  runs += 1;
  for (const reset of resets.values()) reset();
  outside = { ...process.env };
  keepUmask();
  replaceEnvironment(environment);
  process.argv = [argv[0]!, tool, ...args];
  process.stdout.write = stdout.write;
  process.stderr.write = stderr.write;
  try {
    const url = `${pathToFileURL(path.join(TOOLS, `${tool}.js`)).href}?run=${runs}`;
    const loaded = (await import(url)) as { default: Promise<void> };
    const ended = loaded.default.then(() => outcomeOf(stdout.text, stderr.text));
    const stops = (): (() => void)[] =>
      (process.rawListeners('SIGTERM') as (() => void)[]).filter((one) => !ours.includes(one));
    return await work({ ended, listening: stdout.begun, stops });
  } finally {
    process.argv = argv;
    process.stdout.write = out;
    process.stderr.write = err;
    replaceEnvironment(outside);
    outside = undefined;
    removeListeners();
  }
}

/** Returns the outcome of a command that has just ended, and takes its exit status from this thread. */
function outcomeOf(stdout: string, stderr: string): InProcessOutcome {
  const status = Number(process.exitCode ?? 0);
  process.exitCode = undefined;
  const failure = codeIn({ stdout, stderr: withoutWarnings(stderr) });
  return { status, stdout, stderr, code: codeIn({ stdout, stderr }), failure };
}
