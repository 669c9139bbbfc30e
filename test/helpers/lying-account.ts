/**
 * A malicious client program of an account. It stores other bytes than a file has, under the file's digest or
 * their own.
 */
import { runBackup } from '../../src/client/index.js';
import { NO_EXCLUDES } from '../support/no-excludes.js';
import { NO_PATIENCE } from '../../src/transport/index.js';
import { InlineJobs } from '../../src/workers/index.js';
import type { NativeCalls } from '../../src/system/index.js';
import { SMALL_SETTINGS, withNative } from './inline.js';

/**
 * `digest`: other bytes under the correct digest. `entry`: other bytes under their own digest, for an entry with
 * the metadata of the true file.
 */
export type Lie = 'digest' | 'entry';

const TIMEOUT_MS = 60_000;

/** Returns the bytes, each changed. */
export function spoilt(bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte) => byte ^ 0x20));
}

/** Backs up a directory to a server over plain TCP as an account, and lies about each file in it. */
export async function backupByLiar(
  port: number,
  login: { readonly client: string; readonly account: string; readonly password: string },
  directory: string,
  lie: Lie,
): Promise<void> {
  const password = Buffer.from(login.password);
  const system = withNative((real) => lyingReads(real, lie));
  await runBackup(system, {
    reach: async () => ({ kind: 'tcp', host: '127.0.0.1', port }),
    openJobs: async () => new InlineJobs(system),
    request: {
      client: login.client,
      create: false,
      credentials: { password, ask: async () => password, account: login.account },
      setName: '',
      directories: [Buffer.from(directory)],
      excludes: NO_EXCLUDES,
      settings: SMALL_SETTINGS,
      compressMessages: false,
      timeoutMs: TIMEOUT_MS,
      patience: NO_PATIENCE,
    },
    hooks: { onStart: () => undefined, onFailures: () => undefined },
  });
}

function lyingReads(real: NativeCalls, lie: Lie): Partial<NativeCalls> {
  return {
    readFileAt: (directory, name, rows, rowAt, target, targetAt, mostBytes, digest, digestAt) => {
      const bytes = real.readFileAt(
        directory,
        name,
        rows,
        rowAt,
        target,
        targetAt,
        mostBytes,
        digest,
        digestAt,
      );
      const read = Buffer.from(target.buffer, target.byteOffset + targetAt, bytes);
      spoilt(read).copy(read);
      if (lie === 'entry') real.sha256(target, targetAt, bytes, digest, digestAt);
      return bytes;
    },
  };
}
