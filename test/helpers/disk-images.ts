/** Images of disks that tests mount, in a mount namespace that ends with the test. */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import type { TestFn } from 'ava';
import { isRoot } from './tree.js';

/** Command that runs another in a mount namespace, which ends with it. Needs user namespaces if not root. */
const NAMESPACE = ['unshare', isRoot ? '-m' : '-rm'] as const;
export const EXT4 = 'mkfs.ext4 -q -m 0';
export const BTRFS = 'mkfs.btrfs -q';

/** Returns the reason why no disk image can be made by this command and mounted here; undefined if it can. */
function hindranceOf(mkfs: string): string | undefined {
  const folder = fs.mkdtempSync('/tmp/tardis-mount-');
  const script = `truncate -s 128M "$0/img" && ${mkfs} "$0/img" && mount -o loop "$0/img" "$0"`;
  try {
    const [command, flag] = NAMESPACE;
    const tried = spawnSync(command, [flag, 'sh', '-c', script, folder]);
    return tried.status === 0 ? undefined : String(tried.stderr ?? tried.error);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/**
 * Returns the function that makes serial tests; undefined, and a test that logs the reason, if no image can be mounted
 * here.
 */
export function testOn(test: TestFn, mkfs: string): TestFn['serial'] | undefined {
  const hindrance = hindranceOf(mkfs);
  if (hindrance === undefined) return test.serial;
  test(`left out: images made by ${mkfs}`, (t) => {
    t.log(`no such image can be mounted here: ${hindrance}`);
    t.pass();
  });
  return undefined;
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command in a mount namespace of its own. Calls `onPrinted` each time when it prints something. */
export async function inNamespace(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  onPrinted: () => void = () => undefined,
): Promise<Ended> {
  const [command, flag] = NAMESPACE;
  const child = spawn(command, [flag, ...args], { env: { ...process.env, ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString();
    onPrinted();
  });
  child.stderr.on('data', (bytes: Buffer) => void (stderr += bytes.toString()));
  return new Promise((resolve) => {
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}
