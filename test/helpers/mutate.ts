/** Mutates messages as an attacker would: some are almost right, some are not at all. */
import { Packr } from 'msgpackr';
import { ENVELOPE_BYTES } from '../../src/transport/index.js';
import type { seededRandom } from '../support/seeded-random.js';

type Random = ReturnType<typeof seededRandom>;

const packr = new Packr({ useRecords: false, mapsAsObjects: true });
const EXTREMES = [0, 1, -1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 2 ** 53 - 1, 2 ** 60];

/** Returns a changed copy of an encoded message. */
export function mutated(message: Buffer, random: Random): Buffer {
  const kind = Math.floor(random.next() * 8);
  return kind < 4 ? otherHead(message, random) : otherBytes(message, kind, random);
}

function below(random: Random, end: number): number {
  return Math.floor(random.next() * end);
}

function otherBytes(message: Buffer, kind: number, random: Random): Buffer {
  const copy = Buffer.from(message);
  const at = below(random, copy.length);
  switch (kind) {
    case 4:
      for (let flips = 1 + below(random, 4); flips > 0; flips -= 1) {
        copy[below(random, copy.length)]! ^= 1 << below(random, 8);
      }
      return copy;
    case 5:
      return copy.subarray(0, at);
    case 6:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(below(random, copy.length))]);
    default:
      copy.fill(below(random, 2) * 0xff, at, Math.min(copy.length, at + 1 + below(random, 64)));
      return copy;
  }
}

/** Returns the message with one field of its head changed, so that it still passes the envelope's checks. */
function otherHead(message: Buffer, random: Random): Buffer {
  const headBytes = message.readUInt32LE(4);
  const head = packr.unpack(message.subarray(ENVELOPE_BYTES, ENVELOPE_BYTES + headBytes)) as Record<
    string,
    unknown
  >;
  const names = Object.keys(head);
  if (names.length === 0) return otherBytes(message, 4, random);
  const name = names[below(random, names.length)]!;
  head[name] = otherValue(head[name], random);
  const packed = packr.pack(head);
  const envelope = Buffer.from(message.subarray(0, ENVELOPE_BYTES));
  envelope.writeUInt32LE(packed.length, 4);
  return Buffer.concat([envelope, packed, message.subarray(ENVELOPE_BYTES + headBytes)]);
}

function otherValue(value: unknown, random: Random): unknown {
  if (typeof value === 'number') return EXTREMES[below(random, EXTREMES.length)];
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') return random.next() < 0.5 ? `${value}/../\0` : 'x'.repeat(5000);
  if (Buffer.isBuffer(value)) return otherBuffer(value, random);
  if (Array.isArray(value)) {
    if (value.length === 0) return [0];
    const list = [...(value as unknown[])];
    const at = below(random, list.length);
    const choice = random.next();
    if (choice < 0.3) list.splice(at, 1);
    else if (choice < 0.5) list.push(list[at]);
    else list[at] = otherValue(list[at], random);
    return list;
  }
  return null;
}

function otherBuffer(value: Buffer, random: Random): Buffer {
  if (value.length === 0) return Buffer.alloc(1 + below(random, 100), 7);
  const copy = Buffer.from(value);
  const at = below(random, copy.length);
  const choice = random.next();
  if (choice < 0.2) return copy.subarray(0, at);
  if (choice < 0.3) return Buffer.concat([copy, copy.subarray(at)]);
  if (choice < 0.6 && copy.length >= 4) {
    const extreme = EXTREMES[below(random, EXTREMES.length)]!;
    copy.writeUInt32LE((Math.abs(extreme) % 2 ** 32) >>> 0, Math.min(at, copy.length - 4));
    return copy;
  }
  copy[at]! ^= 1 << below(random, 8);
  return copy;
}
