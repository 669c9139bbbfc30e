/** Runs commands on a separate terminal, with the system's `script`, and types answers. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { BIN, cleanEnvironment, type Tool } from './commands.js';

const TIMEOUT_MS = 120_000;

/**
 * Runs a command, and types the next answer whenever the output ends with a colon and a space. Returns everything
 * that the terminal showed; `soFar` returns that of a command that runs. An answer may be typed only after some work.
 */
export function runOnTerminal(
  tool: Tool,
  args: readonly string[],
  answers: readonly (string | (() => Promise<string>))[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number | null; readonly shown: string }> & {
  readonly soFar: () => string;
} {
  const quoted = [path.join(BIN, tool), ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', quoted, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
    timeout: TIMEOUT_MS,
    env: { ...cleanEnvironment(), TERM: 'xterm', ...env }, // a dumb terminal shows no progress
  });
  const left = [...answers];
  let shown = '';
  let seen = 0;
  let fail: (error: unknown) => void;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    if (!shown.slice(seen).endsWith(': ') || left.length === 0) return;
    seen = shown.length;
    const answer = left.shift()!;
    if (typeof answer === 'string') child.stdin.write(answer);
    else answer().then((text) => child.stdin.write(text), fail);
  });
  const ended = new Promise<{ status: number | null; shown: string }>((resolve, reject) => {
    fail = reject;
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, shown }));
  });
  return Object.assign(ended, { soFar: () => shown });
}
