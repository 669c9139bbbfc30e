// Pace: slow
import { createRequire } from 'node:module';
import { Packr } from 'msgpackr';
import test from 'ava';
import { seededRandom } from '../support/seeded-random.js';
import {
  decodeMessage,
  ENVELOPE_BYTES,
  encodeMessage,
  type FieldKind,
  type Fields,
  type Head,
  isCopyQuestion,
  type MessageName,
  type MessageRow,
  MESSAGES,
  peekMessage,
  type PlainKind,
} from '../../src/transport/index.js';
import { plainPackr, TEMPORARY } from '../../src/system/msgpack/index.js';
import { thrownCode } from '../helpers/codes.js';
import { valueOfKind, valuesOfFields } from '../helpers/field-values.js';

const packr = new Packr({ useRecords: false });
const snappy = createRequire(import.meta.url)('snappy') as typeof import('snappy');
const ROWS = Object.entries(MESSAGES) as [MessageName, MessageRow][];
const FLAG_SNAPPY = 1;

const RIGHT: Readonly<Record<PlainKind, readonly unknown[]>> = {
  uint: [7, 0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER],
  int: [-7, 0, -(2 ** 40), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  number: [0.5, 0, -7, 2 ** 60],
  line: ['line', '', 'x'.repeat(4096)],
  text: ['text', '', 'ä\0€ \u{1f4be}', 'x'.repeat(300)],
  bytes: [Buffer.from([1, 2, 3]), Buffer.alloc(0), Buffer.alloc(300, 0xff)],
  bool: [true, false],
  uints: [[1, 2, 3], [], [0, 2 ** 40]],
  ints: [[-1, 0, 5], [], [-(2 ** 40)]],
  texts: [['a', ''], [], ['ä']],
  byteses: [[Buffer.from('a'), Buffer.alloc(0)], []],
  counts: [{ files: 1, name: 'x', isTrue: true }, {}, { ratio: 0.5 }],
  figures: [{ files: 1, ratio: 0.5 }, {}],
};

const WRONG: Readonly<Record<PlainKind, readonly unknown[]>> = {
  uint: [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2n ** 64n - 1n, '7', true, [7]],
  int: [0.5, Number.NaN, Number.NEGATIVE_INFINITY, -(2 ** 53), '7', false, [7]],
  number: [Number.NaN, Number.POSITIVE_INFINITY, '7', true, [7]],
  line: [7, Buffer.from('line'), ['line'], 'x'.repeat(4097)],
  text: [7, Buffer.from('text'), ['text'], true, { length: 4 }],
  bytes: ['text', [1, 2], 7, { length: 3 }],
  bool: [0, 1, 'true', [], {}],
  uints: [7, [-1], [1, '2'], [1.5], [null], Buffer.from([1]), { 0: 1, length: 1 }],
  ints: [7, ['1'], [1.5], [2 ** 60], Buffer.from([1])],
  texts: ['a', [1], [Buffer.from('a')], [null]],
  byteses: [Buffer.from('a'), ['a'], [[1]], [null]],
  counts: [[], [1], 7, 'x', { a: [] }, { a: {} }, { a: null }, { a: Buffer.from('x') }],
  figures: [[], [1], 7, 'x', { a: '1' }, { a: true }, { a: Number.NaN }, { a: null }],
};
const NEVER: readonly unknown[] = [null, undefined];

/** Returns the sample-th value of a kind. */
function rightOf(kind: FieldKind, sample: number): unknown {
  return valueOfKind(
    kind,
    (plain) => RIGHT[plain][Math.min(sample, RIGHT[plain].length - 1)],
    (limit) => (sample + 1) % limit,
  );
}

/** Returns values that are not of a kind. */
function wrongOf(kind: FieldKind): readonly unknown[] {
  if (typeof kind === 'string') return WRONG[kind];
  if ('maybe' in kind) return wrongOf(kind.maybe);
  if ('words' in kind) return ['no such word', 7, [...kind.words]];
  if ('listOf' in kind) return [7, 'x', {}, [null], ...wrongOf(kind.listOf).map((item) => [item])];
  if ('fields' in kind) return [7, 'x', [], null, ...wrongMaps(kind.fields, {})];
  const cases = Object.entries(kind.cases);
  return [
    7,
    'x',
    [],
    {},
    { [kind.tag]: 'no such case' },
    { [kind.tag]: 'constructor' },
    ...cases.flatMap(([name, fields]) => wrongMaps(fields, { [kind.tag]: name })),
  ];
}

/** Returns maps of which one field is wrong or missing. */
function wrongMaps(fields: Fields, more: object): readonly unknown[] {
  const right = { ...more, ...valuesOfFields(fields, (kind) => rightOf(kind, 0)) };
  return Object.entries(fields).flatMap(([field, kind]) => {
    const { [field]: _left, ...others } = right as Record<string, unknown>;
    const isNeeded = typeof kind === 'string' || !('maybe' in kind);
    const wrong = wrongOf(kind).map((value) => ({ ...right, [field]: value }));
    return isNeeded ? [...wrong, others] : wrong;
  });
}

/** Returns the sample-th head of a message; later samples repeat the last values of its fields. */
function headOf(name: MessageName, sample = 0): Record<string, unknown> {
  return valuesOfFields(MESSAGES[name].fields, (kind) => rightOf(kind, sample));
}

const ATTACHMENT = Buffer.from('attachment');

function encoded(
  name: MessageName,
  head: Record<string, unknown> = headOf(name),
  compress = false,
): Buffer {
  const attachment = MESSAGES[name].hasAttachment ? ATTACHMENT : undefined;
  const message = encodeMessage(name, head, attachment, compress);
  const bytes = Buffer.concat([message.head, message.attachment ?? Buffer.alloc(0)]);
  if (bytes.length !== message.bytes) throw new Error('a wrong length is told');
  return bytes;
}

/** Returns a message around a head that was encoded in another way. */
function around(name: MessageName, head: Buffer, flags = 0): Buffer {
  const envelope = Buffer.alloc(ENVELOPE_BYTES);
  envelope[0] = MESSAGES[name].number;
  envelope[1] = flags;
  envelope.writeUInt32LE(head.length, 4);
  return Buffer.concat([envelope, head]);
}

/** Decodes a message as a receiver does. */
function receive(bytes: Uint8Array, direction: MessageRow['direction']): unknown {
  const name = peekMessage(bytes, direction);
  return decodeMessage(name, bytes);
}

function codeOf(name: MessageName, bytes: Uint8Array): string | undefined {
  return thrownCode(() => receive(bytes, MESSAGES[name].direction));
}

test('every message comes back as it was sent, compressed or not', (t) => {
  for (const [name, { direction, hasAttachment }] of ROWS) {
    for (let sample = 0; sample < 5; sample += 1) {
      for (const compress of [false, true]) {
        const head = headOf(name, sample);
        const bytes = encoded(name, head, compress);
        t.is(peekMessage(bytes, direction), name);
        const decoded = decodeMessage(name, bytes);
        t.deepEqual({ ...decoded.head } as Record<string, unknown>, head, name);
        t.deepEqual(decoded.attachment, hasAttachment ? ATTACHMENT : Buffer.alloc(0));
      }
    }
  }
});

test('a large head is sent compressed when that is requested and pays', (t) => {
  const head = { slots: Array.from({ length: 5000 }, () => 7), settled: Buffer.alloc(5000) };
  const [plain, packed] = [encoded('done', head), encoded('done', head, true)];
  t.is(plain[1], 0);
  t.is(packed[1], FLAG_SNAPPY);
  t.true(packed.length < plain.length / 4);
  const noise = { question: 1, digests: seededRandom(1).bytes(4000) };
  t.is(encoded('digests', noise, true)[1], 0);
});

test('a field that is missing or of a wrong kind is a violation', (t) => {
  let tried = 0;
  for (const [name, { fields }] of ROWS) {
    t.is(codeOf(name, encoded(name)), undefined);
    for (const [field, kind] of Object.entries<FieldKind>(fields)) {
      const head = headOf(name);
      const isNeeded = typeof kind === 'string' || !('maybe' in kind);
      for (const wrong of [...wrongOf(kind), ...(isNeeded ? NEVER : [null])]) {
        tried += 1;
        const bytes = around(name, packr.pack({ ...head, [field]: wrong }));
        t.is(codeOf(name, bytes), 'PROTOCOL_VIOLATION', `${name}.${field} ${String(wrong)}`);
      }
      const { [field]: _left, ...others } = head;
      const code = codeOf(name, around(name, packr.pack(others)));
      t.is(code, isNeeded ? 'PROTOCOL_VIOLATION' : undefined, `${name} without ${field}`);
    }
  }
  t.true(tried > 400, `${tried}`);
});

test('too many counts are refused', (t) => {
  const counts = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`key ${at}`, at]));
  const head = (count: number) => ({
    stats: counts(count),
    runs: [],
    seal: Buffer.alloc(0),
    opened: Buffer.alloc(0),
    purge: false,
    waits: false,
  });
  t.is(codeOf('closeSet', encoded('closeSet', head(64))), undefined);
  t.is(codeOf('closeSet', encoded('closeSet', head(65))), 'PROTOCOL_VIOLATION');
});

