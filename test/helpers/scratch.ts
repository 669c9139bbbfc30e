/** Folders that go with the test that made them. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';

/** A new empty folder, removed when the test is over. */
export function scratch(t: ExecutionContext): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tardis-test-'));
  // rm, because it removes paths longer than the system takes at once.
  t.teardown(() => void spawnSync('rm', ['-rf', folder]));
  return folder;
}
