/**
 * Calls on a file system that fails on request (lying-fuse.cc), in a process of their own. Once `statx` of a process has
 * failed with `EPERM`, `EINVAL`, `ENOSYS` or `EOPNOTSUPP`, libuv does not use it again in that process, and Node.js reports
 * the time of the last change as birth time.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { asTardisError, systemCode } from '../../src/errors/index.js';
import { newestKeys, openClientDirectory } from '../../src/store/index.js';
import { nodeSystem, textBytes } from '../../src/system/index.js';
import { withHistory } from './inline.js';

/** Errors for all operations of these kinds on paths with this end. */
export interface Failure {
  readonly errno: number;
  readonly operations: string;
  readonly end: string;
}

/** An error of a call: the name of the system's error, and the error that a command would report. */
export interface Thrown {
  readonly name: string | undefined;
  readonly code: string;
  readonly message: string;
}

export interface FailingCalls {
  /** The file that has the errors that the file system shall return. */
  readonly broken: string;
  /** Status of the file `place` by Node.js and by the addon, or a look at the history of client `me` in `place`. */
  readonly call: 'nodeStatus' | 'nativeStatus' | 'history';
  readonly place: string;
  readonly failures: readonly Failure[];
}

/** Lets a file system fail from now on; without a failure, it works again. */
export function failWith(broken: string, failure?: Failure): void {
  if (failure === undefined) return fs.rmSync(broken, { force: true });
  const { errno, operations, end } = failure;
  fs.writeFileSync(`${broken}.new`, `${errno} ${operations} ${end}`);
  fs.renameSync(`${broken}.new`, broken);
}

/** Returns what the call threw at each of the failures in turn; undefined where it succeeded. */
export function callsThrew(calls: FailingCalls): (Thrown | null)[] {
  const module = fileURLToPath(import.meta.url);
  const child = spawnSync(process.execPath, [module], {
    input: JSON.stringify(calls),
    encoding: 'utf8',
  });
  if (child.status !== 0) throw new Error(`calls failed: ${child.stderr}`);
  return JSON.parse(child.stdout) as (Thrown | null)[];
}

async function callOnce({ call, place }: FailingCalls): Promise<void> {
  const system = nodeSystem();
  if (call === 'nodeStatus') fs.statSync(place);
  else if (call === 'nativeStatus') system.native.statRow(textBytes(place), Buffer.from('file'));
  else {
    const client = { store: place, client: 'me' };
    newestKeys(system, openClientDirectory(system, client).path);
    await withHistory(client, (history) => history.sets());
  }
}

async function callAll(calls: FailingCalls): Promise<(Thrown | null)[]> {
  const thrown: (Thrown | null)[] = [];
  for (const failure of calls.failures) {
    failWith(calls.broken, failure);
    try {
      await callOnce(calls);
      thrown.push(null);
    } catch (error) {
      const { code, message } = asTardisError(error);
      thrown.push({ name: systemCode(error), code, message });
    }
    failWith(calls.broken);
  }
  return thrown;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const calls = JSON.parse(fs.readFileSync(0, 'utf8')) as FailingCalls;
  process.stdout.write(JSON.stringify(await callAll(calls)));
}
