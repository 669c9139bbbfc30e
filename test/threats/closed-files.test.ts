// Pace: long
/**
 * The owner of a file or a directory closes it to others while root backs it up, and then puts a secret into it. The set shows
 * the secret to nobody who could read the file before.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { backupsRunHere, rest, run, succeed } from '../helpers/commands.js';
import { leaveOut } from '../helpers/left-out.js';
import { isRoot } from '../helpers/native.js';
import { folderIn, scratchInMemory } from '../helpers/scratch.js';
import { ofThisRun } from '../helpers/share.js';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';

/** Holds readings of the named files, and of the entries of directories. Prints a line for each, and waits for one. */
const HOLDER = `
import ctypes, os, struct, sys
ALLOWED, ADD, HERE = 1, 1, -100
PERMISSION_CLASS, READING, OF_DIRECTORIES = 4, 0x20000, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
held = libc.fanotify_init(PERMISSION_CLASS, os.O_RDONLY)
mask = ctypes.c_uint64(READING | OF_DIRECTORIES)
is_held = held >= 0 and all(libc.fanotify_mark(held, ADD, mask, HERE, at.encode()) == 0 for at in sys.argv[1:])
print("ready" if is_held else "none", flush=True)
while is_held:
    events, at = os.read(held, 4096), 0
    while at < len(events):
        size, fd = struct.unpack_from("I", events, at)[0], struct.unpack_from("i", events, at + 16)[0]
        print("reading", flush=True)
        sys.stdin.readline()
        os.write(held, struct.pack("iI", fd, ALLOWED))
        os.close(fd)
        at += size
`;

/** Acts while another process reads a file or directory: the kernel holds each reading until the test has acted. */
class AtReadings {
  private readings = 0;

  private constructor(
    private readonly holder: ChildProcess,
    lines: Interface,
    act: (reading: number) => void,
  ) {
    lines.on('line', () => {
      act(this.readings);
      this.readings += 1;
      holder.stdin!.write('\n');
    });
  }

