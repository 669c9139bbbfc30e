/** Names, times, programs and files, as all kinds of packages need them. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
export const about = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
export const version = about.version;
/** Names of processors, by Node.js's own: Debian's, that of images, and the prefix of compilers. */
export const PROCESSORS = {
  x64: { debian: 'amd64', oci: 'amd64', triplet: 'x86_64-linux-gnu' },
  arm64: { debian: 'arm64', oci: 'arm64', triplet: 'aarch64-linux-gnu' },
};
/** How long apt-get waits for another one. */
const LOCK_SECONDS = 300;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export class PackageError extends Error {}

/** The modification time of all packaged files, in seconds since 1970: SOURCE_DATE_EPOCH, else the time of the last commit. */
export const epoch = (() => {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined && /^\d+$/.test(given)) return Number(given);
  const git = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' });
  const found = git.status === 0 ? Number(git.stdout) : 0;
  return found > 0 ? found : Date.UTC(2026, 0, 1) / 1000; // an unpacked archive of the sources
})();

/** Runs a program and returns its standard output. Throws a PackageError with its error output. */
export function run(command, args, options = {}) {
  try {
    return execFileSync(command, args, {
      encoding: 'utf8',
      maxBuffer: MAX_OUTPUT_BYTES,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options,
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch), LC_ALL: 'C', ...options.env },
    });
  } catch (error) {
    const output =
      `${error.stderr ?? ''}`.trim() || `${error.stdout ?? ''}`.trim() || error.message;
    throw new PackageError(`${command} ${args.slice(0, 3).join(' ')} … failed: ${output}`);
  }
}

export function has(program) {
  return (
    spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' }).status === 0
  );
}

/** Installs missing programs with apt-get. `programs` maps each to its package. Throws a PackageError where that is not possible. */
export function requirePrograms(programs) {
  const lacking = Object.keys(programs).filter((program) => !has(program));
  if (lacking.length === 0) return;
  const packages = [...new Set(lacking.map((program) => programs[program]))];
  const advice = `missing: ${lacking.join(', ')}; on Debian and Ubuntu, as root: apt-get install ${packages.join(' ')}`;
  if (process.getuid() !== 0 || !has('apt-get')) throw new PackageError(advice);
  console.log(`package: installing ${packages.join(' ')} with apt-get`);
  // One at a time: another run of this script waits, and then finds them installed.
  const install = `apt-get -o DPkg::Lock::Timeout=${LOCK_SECONDS} install -y -qq --no-install-recommends "$@"`;
  const script = `${install} || { apt-get update -qq && ${install}; }`;
  const lock = path.join(ROOT, 'dist/.apt-lock');
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  run('flock', [lock, 'sh', '-c', script, 'sh', ...packages], { env });
}

/** Makes a folder empty; returns it. */
export function emptyFolder(folder) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  return folder;
}

export function write(file, content, mode = 0o644) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
  fs.chmodSync(file, mode);
}

/** Returns the paths of all files and links below a folder, relative to it and sorted. */
export function filesBelow(folder) {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}

/** Sets the time of all that is below a folder, and mode 755 of its directories. */
export function makeUniform(folder) {
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isDirectory()) fs.chmodSync(file, 0o755);
    fs.lutimesSync(file, epoch, epoch);
  }
  fs.chmodSync(folder, 0o755);
  fs.lutimesSync(folder, epoch, epoch);
}

/** Options that make the output of tar depend on names, contents and modes only. */
export const TAR_OPTIONS = [
  '--sort=name',
  `--mtime=@${epoch}`,
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--format=gnu',
];

/** Writes `names` of `folder` into a tar file that is compressed by gzip. */
export function tarGz(target, folder, names, { level, options = [] }) {
  const command = 'out=$1 level=$2; shift 2; set -o pipefail; tar "$@" | gzip -n "-$level" >"$out"';
  const args = [...TAR_OPTIONS, ...options, '-C', folder, '-cf', '-', ...names];
  run('bash', ['-c', command, 'bash', `${target}.new`, String(level), ...args]);
  fs.renameSync(`${target}.new`, target);
}
