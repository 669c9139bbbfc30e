/**
 * Encoding of messages: `u8 number, u8 flags, u16 0, u32 head length, head (msgpack map), attachment`. Flag 1 means
 * that the head is compressed by snappy. The sender chooses; the default is off, since it pays only on slow links.
 * The attachment is never compressed or copied here. Everything that is decoded is untrusted until it is checked.
 */
import { TardisError } from '../errors/index.js';
import { plainPackr } from '../system/msgpack/index.js';
import { loadSnappy } from '../system/index.js';
import type { FieldKind, MessageRow } from './message-row.js';
import { type Head, type MessageName, MESSAGES } from './messages.js';

export const ENVELOPE_BYTES = 8;
const FLAG_SNAPPY = 1;
/** Heads shorter than this are not compressed. */
const SNAPPY_MIN_BYTES = 256;
const MAX_LIST_ITEMS = 1 << 20;
const MAX_COUNTS = 64;

const packr = plainPackr();

const NAMES_BY_NUMBER = new Map<number, MessageName>(
  Object.entries(MESSAGES).map(([name, row]) => [row.number, name as MessageName]),
);

export interface EncodedMessage {
  readonly head: Buffer;
  readonly attachment: Uint8Array | undefined;
  /** Length of head and attachment together. */
  readonly bytes: number;
}

/** Encodes a message; the attachment is passed on unchanged. */
export function encodeMessage<N extends MessageName>(
  name: N,
  head: Head<N>,
  attachment?: Uint8Array,
  compress = false,
): EncodedMessage {
  let body: Buffer = packr.pack(head);
  let flags = 0;
  if (compress && body.length >= SNAPPY_MIN_BYTES) {
    const packed = loadSnappy().compressSync(body, { copyOutputData: true });
    if (packed.length < body.length) {
      body = packed;
      flags = FLAG_SNAPPY;
    }
  }
  const message = Buffer.allocUnsafe(ENVELOPE_BYTES + body.length);
  message[0] = MESSAGES[name].number;
  message[1] = flags;
  message.writeUInt16LE(0, 2);
  message.writeUInt32LE(body.length, 4);
  body.copy(message, ENVELOPE_BYTES);
  const bytes = message.length + (attachment?.length ?? 0);
  return { head: message, attachment, bytes };
}

/**
 * Returns the name of a message after checking its length and direction, without decoding it. Throws
 * PROTOCOL_VIOLATION, MESSAGE_TOO_LARGE.
 */
export function peekMessage(bytes: Uint8Array, direction: MessageRow['direction']): MessageName {
  const name = bytes.length < ENVELOPE_BYTES ? undefined : NAMES_BY_NUMBER.get(bytes[0]!);
  if (name === undefined || MESSAGES[name].direction !== direction) {
    throw new TardisError('PROTOCOL_VIOLATION', 'a message has an unknown number');
  }
  if (bytes.length > MESSAGES[name].maxBytes) {
    throw new TardisError('MESSAGE_TOO_LARGE', `a message "${name}" of ${bytes.length} bytes`);
  }
  return name;
}

export interface DecodedMessage<N extends MessageName> {
  readonly head: Head<N>;
  readonly attachment: Buffer;
}

/** Decodes and checks a message whose name is already known. Throws PROTOCOL_VIOLATION. */
export function decodeMessage<N extends MessageName>(
  name: N,
  bytes: Uint8Array,
): DecodedMessage<N> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const row: MessageRow = MESSAGES[name];
  const headEnd = ENVELOPE_BYTES + buffer.readUInt32LE(4);
  if (headEnd > buffer.length || (!row.hasAttachment && headEnd !== buffer.length)) {
    throw violation(name, 'has a wrong length');
  }
  let head: unknown;
  try {
    const body = buffer.subarray(ENVELOPE_BYTES, headEnd);
    head = packr.unpack((buffer[1]! & FLAG_SNAPPY) === 0 ? body : inflateHead(body, row.maxBytes));
  } catch (error) {
    throw new TardisError('PROTOCOL_VIOLATION', `a message "${name}" cannot be decoded`, {}, error);
  }
  if (typeof head !== 'object' || head === null) throw violation(name, 'has no head');
  for (const [field, kind] of Object.entries(row.fields)) {
    if (!isOfKind((head as Record<string, unknown>)[field], kind)) {
      throw violation(name, `has a wrong field "${field}"`);
    }
  }
  return { head: head as Head<N>, attachment: buffer.subarray(headEnd) };
}

function violation(name: MessageName, what: string): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', `a message "${name}" ${what}`);
}

function isUint(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isListOf(value: unknown, is: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= MAX_LIST_ITEMS && value.every(is);
}

function isOfKind(value: unknown, kind: FieldKind): boolean {
  switch (kind) {
    case 'uint':
      return isUint(value);
    case 'int':
      return Number.isSafeInteger(value);
    case 'text':
      return typeof value === 'string';
    case 'bytes':
      return Buffer.isBuffer(value);
    case 'bool':
      return typeof value === 'boolean';
    case 'uints':
      return isListOf(value, isUint);
    case 'ints':
      return isListOf(value, Number.isSafeInteger);
    case 'texts':
      return isListOf(value, (item) => typeof item === 'string');
    case 'byteses':
      return isListOf(value, (item) => Buffer.isBuffer(item));
    case 'counts':
      return isCounts(value);
  }
}

function isCounts(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const items = Object.values(value);
  return (
    items.length <= MAX_COUNTS &&
    items.every((item) => ['number', 'string', 'boolean'].includes(typeof item))
  );
}

/** Decompresses a head after checking its claimed length, a varint at its start. */
function inflateHead(body: Buffer, maxBytes: number): Buffer {
  let claimed = 0;
  for (let at = 0; at < 5; at += 1) {
    const byte = body[at] ?? 0;
    claimed += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) break;
  }
  if (claimed > maxBytes) throw new Error('a compressed head is too large');
  return loadSnappy().uncompressSync(body, { asBuffer: true, copyOutputData: true }) as Buffer;
}
