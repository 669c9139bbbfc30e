/** Builds packages for tests, compressed as quickly as can be, into a folder of the test. */
import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

/** Programs that `npm run package` installs if it may. */
const PROGRAMS = ['strip', 'readelf', 'xz', 'dpkg-deb', 'patchelf', 'mmdebstrap'];
/** A generous limit for a busy machine, in milliseconds; no step waits for anything. */
export const LONGEST_MS = 900_000;

export function runProgram(
  command: string,
  args: readonly string[],
  options: Parameters<typeof spawnSync>[2] = {},
): SpawnSyncReturns<string> {
  const maxBuffer = 1 << 28;
  return spawnSync(command, args, { maxBuffer, ...options, encoding: 'utf8' });
}

/** Returns why packages cannot be built on this machine; undefined if they can. */
export function whyNoPackages(): string | undefined {
  const lacking = PROGRAMS.filter(
    (program) => runProgram('sh', ['-c', `command -v ${program}`]).status !== 0,
  );
  const canInstall =
    process.getuid!() === 0 && runProgram('sh', ['-c', 'command -v apt-get']).status === 0;
  return lacking.length === 0 || canInstall ? undefined : `no ${lacking.join(', ')}`;
}

/** Runs a program that takes minutes without blocking, so that the test can report progress. */
export async function runLong(
  command: string,
  args: readonly string[],
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST_MS });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** Builds packages; on failure throws the script's output. */
export async function makePackages(out: string, ...options: string[]): Promise<void> {
  const args = ['scripts/package.mjs', `--out=${out}`, '--level=quick', ...options];
  const made = await runLong(process.execPath, args);
  if (made.status !== 0) throw new Error(`${made.stdout}\n${made.stderr}`);
}

/** Returns the only entry of a folder whose name matches. */
export function named(folder: string, pattern: RegExp): string {
  const [found, ...more] = fs.readdirSync(folder).filter((name) => pattern.test(name));
  if (found === undefined || more.length > 0) throw new Error(`${folder}: ${pattern}`);
  return path.join(folder, found);
}

/** Returns all files below a folder with their SHA-256. */
export function digestsBelow(folder: string): Record<string, string> {
  const files = fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(files.map((file) => [path.relative(folder, file), digestOf(file)]));
}

export function digestOf(file: string): string {
  return createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

/** Returns the size of all files below a folder. */
export function bytesBelow(
  folder: string,
  isWanted: (file: string) => boolean = () => true,
): number {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && isWanted(path.join(entry.parentPath, entry.name)))
    .reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0);
}