test('a message that is cut at any length is a violation', (t) => {
  for (const [name, { hasAttachment }] of ROWS) {
    for (const compress of [false, true]) {
      const bytes = encoded(name, headOf(name, 3), compress);
      const headEnd = ENVELOPE_BYTES + bytes.readUInt32LE(4);
      // A truncated attachment cannot be detected here: its contents have lengths of their own.
      const end = hasAttachment ? headEnd : bytes.length;
      for (let length = 0; length < end; length += 1) {
        const code = codeOf(name, bytes.subarray(0, length));
        if (code !== 'PROTOCOL_VIOLATION') t.fail(`${name} cut at ${length}: ${code}`);
      }
      if (!hasAttachment) {
        const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
        t.is(codeOf(name, longer), 'PROTOCOL_VIOLATION', `${name} goes on`);
      }
    }
  }
  t.pass();
});

test('a message is taken in its direction only, an unknown number in none', (t) => {
  const others = { 'to-server': 'to-client', 'to-client': 'to-server' } as const;
  for (const [name, { direction }] of ROWS) {
    const bytes = encoded(name);
    t.is(
      thrownCode(() => receive(bytes, others[direction])),
      'PROTOCOL_VIOLATION',
      name,
    );
  }
  const numbers = new Set(ROWS.map(([, { number }]) => number));
  for (let number = 0; number < 256; number += 1) {
    if (numbers.has(number)) continue;
    const bytes = encoded('hello');
    bytes[0] = number;
    for (const direction of ['to-server', 'to-client'] as const) {
      const code = thrownCode(() => receive(bytes, direction));
      t.is(code, 'PROTOCOL_VIOLATION', `${number}`);
    }
  }
});

