/** Packs of known records in a directory with their parity, and damage as disks make it. */
import fs from 'node:fs';
import path from 'node:path';
import {
  buildRecord,
  Codec,
  DirectoryBackend,
  type HealTools,
  makeParity,
  packName,
  parityName,
  RecordKind,
  shapeOf,
} from '../../src/store/index.js';
import { nodeSystem, type Random, type System } from '../../src/system/index.js';
import { noise } from './tree.js';

export const PACK: string = packName(1);
export const PARITY: string = parityName(PACK);

/** Returns a pack of records of different sizes, with at least `bytes` bytes. */
export function packBytes(seed: number, bytes: number): Buffer {
  const records: Buffer[] = [];
  for (let sum = 0, at = 0; sum < bytes; at += 1) {
    const body = noise(seed * 1000 + at, 700 + ((at * 5077) % 30_000));
    const header = { kind: RecordKind.content, codec: Codec.none, rawBytes: body.length };
    records.push(buildRecord(header, Buffer.from('index'), body));
    sum += records.at(-1)!.length;
  }
  return Buffer.concat(records);
}

export interface Protected {
  readonly directory: string;
  readonly tools: HealTools;
  readonly file: string;
  readonly parityFile: string;
  readonly bytes: Buffer;
  readonly parity: Buffer;
}

/** Writes a pack and its parity. */
export async function protectedPack(
  directory: string,
  bytes: Buffer,
  percent = 3,
  system: System = nodeSystem(),
): Promise<Protected> {
  const file = path.join(directory, PACK);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, bytes);
  const backend = new DirectoryBackend(directory, system.files);
  const breathe = (): undefined => undefined;
  const tools = { backend, math: system.native, breathe };
  await makeParity(backend, system.native, PACK, { coveredBytes: bytes.length, percent, breathe });
  const parityFile = path.join(directory, PARITY);
  return { directory, tools, file, parityFile, bytes, parity: fs.readFileSync(parityFile) };
}

/** Kinds of damage that stay within the budget of parity. */
export const DAMAGES = ['bit', 'sector', 'burst', 'zeros', 'tail', 'scattered', 'both'] as const;

/** Returns a damaged copy of a pack and of its parity, within the budget. */
export function damaged(
  { bytes, parity }: Protected,
  kind: (typeof DAMAGES)[number],
  random: Random,
): { bytes: Buffer; parity: Buffer } {
  const { blockBytes, blocks, stretches } = shapeOf(bytes.length, 3);
  const { columns, rows } = stretches[0]!;
  const copy = Buffer.from(bytes);
  const otherParity = Buffer.from(parity);
  const below = (most: number): number => random.bytes(6).readUIntBE(0, 6) % most;
  const spoil = (at: number, length: number): void => {
    for (let byte = at; byte < Math.min(at + length, copy.length); byte += 1) {
      copy[byte]! ^= 1 + below(255);
    }
  };
  const block = below(blocks);
  // A run of these bytes touches as many blocks as parity restores, wherever it begins.
  const burstBytes = (rows * columns - 1) * blockBytes + 1;
  switch (kind) {
    case 'bit':
      copy[below(copy.length)]! ^= 1 << below(8);
      break;
    case 'sector':
      spoil(block * blockBytes, blockBytes);
      break;
    case 'burst':
      spoil(below(copy.length), 1 + below(burstBytes));
      break;
    case 'zeros':
      copy.subarray(block * blockBytes, (block + 1 + below(rows * columns)) * blockBytes).fill(0);
      break;
    case 'tail':
      return { bytes: copy.subarray(0, copy.length - 1 - below(burstBytes)), parity: otherParity };
    case 'scattered':
      for (let column = 0; column < columns; column += 1) {
        for (let one = 0; one < rows; one += 1) {
          const shard = below(Math.ceil((blocks - column) / columns));
          const at = (shard * columns + column) * blockBytes + below(blockBytes);
          spoil(Math.min(at, copy.length - 1), 1);
        }
      }
      break;
    case 'both': {
      // A run of damage in the parity file, which takes one copy of head and table at most, or one row.
      copy[below(copy.length)]! ^= 1 << below(8);
      const at = below(otherParity.length - 1);
      const length = Math.min(1 + below(blockBytes), otherParity.length - at);
      if (rows > 1) random.bytes(length).copy(otherParity, at);
      else otherParity.fill(0, 0, 32);
      break;
    }
  }
  return { bytes: copy, parity: otherParity };
}