  /**
   * Calls `act` with the number of readings before, from 0, for each call by which a process reads one of the paths. Resolves
   * with undefined if the kernel or this user cannot hold readings.
   */
  static async of(
    t: ExecutionContext,
    paths: readonly string[],
    act: (reading: number) => void,
  ): Promise<AtReadings | undefined> {
    const holder = spawn('python3', ['-c', HOLDER, ...paths], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.teardown(() => holder.kill('SIGKILL'));
    holder.stdin.on('error', () => undefined); // it may have ended
    const lines = createInterface(holder.stdout);
    const [line] = (await once(lines, 'line')) as [string];
    return line === 'ready' ? new AtReadings(holder, lines, act) : undefined;
  }

  /** Number of readings so far. */
  get count(): number {
    return this.readings;
  }

  /** Lets all later readings pass. */
  async end(): Promise<void> {
    this.holder.kill('SIGKILL');
    await once(this.holder, 'exit');
  }
}

backupsRunHere();

const [USER, OTHER] = [41_001, 41_002];
const SECRET = 'SECRET';
const MIB = 1 << 20;
const ENCRYPTED = '--password=a password of four words';
/** This thread lets a held reading go on, so that a backup whose readings are held needs a process of its own. */
const HELD = { isProcess: true } as const;

/** How an owner closes a file to some of those who could read it before. */
const CLOSINGS: Readonly<Record<string, (at: string) => void>> = {
  'its mode': (at) => fs.chmodSync(at, 0o700),
  'its group': (at) => fs.chownSync(at, USER, OTHER),
  'its owner': (at) => fs.chownSync(at, OTHER, OTHER),
  'its ACL': (at) => execFileSync('setfacl', ['-m', `u:${OTHER}:---`, at]),
};

/** The file that gets the secret, below directories that all may pass. */
const FILE = 'a/b/file';
const [SMALL_BYTES, LARGE_BYTES, PARTS_BYTES] = [5000, 3 * MIB, 65 * MIB];

/**
 * Paths that are closed, with the size of the file and the reading of it at which that happens: one of the last try for a file;
 * the first one for a directory, which was listed before.
 */
const CASES: readonly Pick<Attack, 'closed' | 'closedAt' | 'sizeBytes'>[] = [
  { closed: FILE, sizeBytes: SMALL_BYTES, closedAt: 3 },
  { closed: FILE, sizeBytes: LARGE_BYTES, closedAt: 9 },
  { closed: FILE, sizeBytes: PARTS_BYTES, closedAt: 150 },
  { closed: 'a/b', sizeBytes: SMALL_BYTES, closedAt: 0 },
  { closed: 'a', sizeBytes: SMALL_BYTES, closedAt: 0 },
  { closed: 'a', sizeBytes: LARGE_BYTES, closedAt: 0 },
];

interface Attack {
  /** A path below the source. */
  readonly closed: string;
  /** One of CLOSINGS. */
  readonly closing: string;
  /** The reading of the file at which that happens. The file is touched at those before. */
  readonly closedAt: number;
  readonly sizeBytes: number;
  readonly options: readonly string[];
}

/** A file with those who have access to it. */
type Seen = NonNullable<ReturnType<typeof seen>>;

function seen(file: string) {
  if (!fs.existsSync(file)) return undefined;
  const { mode, uid } = fs.statSync(file);
  const access = execFileSync('getfacl', ['-np', file], { encoding: 'utf8' }).replace(/.*\n/, '');
  const isOwnersAlone = (mode & 0o077) === 0;
  return { uid, access, isOwnersAlone, hasSecret: fs.readFileSync(file).includes(SECRET) };
}

/** Backs a file up while its owner closes it and writes a secret, and again. Returns true if the reading was reached. */
async function attack(
  t: ExecutionContext,
  { closing, closed, closedAt, sizeBytes, options }: Attack,
): Promise<boolean> {
  const home = scratchInMemory(t);
  const [source, out] = [path.join(home, 'source'), path.join(home, 'out')];
  const [file, restored] = [path.join(source, FILE), path.join(out, 'source', FILE)];
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, Buffer.alloc(sizeBytes, 'own '));
  for (const owned of ['a', 'a/b', FILE]) {
    fs.chownSync(path.join(source, owned), USER, USER);
    fs.chmodSync(path.join(source, owned), 0o750);
  }
  const held = await AtReadings.of(t, [file], (reading) => {
    if (reading > closedAt) return;
    if (reading === closedAt) CLOSINGS[closing]!(path.join(source, closed));
    const fd = fs.openSync(file, 'r+');
    for (let place = 0; place < sizeBytes; place += MIB)
      fs.writeSync(fd, reading === closedAt ? SECRET : `${reading}`, place);
    fs.closeSync(fd);
  });
  if (held === undefined) {
    t.log('readings cannot be held here');
    return true;
  }
  const place = ['-D', path.join(home, 'store'), '-C', 'me', ...options];
  const restore = async (): Promise<Seen | undefined> => {
    fs.rmSync(out, { recursive: true, force: true });
    await run('regenerate', [
      ...place.filter((word) => !word.startsWith('--workers')),
      '-o',
      out,
      source,
    ]);
    return seen(restored);
  };
  const backup = await run('tardis', ['--local', '--create', ...place, source], HELD);
  t.true([0, 3].includes(backup.status!), `${closing}: ${backup.stderr}`);
  const isReached = held.count > closedAt;
  await held.end();
  const onDisk = seen(file)!;
  const inSet = await restore();
  const isShown = inSet?.hasSecret === true && (closed !== FILE || inSet.access !== onDisk.access);
  if (isShown)
    t.true(inSet.isOwnersAlone && inSet.uid === onDisk.uid, `${closing}: ${inSet.access}`);
  // The next backup finds what the owner gave.
  await succeed('tardis', ['--local', ...place, source]);
  t.deepEqual(await restore(), onDisk, closing);
  fs.rmSync(home, { recursive: true });
  return isReached;
}

const WAYS: readonly (readonly [how: string, ...options: string[]])[] = [
  ['by two workers', '--workers=2'],
  ['by four workers, encrypted', '--workers=4', ENCRYPTED],
];

const ATTACKS = CASES.flatMap(({ closed, sizeBytes, closedAt }) =>
  WAYS.flatMap(([how, ...options]) =>
    Object.keys(CLOSINGS)
      .filter((closing) => sizeBytes < PARTS_BYTES || closing === 'its mode')
      .map((closing) => ({ closed, sizeBytes, closedAt, closing, options, how })),
  ),
);
/** A run has each case, closing and way at least once, which TEST_SEED chooses. */
const chosen = ofThisRun(ATTACKS, ({ closed, sizeBytes, closing, how }) => [
  `${closed} ${sizeBytes}`,
  closing,
  how,
]);

for (const { how, ...one } of chosen) {
  test.serial(
    `what is put into a file of ${one.sizeBytes} bytes whose owner closes ${one.closed} by ${one.closing} while it is read is shown to nobody, ${how}`,
    async (t) => {
      if (!isRoot) return leaveOut(t, 'this needs root');
      t.true(await attack(t, one));
      return undefined;
    },
  );
}