test('a message may be as large as its row allows, and not larger', (t) => {
  for (const [name, { direction, maxBytes }] of ROWS) {
    const bytes = Buffer.alloc(maxBytes + 1);
    bytes[0] = MESSAGES[name].number;
    t.is(peekMessage(bytes.subarray(0, maxBytes), direction), name);
    const code = thrownCode(() => peekMessage(bytes, direction));
    t.is(code, 'MESSAGE_TOO_LARGE', name);
  }
});

test('a head that is no map of fields is a violation', (t) => {
  const heads = [
    ...[null, 7, 'text', [], true].map((value) => packr.pack(value)),
    Buffer.alloc(0),
    Buffer.from([0xc1]),
    Buffer.from([0xdf, 0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0xdd, 0x01, 0xc9, 0xc3, 0x80]),
    Buffer.alloc(2000, 0x91),
    Buffer.alloc(2000, 0x81),
  ];
  for (const head of heads) {
    const code = codeOf('hello', around('hello', head));
    t.is(code, 'PROTOCOL_VIOLATION', head.subarray(0, 6).toString('hex'));
  }
  const deep = around('parcel', Buffer.alloc(1 << 20, 0x91));
  t.is(codeOf('parcel', deep), 'PROTOCOL_VIOLATION');
});

test('a compressed head that lies about its length is refused before it is believed', (t) => {
  const honest = snappy.compressSync(packr.pack(headOf('hello')));
  const lies: [string, Buffer][] = [
    ['4 GiB', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])],
    ['no end', Buffer.alloc(20, 0xff)],
    ['more than a hello may have', Buffer.from([0x81, 0x20])], // 4097
    ['less than there is', Buffer.from([0x01])],
    ['nothing', Buffer.from([0x00])],
  ];
  const before = process.memoryUsage().arrayBuffers;
  for (const [what, lie] of lies) {
    const head = Buffer.concat([lie, honest.subarray(1)]);
    t.is(codeOf('hello', around('hello', head, FLAG_SNAPPY)), 'PROTOCOL_VIOLATION', what);
  }
  t.true(process.memoryUsage().arrayBuffers - before < 16 << 20);
  t.is(codeOf('hello', around('hello', honest, FLAG_SNAPPY)), undefined);
  for (const head of [Buffer.alloc(0), packr.pack(headOf('hello'))]) {
    t.is(codeOf('hello', around('hello', head, FLAG_SNAPPY)), 'PROTOCOL_VIOLATION');
  }
  // The head is valid and small enough for a hello, but it decodes to a size that is not.
  const bomb = packr.pack({ ...headOf('hello'), client: 'x'.repeat(60_000) });
  const bytes = around('hello', snappy.compressSync(bomb), FLAG_SNAPPY);
  t.true(bytes.length < MESSAGES.hello.maxBytes);
  t.is(codeOf('hello', bytes), 'PROTOCOL_VIOLATION');
});

