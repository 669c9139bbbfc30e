// The compiler of the addon, and where the headers of Node.js are.
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';

/** Runs the compiler. CXX may be a command with options, as for make, so a shell splits it. */
export function compiler(options, more = {}) {
  const command = `${process.env.CXX || 'g++'} "$@"`;
  return spawnSync('sh', ['-c', command, 'sh', ...options], { encoding: 'utf8', ...more });
}

/** Returns the line that the compiler prints. */
export function compilerReports(options) {
  return compiler(options).stdout.trim();
}

/** Returns the option for headers that came with this Node.js. With them a build needs no network. */
export function headersOfNode() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : [];
}
