/**
 * Runs a command of bin/ in this thread: its real command line, exit status and output, without the start time of
 * a process. Run one at a time: arguments, output and exit status belong to the whole thread.
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import path from 'node:path';

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
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
let runs = 0;

/** Replaces `process.umask`, which a test's thread may not call; new files keep the umask of the process. */
function allowUmask(): void {
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

/** Runs a command to its end. The module of the tool is loaded again, as in a new process; its imports are not. */
export async function runHere(
  tool: 'sonic' | 'regenerate' | 'lstardis',
  args: readonly string[],
): Promise<InProcessOutcome> {
  const settings = Object.entries(process.env).filter(([name]) => name.startsWith('TARDIS_'));
  const [argv, out, err] = [process.argv, process.stdout.write, process.stderr.write];
  const told = { stdout: '', stderr: '' };
  const keep =
    (name: keyof typeof told) =>
    (bytes: string | Uint8Array): boolean => {
      told[name] += typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('latin1');
      return true;
    };
  runs += 1;
  allowUmask();
  for (const [name] of settings) delete process.env[name];
  process.argv = [argv[0]!, tool, ...args];
  process.stdout.write = keep('stdout');
  process.stderr.write = keep('stderr');
  try {
    await import(`${pathToFileURL(path.join(TOOLS, `${tool}.js`)).href}?run=${runs}`);
    const status = Number(process.exitCode ?? 0);
    const failure = codeIn({ ...told, stderr: withoutWarnings(told.stderr) });
    return { status, ...told, code: codeIn(told), failure };
  } finally {
    process.argv = argv;
    process.stdout.write = out;
    process.stderr.write = err;
    process.exitCode = undefined;
    Object.assign(process.env, Object.fromEntries(settings));
    for (const signal of SIGNALS) process.removeAllListeners(signal);
  }
}
