/** Acts while another process reads a file or directory: the kernel holds each reading until the test has acted. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { ExecutionContext } from 'ava';

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

export class AtReadings {
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
