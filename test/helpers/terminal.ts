/** Commands on a terminal of their own, by the system's `script`, with somebody who types. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { BIN, type Tool } from './commands.js';

const TIMEOUT_MS = 120_000;

/**
 * Runs a command, and types the next answer whenever a colon and a blank end what was shown. Returns all
 * that the terminal showed.
 */
export function runOnTerminal(
  tool: Tool,
  args: readonly string[],
  answers: readonly string[],
): Promise<{ readonly status: number | null; readonly shown: string }> {
  const quoted = [path.join(BIN, tool), ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', quoted, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
    timeout: TIMEOUT_MS,
  });
  const left = [...answers];
  let shown = '';
  let seen = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    if (!shown.slice(seen).endsWith(': ') || left.length === 0) return;
    seen = shown.length;
    child.stdin.write(left.shift()!);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, shown }));
  });
}
