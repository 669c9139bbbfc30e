/**
 * The second reader, `system/recovery/tardis-read.py`, as an oracle: it was written from formats.md, shares no code with the
 * programs, and has to list and restore every store as they do.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { exited } from './codes.js';
import { type ListedSet, type Outcome, succeed } from './commands.js';
import { makeScratch, removeScratch } from './scratch.js';
import { differences, look, type Snapshot } from './tree.js';

const READER = fileURLToPath(new URL('../../../system/recovery/tardis-read.py', import.meta.url));
/** Debian's Python, which has Debian's modules, before another one. */
const PYTHONS = ['/usr/bin/python3', 'python3'];
const NEEDS = 'import zstandard, cryptography.hazmat.primitives.ciphers.aead';
const LISTED = /^ *(\d+) {2}\S+ \S+ {2}(\w+) +(.*?)(?: {2}may lack entries)?$/gm;

function findPython(): string | undefined {
  return PYTHONS.find((python) => spawnSync(python, ['-c', NEEDS]).status === 0);
}

const python = findPython();

/** Returns why the reader cannot run here; undefined if it can. */
export function whyNoSecondReader(): string | undefined {
  if (python !== undefined) return undefined;
  return 'the second reader: apt-get install python3 python3-zstandard python3-cryptography';
}

/** Runs the reader. Only where `whyNoSecondReader` returns undefined. */
export async function readByPython(...args: readonly string[]): Promise<Outcome> {
  const child = spawn(python!, [READER, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (printed: string) => (stdout += printed));
  child.stderr.setEncoding('utf8').on('data', (printed: string) => (stderr += printed));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  });
}

/** Where the reader finds a store, and the environment of the commands, if they are not the usual ones. */
export interface Elsewhere {
  /** Folder with the objects of a bucket. */
  readonly folder?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Trees that the commands have restored already, by the numbers of their sets. */
  readonly restored?: ReadonlyMap<number, Snapshot>;
}

/** Returns the value of an option; undefined without it. */
function valueOf(args: readonly string[], option: string): string | undefined {
  return args.includes(option) ? args[args.indexOf(option) + 1] : undefined;
}

/** Returns the reader's options for those of the commands. A password becomes a file in `home`. */
function optionsOf(args: readonly string[], home: string): string[] {
  const given = args.find((arg) => arg.startsWith('--password='))?.slice('--password='.length);
  const file = path.join(home, 'password');
  if (given !== undefined) fs.writeFileSync(file, `${given}\n`);
  const password = given === undefined ? valueOf(args, '--password-file') : file;
  const keys = valueOf(args, '--keys');
  return [
    ...(password === undefined ? [] : ['--password-file', password]),
    ...(keys === undefined ? [] : ['--keys', keys]),
  ];
}

/**
 * Requires that both readers list the same sets, and restore `source` alike from the first, the middle and the last complete
 * one. `args`: -D, -C, and the password or the keys.
 */
export async function readersAgree(
  t: ExecutionContext,
  source: string,
  args: readonly string[],
  { folder = valueOf(args, '-D')!, env = {}, restored }: Elsewhere = {},
): Promise<void> {
  const why = whyNoSecondReader();
  if (why !== undefined) return t.log(`left out: ${why}`);
  const home = makeScratch();
  try {
    const place = [folder, valueOf(args, '-C')!];
    const options = optionsOf(args, home);
    const listed = exited(t, 0, await readByPython('list', ...place, ...options));
    const wanted = JSON.parse(await succeed('lstardis', [...args, '--json'], { env })) as {
      sets: readonly ListedSet[];
    };
    const found = [...listed.stdout.matchAll(LISTED)];
    t.deepEqual(
      found.map(([, number, state, name]) => `${number} ${state} ${name}`),
      wanted.sets.map(({ set, state, name }) => `${set} ${state} ${name}`),
    );
    const complete = found.filter(([, , state]) => state === 'complete').map(([, set]) => set!);
    const chosen = [complete[0], complete[complete.length >> 1], complete.at(-1)];
    for (const set of new Set(chosen.filter((one) => one !== undefined))) {
      const [one, other] = [path.join(home, `one ${set}`), path.join(home, `other ${set}`)];
      let ours = restored?.get(Number(set));
      if (ours === undefined) {
        await succeed('regenerate', [...args, '-b', set, '-o', one, source], { env });
        ours = look(path.join(one, path.basename(source)));
      }
      exited(t, 0, await readByPython('restore', ...place, set, other, ...options));
      t.deepEqual(differences(ours, look(path.join(other, source))), [], `set ${set}`);
      for (const made of [one, other]) removeScratch(made);
    }
  } finally {
    removeScratch(home);
  }
}
