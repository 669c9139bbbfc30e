/**
 * Computes scrypt (RFC 7914), which takes 128 MiB by default. A child process may compute it, so that the memory of
 * this process stays small.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { scrypt, type ScryptOptions } from 'node:crypto';

interface ScryptInput {
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly keyBytes: number;
  readonly options: ScryptOptions;
}

/** Maximum time to wait for a child process. */
const CHILD_MS = 60_000;
/** Program of the child process. It reads the input from standard input, and writes the key to standard output. */
const CHILD_CODE = `
const given = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
const [password, salt] = [given.password, given.salt].map((text) => Buffer.from(text, 'base64'));
process.stdout.write(require('node:crypto').scryptSync(password, salt, given.keyBytes, given.options));
`;

let usesChild = false;

/** Makes child processes compute scrypt from then on, for a process whose memory is to stay small. */
export function stretchInChildren(): void {
  usesChild = true;
}

/** Returns the key, computed in a child process or on a thread of libuv's pool. */
export async function scryptKey(input: ScryptInput): Promise<Buffer> {
  const key = usesChild ? await keyOfChild(input) : undefined;
  return key ?? keyHere(input);
}

function keyHere({ password, salt, keyBytes, options }: ScryptInput): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, keyBytes, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/**
 * Returns the key from a child process; undefined if none can be run, or if it fails. The caller then computes the key
 * in this process.
 */
async function keyOfChild(input: ScryptInput): Promise<Buffer | undefined> {
  const { password, salt, keyBytes, options } = input;
  const [base64Password, base64Salt] = [password, salt].map((bytes) =>
    Buffer.from(bytes).toString('base64'),
  );
  const sent = { password: base64Password, salt: base64Salt, keyBytes, options };
  const child = startChild();
  if (child === undefined) return undefined;
  const closed = once(child, 'close').catch(() => []); // it could not be started
  // Streams are missing if the process may open no further files.
  if (!child.stdin || !child.stdout) return undefined;
  const key = Buffer.alloc(keyBytes);
  let bytes = 0;
  child.stdout.on('data', (part: Buffer) => {
    if (bytes < keyBytes) part.copy(key, bytes);
    bytes += part.length;
    part.fill(0);
  });
  child.stdin.on('error', () => undefined); // it ended early, which its status shows
  child.stdin.end(JSON.stringify(sent));
  const [status] = await closed;
  return status === 0 && bytes === keyBytes ? key : undefined;
}

/**
 * Starts a child process; returns undefined if the system has no memory for one. The child gets no environment, since
 * NODE_OPTIONS might let it print, or open a debugger.
 */
function startChild(): ChildProcess | undefined {
  try {
    return spawn(process.execPath, ['-e', CHILD_CODE], {
      stdio: ['pipe', 'pipe', 'ignore'],
      // An option `timeout` would keep this process alive if the program cannot be started.
      signal: AbortSignal.timeout(CHILD_MS),
      env: {},
    });
  } catch {
    return undefined; // the key can be computed here
  }
}