/** Kinds of clients; a run takes one, which TEST_SEED chooses. */
const CLIENTS = ofThisRun([[], [ENCRYPTED]]);

/** Two parts of a large file. One worker reads them one after the other. */
const TWO_PARTS_BYTES = 96 * MIB;

for (const options of CLIENTS) {
  const how = options.length === 0 ? 'plain' : 'encrypted';
  test.serial(
    `a file that gets another owner between two of its parts is read again, and then left out alone, ${how}`,
    async (t) => {
      if (!isRoot) return leaveOut(t, 'this needs root');
      const home = scratchInMemory(t);
      const source = path.join(home, 'source');
      const file = path.join(source, 'file');
      fs.mkdirSync(source);
      fs.writeFileSync(file, Buffer.alloc(TWO_PARTS_BYTES, 'own '));
      fs.writeFileSync(path.join(source, 'other'), 'other');
      /** Backs up while the owner changes at some readings. Returns the number of readings, and the outcome. */
      const backUp = async (changes: readonly number[]) => {
        fs.chownSync(file, USER, USER);
        const held = await AtReadings.of(t, [file], (reading) => {
          const change = changes.indexOf(reading);
          if (change >= 0) fs.chownSync(file, change % 2 === 0 ? OTHER : USER, USER);
        });
        const store = path.join(home, `store ${changes.join()}`);
        const place = ['-D', store, '-C', 'me', ...options];
        const words = ['--local', '--create', '--workers=0', ...place, source];
        const { status, stderr } = await run('tardis', words, HELD);
        await held?.end();
        const out = path.join(home, `out ${changes.join()}`);
        await run('regenerate', [...place, '--no-set-owner', '-o', out, source]);
        const names = fs.readdirSync(path.join(out, 'source'));
        return { readings: held?.count ?? 0, status, stderr, names };
      };
      const steady = await backUp([]);
      t.like(steady, { status: 0, names: ['file', 'other'] });
      if (steady.readings === 0) {
        t.log('readings cannot be held here');
        return undefined;
      }
      const once = await backUp([steady.readings - 1]);
      t.like(once, { status: 0, names: ['file', 'other'] }, once.stderr);
      // At some of these readings one part is complete. An encrypting client may read it once more, for its signature.
      const left = [];
      for (const share of [0.4, 0.7, 1]) {
        const again = Math.floor((once.readings - steady.readings) * share);
        const twice = await backUp([steady.readings - 1, steady.readings + again - 1]);
        if (twice.status === 0) t.deepEqual(twice.names, ['file', 'other']);
        else {
          left.push(twice.names);
          t.is(twice.status, 3, twice.stderr);
          t.regex(twice.stderr, /file: unreadable.*EREPLACED/);
        }
      }
      t.true(left.length > 0);
      t.true(left.every((names) => names.join() === 'other'));
      return undefined;
    },
  );
}

for (const options of CLIENTS) {
  const how = options.length === 0 ? 'plain' : 'encrypted';
  test.serial(
    `an entry that was closed since it could not be read is read again though nothing changes, ${how}`,
    async (t) => {
      const home = scratchInMemory(t);
      const [source, away] = [path.join(home, 'source'), path.join(home, 'away')];
      const moving = folderIn(source, 'moving');
      fs.writeFileSync(path.join(moving, 'empty'), '', { mode: 0o644 });
      await rest(); // the entry is old enough for the skip hash of its directory
      const held = await AtReadings.of(t, [moving], (reading) => {
        if (reading === 0) fs.renameSync(moving, away); // it is listed, and then no path leads to it
      });
      if (held === undefined) return leaveOut(t, 'readings cannot be held here');
      const place = ['-D', path.join(home, 'store'), '-C', 'me', ...options];
      const modeInSet = async (set: number): Promise<number> => {
        const out = path.join(home, `out ${set}`);
        await succeed('regenerate', [...place, '--no-set-owner', '-o', out, source]);
        return fs.statSync(path.join(out, 'source/moving/empty')).mode & 0o777;
      };
      await run('tardis', ['--local', '--create', ...place, source], HELD);
      await held.end();
      fs.renameSync(away, moving);
      t.is(await modeInSet(1), 0o600);
      await succeed('tardis', ['--local', ...place, source]);
      t.is(await modeInSet(2), 0o644);
      return undefined;
    },
  );
}
