// Pace: long
/**
 * SIGINT and SIGTERM in the middle of one large file end every command soon: what it does after the signal is bounded by
 * bytes, which hold on a busy machine too. It reports what is half-done, and the same command completes it.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { BIN, cleanEnvironment, succeed, type Tool } from '../helpers/commands.js';
import { lab, type Lab } from '../helpers/lab.js';
import { ofThisRun, share } from '../helpers/share.js';
import { noise } from '../helpers/tree.js';
import { pause } from '../helpers/until.js';

const MIB = 1 << 20;
/** Four parts of a large file, of 64 MiB each. */
const FILE_BYTES = 256 * MIB;
/** Share of all cases in a run of `npm test`; each command and each moment is in it. */
const USUAL_SHARE = 0.15;
/** Bytes that a command reads and writes before the signal: soon after it has begun, in the middle, near its end. */
const MOMENTS = { start: 32 * MIB, middle: 0.5 * FILE_BYTES, end: 0.9 * FILE_BYTES };
const STATUSES = { SIGINT: 130, SIGTERM: 143 } as const;
const SIGNALS = Object.keys(STATUSES) as (keyof typeof STATUSES)[];
const TIMEOUT_MS = 120_000;
const MAX_TRIES = 4;
/** Bytes that may still be read and written, with those of the code for the end. */
const MOST_BYTES = 40 * MIB;
/** The same where a part is read as a whole, as for its parity, or also written and made durable. */
const MOST_OF_READ_PART_BYTES = 100 * MIB;
const MOST_OF_PART_BYTES = 240 * MIB;

interface Work {
  readonly tool: Tool;
  readonly args: readonly string[];
  /** Names what is half-done. */
  readonly names: RegExp;
  readonly mostBytes?: number;
  /** Called before each run that is interrupted. */
  readonly prepare?: () => void;
}