test('the table gives each message a number, a bound and a right of its own', (t) => {
  const numbers = ROWS.map(([, { number }]) => number);
  t.is(new Set(numbers).size, numbers.length);
  for (const [name, { number, direction, right, beforeLogin, maxBytes }] of ROWS) {
    t.true(number >= 1 && number <= 191, name);
    const isAnswer =
      (number >= 64 && number <= 95) ||
      (number >= 128 && number % 2 === 1) ||
      [
        'loginChallenge',
        'tokenTaken',
        'elsewhere',
        'keysSet',
        'basis',
        'signature',
        'sought',
      ].includes(name);
    t.is(direction === 'to-client', isAnswer, name);
    t.true(maxBytes <= 16 << 20, name);
    const logins = ['loginChallenge', 'loginProof', 'loginToken', 'tokenTaken'];
    const early = ['hello', 'welcome', 'elsewhere', 'error', ...logins];
    t.is(beforeLogin, early.includes(name), name);
    const needsRight = direction === 'to-server' && !beforeLogin && name !== 'acknowledge';
    if (needsRight) t.not(right, undefined, name);
  }
});

test('extensions of MessagePack are refused wherever they stand', (t) => {
  const rich = new Packr({ useRecords: false, moreTypes: true, structuredClone: true });
  const values = [new Date(0), new Set([1]), /x/, new Error('x'), new Float64Array(1)];
  for (const value of values) {
    const body = rich.pack({ ticket: Buffer.alloc(16), upTo: 1, more: value });
    const head = Buffer.alloc(ENVELOPE_BYTES);
    head[0] = MESSAGES.acknowledge.number;
    head.writeUInt32LE(body.length, 4);
    const message = Buffer.concat([head, body]);
    t.is(
      thrownCode(() => decodeMessage('acknowledge', message)),
      'PROTOCOL_VIOLATION',
    );
  }
});

test('each question names its answer, and each answer of a reader belongs to a question', (t) => {
  const named = new Set(ROWS.map(([, { answer }]) => answer));
  for (const [name, { direction, part, answer }] of ROWS) {
    if (answer !== undefined) {
      const row: MessageRow | undefined = MESSAGES[answer as MessageName];
      // A server that copies from its peer sends questions, all others are those of the client.
      const [from, to] = isCopyQuestion(name)
        ? (['to-client', 'to-server'] as const)
        : (['to-server', 'to-client'] as const);
      t.deepEqual([row?.direction, row?.part, direction], [to, part, from], name);
    }
    const isAnswer = part === 'reading' && direction === 'to-client' && name !== 'questionFailed';
    if (isAnswer) t.true(named.has(name), name);
  }
});

test('fields that the table does not list are neither sent nor taken', (t) => {
  const set = { ...(headOf('setsAre', 0)['sets'] as object[])[0], more: 'of it' };
  const reported = { question: 1, sets: [set] } as unknown as Head<'setsAre'>;
  const { head: bytes } = encodeMessage('setsAre', reported);
  t.false(bytes.includes('of it'));
  const foreign = around('setsAre', packr.pack(reported));
  t.true(foreign.includes('of it'));
  t.false('more' in decodeMessage('setsAre', foreign).head.sets[0]!);
});

test('temporary encodings share one piece of memory', (t) => {
  const encoder = plainPackr();
  const { buffer, byteOffset } = encoder.pack({ rows: Buffer.alloc(400_000, 1) }, TEMPORARY);
  for (const length of [300_000, 10, 400_000]) {
    const encoded = encoder.pack({ rows: Buffer.alloc(length, 2) }, TEMPORARY);
    t.is(encoded.buffer, buffer);
    t.is(encoded.byteOffset, byteOffset);
    t.is(encoded.at(-1), 2);
  }
  const kept = encoder.pack({ rows: Buffer.alloc(10, 3) });
  encoder.pack({ rows: Buffer.alloc(10, 4) }, TEMPORARY);
  t.is(kept.at(-1), 3, 'other encodings keep their bytes');
});

test('encoding a message leaves no memory but that of the message', (t) => {
  const rows = Buffer.alloc(400_000, 1);
  const head = { slot: 1, last: false };
  let bytes = 0;
  encodeMessage('listing', { ...head, rows });
  const before = process.memoryUsage().arrayBuffers;
  for (let count = 0; count < 40; count += 1) {
    bytes += encodeMessage('listing', { ...head, rows: rows.subarray(0, 100_000) }).bytes;
  }
  t.true(process.memoryUsage().arrayBuffers - before < 1.5 * bytes);
});
