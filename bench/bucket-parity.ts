import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { findInnerParity, shapeOf } from '../src/store/index.js';
import { BUCKET, S3Server } from '../test/support/s3-server.js';
import { seededRandom } from '../test/support/seeded-random.js';
import type { Bench } from './bench.js';
import { bucketVariables, storedBytesOf } from './bucket-backups.js';
import { seconds } from './cells.js';
import type { Command } from './measure.js';
import { confinedTo } from './subjects/subject.js';

const PERCENT = 3;
const DAMAGES = 1000;

export interface BucketParity {
  readonly times: Readonly<Record<'parity' | 'without', readonly number[]>>;
  readonly bytes: Readonly<Record<'parity' | 'without', readonly number[]>>;
  /** Number of PUT requests of a first backup. */
  readonly puts: Readonly<Record<'parity' | 'without', number>>;
  /** Number of random damages, which parity should heal, and number of objects that were not healed. */
  readonly damages: number;
  readonly notHealed: number;
}

type Way = 'parity' | 'without';
const WAYS: readonly Way[] = ['parity', 'without'];

/** Measures the cost of parity in a bucket of a server in this process. Then damages and heals all objects. */
export async function bucketParity(bench: Bench): Promise<BucketParity> {
  const { workplace, options, print } = bench;
  const times: Record<Way, number[]> = { parity: [], without: [] };
  const bytes: Record<Way, number[]> = { parity: [], without: [] };
  const puts: Record<Way, number> = { parity: 0, without: 0 };
  let healing = { damages: 0, notHealed: 0 };
  await bench.inPairs(WAYS, async (way, round) => {
    const server = await S3Server.start();
    const home = join(workplace.root, 'bucket-home');
    rmSync(home, { recursive: true, force: true });
    try {
      const command = commandsAt(bench, server.url, home);
      // The bucket is probed before the measurement, since only the first backup of a machine probes it.
      await bench.run(command('sonic', ['create', '-C', 'bench']));
      const from = server.requests.length;
      const parity = way === 'parity' ? ['--parity', String(PERCENT)] : [];
      const backup = command('tardis', ['-C', 'bench', '--local', ...parity, workplace.tree]);
      const { wallMs } = await bench.run(backup);
      puts[way] = server.requests.slice(from).filter(({ method }) => method === 'PUT').length;
      times[way].push(wallMs);
      bytes[way].push(storedBytesOf(server));
      print(`bucket, ${bench.roundName(round)}: ${way}: ${seconds(wallMs)} s`);
      const isLast = round === options.runs - 1;
      if (isLast && way === 'parity') healing = await healed(bench, server, command);
    } finally {
      server.close();
    }
  });
  return { times, bytes, puts, ...healing };
}

type MakeCommand = (name: string, args: readonly string[]) => Command;

function commandsAt(bench: Bench, url: string, home: string): MakeCommand {
  const env = { ...confinedTo(home), ...bucketVariables(url) };
  return (name, args) => ({
    argv: [bench.program(name), ...args, '-D', `s3://${BUCKET}/all`],
    env,
  });
}

/**
 * Damages blocks of the objects and heals them, round by round, until there were enough damages. A round damages no
 * more blocks of an object than its parity can restore.
 */
async function healed(
  bench: Bench,
  server: S3Server,
  command: MakeCommand,
): Promise<{ damages: number; notHealed: number }> {
  const random = seededRandom(1);
  const below = (most: number): number => random.bytes(6).readUIntBE(0, 6) % most;
  const { objects } = server;
  const names = objects.keys().filter((key) => /\/(?:log|packs)\//.test(key));
  const right = new Map(names.map((name) => [name, Buffer.from(objects.bytesOf(name)!)]));
  let [damages, notHealed, rounds] = [0, 0, 0];
  while (damages < DAMAGES) {
    let done = 0;
    for (const [name, bytes] of right) {
      const places = await placesIn(bytes, below);
      objects.spoil(name, () => {
        const copy = Buffer.from(bytes);
        for (const at of places) copy[at]! ^= 1 + below(255);
        return copy;
      });
      done += places.length;
    }
    await bench.run(command('sonic', ['check', '--repair', '-C', 'bench']));
    for (const [name, bytes] of right) {
      if (!objects.bytesOf(name)!.equals(bytes)) notHealed += 1;
    }
    damages += done;
    rounds += 1;
  }
  bench.print(`bucket: ${damages} damages in ${rounds} rounds; objects not healed: ${notHealed}`);
  return { damages, notHealed };
}

/** Returns random positions in the bytes of an object: in each stretch of its parity, one block of each column. */
async function placesIn(bytes: Buffer, below: (most: number) => number): Promise<number[]> {
  const reader = {
    size: async () => bytes.length,
    read: async (_name: string, at: number, target: Uint8Array, most: number) =>
      bytes.copy(target, 0, at, at + most),
  };
  const found = await findInnerParity(reader, '', false);
  if (found === undefined) throw new Error('an object has no parity');
  const { coveredBytes, percent } = found;
  const { stretches, blockBytes } = shapeOf(coveredBytes, percent);
  return stretches.flatMap(({ first, columns, blocks }) =>
    Array.from({ length: columns }, (_, column) => {
      const shard = below(Math.ceil((blocks - column) / columns));
      const at = (first + shard * columns + column) * blockBytes + below(blockBytes);
      return Math.min(at, coveredBytes - 1);
    }),
  );
}
