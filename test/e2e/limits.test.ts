// Pace: slow
/**
 * Limits of the system other than a full disk: file sizes, descriptors, temporary files, immutable files. Each error
 * names the limit.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { BIN, Running } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { folderIn, scratch } from '../helpers/scratch.js';
import { isRoot, noise } from '../helpers/tree.js';
import { pause } from '../helpers/until.js';

const MIB = 1 << 20;
const POLL_MS = 5;
const MOST_TRIES = 20;

interface Ground {
  readonly home: string;
  readonly store: string;
  readonly tree: string;
}

/** Makes a store with one set of a small and a larger file. */
function ground(t: ExecutionContext): Ground {
  const home = scratch(t);
  const [store, tree] = [path.join(home, 'store'), path.join(home, 'tree')];
  fs.mkdirSync(tree);
  fs.writeFileSync(path.join(tree, 'small'), 'small');
  fs.writeFileSync(path.join(tree, 'large'), noise('large', 3 * MIB));
  const { status, stderr } = shell(
    { home, store, tree },
    'tardis -D store -C me --local --create tree',
  );
  t.is(status, 0, stderr);
  return { home, store, tree };
}

/** Runs a shell line with the commands in PATH. */
function shell({ home }: Ground, line: string, env: NodeJS.ProcessEnv = {}) {
  const PATH = `${BIN}:${process.env['PATH']}`;
  const XDG_STATE_HOME = path.join(home, 'state');
  return spawnSync('sh', ['-c', line], {
    cwd: home,
    encoding: 'utf8',
    env: { ...process.env, PATH, XDG_STATE_HOME, ...env },
  });
}

test('a limit of file sizes is named, and is no full disk', (t) => {
  const at = ground(t);
  const limited = 'ulimit -f 2000';
  const backup = shell(at, `${limited}; tardis -D other -C me --local --create tree`);
  t.is(backup.status, 1);
  t.regex(backup.stderr, /EFBIG.*\[FILE_TOO_LARGE\]\n.*ulimit -f/);
  t.notRegex(backup.stderr, /is full/);
  const restore = shell(at, `${limited}; regenerate -D store -C me -o out tree`);
  t.is(restore.status, 3);
  t.regex(restore.stderr, /large: EFBIG.*\[FILE_TOO_LARGE\]/);
  t.is(fs.readFileSync(path.join(at.home, 'out/tree/small'), 'utf8'), 'small');
});

test('with too few descriptors nothing begins, and the limit is named', (t) => {
  const at = ground(t);
  for (const limit of [24, 32, 48]) {
    for (const command of [
      'tardis -D store -C me --local tree',
      'regenerate -D store -C me -o out tree',
      'sonic check -D store -C me',
    ]) {
      const { status, stderr } = shell(at, `ulimit -n ${limit}; ${command}`);
      t.is(status, 1, stderr);
      t.regex(
        stderr,
        new RegExp(`may open ${limit} files.*\\[TOO_MANY_OPEN_FILES\\]\n.*ulimit -n`),
      );
    }
  }
  const enough = shell(at, 'ulimit -n 64; tardis -D store -C me --local tree');
  t.is(enough.status, 0, enough.stderr);
});

test('a full TMPDIR is named, and not the disk of the store', (t) => {
  const at = ground(t);
  const flag = isRoot ? '-m' : '-rm';
  const script = `unshare ${flag} true || exit 77; unshare ${flag} sh -c 'mkdir tmp; mount -t tmpfs -o size=64k tmpfs tmp || exit 77
    export TMPDIR=$PWD/tmp; cat /dev/zero >tmp/rest 2>/dev/null
    sonic check -D store -C me; echo "status $?"
    sonic forget-path -n -D store -C me $PWD/tree/small; echo "status $?"
    ls tmp'`;
  const { status, stdout, stderr } = shell(at, script);
  if (status === 77) return leaveOut(t, `left out: nothing can be mounted here: ${stderr}`);
  t.deepEqual(
    stdout.trim().split('\n'),
    ['status 1', 'status 1', 'rest'],
    `status ${status}: ${stderr}`,
  );
  t.is(
    stderr.match(/temporary files \S+tmp \(TMPDIR\) is full: 0 B are free.*\[TEMPORARY_FULL\]/g)
      ?.length,
    2,
    stderr,
  );
  const missing = shell(at, 'sonic check -D store -C me', { TMPDIR: path.join(at.home, 'none') });
  t.regex(
    missing.stderr,
    /none \(TMPDIR\): no such file or directory \(ENOENT\).*\[CONFIG_INVALID\]/,
  );
});

