// Pace: long
/**
 * Fills a file system of 64 MiB to the last byte again and again (test/helpers/fill-up.ts), and runs real
 * processes on a full one. TEST_SHARE=1 fills it more often, TEST_SEED replays.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { exited } from '../helpers/codes.js';
import { inNamespace } from '../helpers/disk-images.js';
import { BIN } from '../helpers/commands.js';
import { folderIn, scratchInMemory, written } from '../helpers/scratch.js';
import { isRoot, noise } from '../helpers/tree.js';
import { seed } from '../helpers/seed.js';
import { smallShare } from '../helpers/share.js';

const MIB = 1 << 20;
const passes = Math.round(200 * smallShare);
/** Command that runs another in a mount namespace, which ends with it. Needs user namespaces if not root. */
const NAMESPACE = ['unshare', isRoot ? '-m' : '-rm'] as const;
const FILL_UP = fileURLToPath(new URL('../helpers/fill-up.js', import.meta.url));

function canMount(): string | undefined {
  const [command, flag] = NAMESPACE;
  const tried = spawnSync(command, [flag, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
  if (tried.status === 0) return undefined;
  return `nothing can be mounted here, neither as root nor in a namespace: ${String(tried.stderr)}`;
}

const hindrance = canMount();
const testMounted = hindrance === undefined ? test : undefined;
if (hindrance !== undefined) {
  test('left out: disks of 64 MiB', (t) => {
    t.log(hindrance);
    t.pass();
  });
}

testMounted?.(`${passes} times a disk of 64 MiB is full`, async (t) => {
  t.timeout(300_000 + passes * 30_000);
  const home = scratchInMemory(t);
  const args = [process.execPath, FILL_UP, home, String(passes), String(seed)];
  const env = { XDG_STATE_HOME: path.join(home, 'state') };
  const { status, stdout, stderr } = await inNamespace(args, env);
  t.is(status, 0, `seed ${seed}: ${stderr}`);
  const lines = stdout.trim().split('\n');
  t.is(lines.length, passes + 1);
  t.log(`seed ${seed}: ${lines.at(-1)}`);
});

testMounted?.(
  'many large streams into a full disk: the client hears of it within 5 s',
  async (t) => {
    const home = scratchInMemory(t);
    const tree = folderIn(home, 'tree');
    for (let index = 0; index < 24; index += 1) {
      fs.writeFileSync(path.join(tree, `${index}`), noise(index, 6 * MIB));
    }
    written(home, 'config', '[Pipeline]\nLeastFree = 0\nReserve = 4M\n');
    const script = `set -u
    mkdir disk && mount -t tmpfs -o size=64m tmpfs disk || exit 77
    export XDG_STATE_HOME=$PWD/state
    backup() { "$BIN/tardis" -D disk/store -C me --local --local-config config "$@" tree; }
    free() { echo $(df -B1 --output=avail disk | tail -1); }
    backup --create & pid=$!
    least=64000000
    while kill -0 $pid 2>/dev/null; do
      now=$(free)
      if [ "$now" -lt $least ]; then least=$now; full=$(date +%s%N); fi
      sleep 0.05
    done
    wait $pid; echo "status $?"; echo "late $(( ($(date +%s%N) - full) / 1000000 ))"
    cat /dev/zero > disk/rest 2>/dev/null; echo "free $(free)"
    "$BIN/lstardis" -D disk/store -C me --json >list; echo "listed $?"
    "$BIN/regenerate" -D disk/store -C me -b 1 -o out tree; echo "restored $?"
    "$BIN/regenerate" -D disk/store -C me -b 1 -o disk/out tree; echo "onto it $?"
    "$BIN/regenerate" -D disk/store -C me -b 1 --tar disk/all.tar tree; echo "archive $?"
    TMPDIR=$PWD/disk "$BIN/lstardis" -D disk/store -C me >/dev/null; echo "again $?"
    rm disk/rest; mount -o remount,ro disk
    backup; echo "read-only $?"
    mount -o remount,rw,size=256m disk; backup; echo "room $?"
    "$BIN/regenerate" -D disk/store -C me -o all tree; diff -r tree all/tree; echo "same $?"`;
    const command = ['sh', '-c', `cd "$HOME_DIR"; ${script}`];
    const { stdout, stderr } = exited(t, 0, await inNamespace(command, { BIN, HOME_DIR: home }));
    const reported = (name: string): number =>
      Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stdout)?.[1]);
    t.is(reported('status'), 1, stderr);
    t.regex(stderr, /the disk with the store \S+ is full: [\d.]+ [kM]?B are free.*\[DISK_FULL\]/);
    t.true(reported('late') < 5000, `${reported('late')} ms after it was full`);
    t.is(reported('free'), 0);
    for (const name of ['listed', 'restored', 'again', 'room', 'same'])
      t.is(reported(name), 0, `${name}: ${stderr}`);
    t.deepEqual([reported('onto it'), reported('archive')], [1, 1]);
    t.is(
      stderr.match(/the target is full: \S+, 0 B are free.*\[TARGET_FULL\]/g)?.length,
      2,
      stderr,
    );
    t.is(reported('read-only'), 1);
    t.regex(stderr, /\[STORE_NOT_WRITABLE\]/);
  },
);

