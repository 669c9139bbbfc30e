/**
 * Determines which of the launchers' flags this Node.js knows, and writes them to dist/bundle/flags (or the file that
 * is named), which the launchers read. V8 removes flags from version to version, and Node.js does not start with one
 * that it does not know.
 */
import { spawnSync } from 'node:child_process';
import { realpathSync, writeFileSync } from 'node:fs';

/** Flags of each profile. bin/launch.sh describes the purpose of each. */
const WANTED = ['--max-semi-space-size=2', '--min-semi-space-size=2', '--v8-pool-size=1'];
const WANTED_FOR_PI = [
  '--max-semi-space-size=1',
  '--single-threaded',
  '--optimize-for-size',
  '--invocation-count-for-maglev=2500',
  '--invocation-count-for-maglev-osr=600',
  '--invocation-count-for-turbofan=20000',
];

function knows(flag) {
  return spawnSync(process.execPath, [flag, '-e', '0'], { stdio: 'ignore' }).status === 0;
}

const known = (flags) => `'${flags.filter(knows).join(' ')}'`;
const flags = `known_flags=${known(WANTED)}\nknown_pi_flags=${known(WANTED_FOR_PI)}\n`;
const head = `# Flags for bin/launch.sh, of those that node ${process.version} knows. Made by \`npm run build\`.\n`;
const node = `known_node='${realpathSync(process.execPath).replaceAll("'", `'\\''`)}'\n`;
writeFileSync(process.argv[2] ?? 'dist/bundle/flags', head + node + flags);