test('a directory that nobody may change is named as the target, with what to look at', (t) => {
  const at = ground(t);
  const { status, stdout, stderr } = shell(
    at,
    `mkdir out; chattr +i out || exit 77
    regenerate -D store -C me -o out tree; echo "status $?"; chattr -i out`,
  );
  if (status === 77) return leaveOut(t, `left out: nothing can be made immutable here: ${stderr}`);
  t.regex(stdout, /^status [13]$/m);
  t.regex(stderr, /tree: the directory it is in is immutable \[TARGET_IMMUTABLE\]/);
});

function copiesIn(folder: string): string[] {
  return fs.readdirSync(folder).filter((name) => name.startsWith('tardis-copy-'));
}

/** True if a folder has its lock. A check keeps a new one without a lock: another process may be making it. */
function hasLock(tmp: string, name: string): boolean {
  return fs.existsSync(path.join(tmp, name, '.tardis-lock'));
}

/** True if each thread is stopped: another one than the first may still be about to make a copy. */
function isStopped({ pid }: Running): boolean {
  const isThreadStopped = (thread: string): boolean => {
    const stat = fs.readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
    return stat.charAt(stat.lastIndexOf(')') + 2) === 'T';
  };
  try {
    return fs.readdirSync(`/proc/${pid}/task`).every(isThreadStopped);
  } catch {
    return false; // it has ended
  }
}

/** Starts a check, and sends it a signal while it has copies in TMPDIR. */
async function struck(at: Ground, tmp: string, signal: NodeJS.Signals): Promise<Running> {
  const env = { TMPDIR: tmp, XDG_STATE_HOME: path.join(at.home, 'state') };
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const check = new Running('sonic', ['check', '-D', at.store, '-C', 'me'], { env });
    const state = { hasEnded: false };
    void check.ended.then(() => (state.hasEnded = true));
    while (!state.hasEnded && !copiesIn(tmp).some((name) => hasLock(tmp, name))) {
      await pause(POLL_MS);
    }
    check.signalGroup(signal);
    // Until the signal takes effect, the check may remove its copies.
    while (!state.hasEnded && !isStopped(check)) {
      await pause(POLL_MS);
    }
    if (copiesIn(tmp).length > 0) return check;
    check.signalGroup('SIGCONT');
    await check.ended;
  }
  throw new Error('no check could be struck');
}

test('copies that a killed check left are removed by the next one, and those of a live one are not', async (t) => {
  const at = ground(t);
  const tmp = folderIn(at.home, 'tmp');
  await (await struck(at, tmp, 'SIGKILL')).ended;
  t.true(copiesIn(tmp).length > 0);
  const next = shell(at, 'sonic check -D store -C me', { TMPDIR: tmp });
  t.is(next.status, 0, next.stderr);
  t.deepEqual(copiesIn(tmp), []);
  const stopped = await struck(at, tmp, 'SIGSTOP');
  const live = copiesIn(tmp);
  const other = shell(at, 'sonic check -D store -C me', { TMPDIR: tmp });
  t.is(other.status, 0, other.stderr);
  t.true(copiesIn(tmp).length > 0 && copiesIn(tmp).every((name) => live.includes(name)));
  stopped.signalGroup('SIGCONT');
  const { status, stderr } = await stopped.ended;
  t.is(status, 0, stderr);
  t.deepEqual(copiesIn(tmp), []);
});