testMounted?.(
  'a small client on a full disk: its small reserve keeps what fits, and room to delete sets',
  async (t) => {
    const home = scratchInMemory(t);
    const tree = folderIn(home, 'tree');
    const write = (name: string, bytes: number): void =>
      fs.writeFileSync(path.join(tree, name), noise(name, bytes));
    for (let index = 0; index < 300; index += 1) write(`small ${index}`, 2000);
    fs.writeFileSync(path.join(home, 'config'), '[Pipeline]\nLeastFree = 0\n');
    const script = `set -u
    mkdir disk && mount -t tmpfs -o size=24m tmpfs disk || exit 77
    export XDG_STATE_HOME=$PWD/state
    backup() { "$BIN/tardis" -D disk/store -C me --local --local-config config "$@" tree; }
    backup --create >&2; echo "first $?"
    echo "reserve $(stat -c %s disk/store/me/reserve)"
    cp -r tree before
    for file in $(seq 200); do head -c 100000 /dev/urandom >"tree/larger $file"; done
    backup >&2; echo "full $?"
    cat /dev/zero > disk/rest 2>/dev/null; echo "free $(echo $(df -B1 --output=avail disk | tail -1))"
    "$BIN/regenerate" -D disk/store -C me -b 1 -o out tree >&2 && diff -r before out/tree; echo "restored $?"
    rm disk/rest; mount -o remount,size=64m disk
    backup --json >report; echo "room $?"
    echo "sent $(grep -o '"contentsSent": *[0-9]*' report | grep -o '[0-9]*$')"
    "$BIN/regenerate" -D disk/store -C me -o all tree >&2 && diff -r tree all/tree; echo "same $?"
    cat /dev/zero > disk/rest 2>/dev/null
    "$BIN/sonic" delete -D disk/store -C me --yes 1 >&2; echo "deleted $?"
    "$BIN/sonic" check -D disk/store -C me >&2; echo "checked $?"
    rm -r disk/store/me/parity; cat /dev/zero > disk/more 2>/dev/null
    "$BIN/sonic" check --repair -D disk/store -C me; echo "repaired $?"`;
    const command = ['sh', '-c', `cd "$HOME_DIR"; ${script}`];
    const { stdout, stderr } = exited(t, 0, await inNamespace(command, { BIN, HOME_DIR: home }));
    const reported = (name: string): number =>
      Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stdout)?.[1]);
    t.true(reported('reserve') < 4 * MIB, stdout);
    t.is(reported('full'), 1, stderr);
    t.regex(stderr, /\[DISK_FULL\]/);
    t.is(reported('free'), 0);
    for (const name of ['first', 'restored', 'room', 'same', 'deleted', 'checked'])
      t.is(reported(name), 0, `${name}: ${stdout}${stderr}`);
    t.is(reported('repaired'), 3, `no parity can be made: ${stdout}`);
    t.regex(stdout, /What the backups need is whole, but \d+ files? could not be repaired/);
    t.notRegex(stdout, /No damage found|still damaged/);
    t.true(
      reported('sent') > 0 && reported('sent') < 180,
      `${reported('sent')} of 200 were sent again`,
    );
  },
);