/** Returns the bytes that a process has read and written; undefined if it has ended. */
function passedBytes(pid: number): number | undefined {
  try {
    const text = fs.readFileSync(`/proc/${pid}/io`, 'latin1');
    return [...text.matchAll(/^[rw]char: (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
  } catch {
    return undefined;
  }
}

/** Runs a command, and sends it a signal when it has read and written so many bytes. Returns those that follow. */
async function interruptedAfter(
  { tool, args, prepare }: Work,
  bytes: number,
  signal: NodeJS.Signals,
) {
  prepare?.();
  const child = spawn(path.join(BIN, tool), [...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: cleanEnvironment(),
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  const pid = child.pid!;
  let [before, after]: (number | undefined)[] = [];
  for (let now = passedBytes(pid); now !== undefined; now = passedBytes(pid)) {
    if (before !== undefined) after = now;
    else if (now >= bytes) {
      child.kill('SIGSTOP'); // it cannot end before it gets the signal
      before = passedBytes(pid);
      child.kill(signal);
      child.kill('SIGCONT');
    }
    await pause(1);
    if (child.exitCode !== null) break;
  }
  const status = await ended;
  return { status, stderr, afterBytes: (after ?? 0) - (before ?? 0) };
}

/** Interrupts a command as above. If it ends before it can, on a busy machine, it is run again. */
async function interruptedAtWork(...[work, bytes, signal]: Parameters<typeof interruptedAfter>) {
  for (let tries = 1; ; tries += 1) {
    const ended = await interruptedAfter(work, bytes, signal);
    if (ended.status !== 0 || tries === MAX_TRIES) return ended;
  }
}

/** Returns the commands, in an order in which each finds what it needs, with their stores and words. */
function worksIn({ source, place, at }: Lab): Readonly<Record<string, Work>> {
  const large = path.join(source, 'large');
  const again = /the same command continues it/;
  const nextRun = /the next run continues/;
  const incomplete = /the output will be incomplete/;
  const soFar = /what was found so far is reported/;
  const into = (name: string, tool: Tool, args: readonly string[], names: RegExp): Work => {
    const prepare = (): void => fs.rmSync(at(name), { recursive: true, force: true });
    return { tool, args: [...args, at(name)], names, prepare };
  };
  const sonic = (args: readonly string[], names: RegExp): Work => ({ tool: 'sonic', args, names });
  const touch = (): void => fs.utimesSync(at('out/tree/large'), 1, 1);
  const change = (): void => {
    const fd = fs.openSync(large, 'r+');
    for (let from = 0; from < FILE_BYTES; from += 8 * MIB) {
      fs.writeSync(fd, noise(`${from} ${performance.now()}`, 100), 0, 100, from);
    }
    fs.closeSync(fd);
  };
  const local = [...place, '--local', source];
  const states = ['--create', '--kept-as', '/x', '--sets', at('states/*')];
  const importing = ['-D', at('imported'), '-C', 'me', ...states];
  const restore = [...place, source, '--overwrite', '-o'];
  const readsPart = { mostBytes: MOST_OF_READ_PART_BYTES };
  const perPart = { mostBytes: MOST_OF_PART_BYTES };
  return {
    backup: { tool: 'tardis', args: local, names: nextRun, ...readsPart },
    restore: into('out', 'regenerate', restore, again),
    'restore over it': {
      tool: 'regenerate',
      args: [...restore, at('out')],
      names: again,
      prepare: touch,
    },
    tar: into('x.tar', 'regenerate', [...place, large, '--tar'], incomplete),
    zip: into('x.zip', 'regenerate', [...place, large, '--zip'], incomplete),
    stdout: { tool: 'regenerate', args: [...place, '--stdout', large], names: incomplete },
    export: into('sets', 'sonic', ['export', ...place, '--to'], again),
    'export of archives': into('tars', 'sonic', ['export', ...place, '--tar', '--to'], again),
    check: { ...sonic(['check', ...place, '--read-data'], soFar), ...readsPart },
    'check of the source': sonic(['check', ...place, '--against-source'], soFar),
    diff: { tool: 'tardiff', args: [...place, '--compare-contents', large], names: soFar },
    copy: { ...into('copy', 'sonic', ['copy', ...place, '--create', '--to'], again), ...perPart },
    import: { tool: 'tardis-import', args: importing, names: nextRun, ...readsPart },
    'import compared': {
      tool: 'tardis-import',
      args: [...importing, '--verify'],
      names: nextRun,
      ...readsPart,
    },
    'backup of changes': {
      tool: 'tardis',
      args: local,
      names: nextRun,
      prepare: change,
      ...readsPart,
    },
    encrypt: {
      ...sonic(['encrypt', ...place, '--password=of a test', '--yes'], again),
      ...perPart,
    },
  };
}

test('a signal ends every command in the middle of a large file', async (t) => {
  const ground = lab(t, []);
  const { source, place, at, written } = ground;
  await succeed('tardis', [...place, '--local', '--create', source]);
  fs.mkdirSync(at('states/2024-01-01'), { recursive: true });
  const large = written('tree/large', noise(1, FILE_BYTES));
  fs.linkSync(large, at('states/2024-01-01/large'));
  const works = worksIn(ground);
  const all = Object.keys(works).flatMap((name) =>
    Object.keys(MOMENTS).flatMap((moment) => SIGNALS.map((signal) => [name, moment, signal])),
  ) as [name: string, moment: keyof typeof MOMENTS, signal: keyof typeof STATUSES][];
  const classesOf = ([name, moment, signal]: (typeof all)[number]): string[] => [
    name,
    moment + signal,
  ];
  const cases = ofThisRun(all, classesOf, share < 1 ? USUAL_SHARE : 1);
  for (const [name, work] of Object.entries(works)) {
    for (const [, moment, signal] of cases.filter(([one]) => one === name)) {
      const label = `${name}, ${moment}, ${signal}`;
      const { status, stderr, afterBytes } = await interruptedAtWork(work, MOMENTS[moment], signal);
      t.is(status, STATUSES[signal], `${label}: ${stderr}`);
      t.regex(stderr, /stopping cleanly/, label);
      t.regex(stderr, work.names, label);
      t.regex(stderr, /\[INTERRUPTED\]/, label);
      t.notRegex(stderr, /\n\s+at /, label);
      t.true(afterBytes <= (work.mostBytes ?? MOST_BYTES), `${label}: ${afterBytes} bytes more`);
    }
    await succeed(work.tool, work.args);
  }
  for (const [name, words] of [
    ['store', ['--password=of a test']],
    ['copy', []],
    ['imported', []],
  ] as const) {
    const checked = ['check', '--read-data', '-D', at(name), '-C', 'me', ...words];
    t.regex(await succeed('sonic', checked), /No damage found/, name);
  }
});
