/** Messages in both directions: the envelope, msgpack heads, and the checks of their fields. */
import { TardisError } from '../../../src/errors/index.js';
import {
  decodeMessage,
  encodeMessage,
  type MessageName,
  type MessageRow,
  MESSAGES,
  peekMessage,
  type PlainKind,
} from '../../../src/transport/index.js';
import { valueOfKind, valuesOfFields } from '../../helpers/field-values.js';
import { attempt, must, type Random, type Target } from '../engine/target.js';

const CODES = ['PROTOCOL_VIOLATION', 'MESSAGE_TOO_LARGE'] as const;
const NAMES = Object.keys(MESSAGES) as MessageName[];
const ENVELOPE_BYTES = 8;

/** Returns a random value of a plain kind. */
function valueOf(kind: PlainKind, random: Random): unknown {
  const below = (end: number): number => Math.floor(random.next() * end);
  const number = (): number => below(2 ** below(54));
  const list = (make: () => unknown): unknown[] => Array.from({ length: below(4) }, make);
  switch (kind) {
    case 'uint':
      return number();
    case 'int':
      return number() * (random.next() < 0.5 ? -1 : 1);
    case 'number':
      return number() / 4;
    case 'text':
    case 'line':
      return random.next() < 0.1 ? 'long '.repeat(70) : 'text/\u00e9'.slice(below(6));
    case 'bytes':
      return random.bytes(below(40));
    case 'bool':
      return random.next() < 0.5;
    case 'uints':
      return list(number);
    case 'ints':
      return list(() => -number());
    case 'texts':
      return list(() => 'text'.slice(below(4)));
    case 'byteses':
      return list(() => random.bytes(below(20)));
    case 'counts':
      return { files: number(), name: 'x', good: true };
    case 'figures':
      return { files: number(), ratio: 0.5 };
  }
}

function seedOf(name: MessageName, random: Random, compress: boolean): Buffer {
  const row: MessageRow = MESSAGES[name];
  const head = valuesOfFields(row.fields, (kind) =>
    valueOfKind(
      kind,
      (plain) => valueOf(plain, random),
      (limit) => Math.floor(random.next() * limit),
    ),
  );
  const attachment = row.hasAttachment ? random.bytes(20) : undefined;
  const message = encodeMessage(name, head, attachment, compress);
  return Buffer.concat([message.head, message.attachment ?? Buffer.alloc(0)]);
}

function read(data: Buffer): string {
  const direction = data.length > 0 && data.length % 2 === 0 ? 'to-server' : 'to-client';
  const other = direction === 'to-server' ? 'to-client' : 'to-server';
  let name: MessageName;
  try {
    name = peekMessage(data, direction);
  } catch (error) {
    if (!(error instanceof TardisError)) throw error;
    name = peekMessage(data, other);
  }
  const { head, attachment } = decodeMessage(name, data);
  const again = encodeMessage(name, head, attachment);
  const decoded = decodeMessage(name, Buffer.concat([again.head, attachment]));
  const third = encodeMessage(name, decoded.head, attachment);
  must(third.head.equals(again.head), 'a message that was decoded and encoded is another one');
  return name;
}

export const target: Target = {
  about: 'messages of the protocol: refused as such, or the same when encoded and decoded again',
  seeds: (random) =>
    NAMES.flatMap((name) => [seedOf(name, random, false), seedOf(name, random, true)]),
  fuzz: (data) => attempt(CODES, () => read(data)),
  tokens: [
    Buffer.from([0xdd, 0x01, 0xff, 0xff, 0xff]),
    Buffer.from([0xdf, 0x01, 0xff, 0xff, 0xff]),
    Buffer.from([0xc6, 0x7f, 0xff, 0xff, 0xff]),
    Buffer.from([0xc7, 0x08, 0xff]),
    Buffer.from([0xd4, 0x72, 0x40]),
    Buffer.from([0xcf, 0x00, 0x20, 0, 0, 0, 0, 0, 0]),
    Buffer.from([0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]),
    Buffer.from([0xdb, 0x00, 0x00, 0x00, 0x01]),
    '__proto__',
    'constructor',
  ],
  // Corrects the length of the head, which is most often wrong after a mutation.
  repair: (data, random) => {
    if (data.length < ENVELOPE_BYTES) return data;
    const { hasAttachment } = (Object.values(MESSAGES) as MessageRow[]).find(
      ({ number }) => number === data[0],
    ) ?? { hasAttachment: false };
    const headBytes = data.length - ENVELOPE_BYTES;
    data.writeUInt32LE(hasAttachment ? Math.floor(random.next() * headBytes) : headBytes, 4);
    return data;
  },
};
