/**
 * Encoding of messages: `u8 number, u8 flags, u16 0, u32 head length, head (msgpack map), attachment`. Flag 1 means
 * that the head is compressed by snappy. The sender chooses; the default is off, since it pays only on slow links.
 * The attachment is never compressed or copied here. Everything that is decoded is untrusted until it is checked.
 */
import { createHash } from 'node:crypto';
import { protocolViolation, TardisError } from '../errors/index.js';
import { bufferOf } from '../model/index.js';
import { loadSnappy, unpackSnappy } from '../system/index.js';
import { plainPackr, TEMPORARY } from '../system/msgpack/index.js';
import { checked, sendableMap, WRONG } from './field-values.js';
import type { MessageRow } from './message-row.js';
import { type Head, type MessageName, MESSAGES } from './messages.js';

export const ENVELOPE_BYTES = 8;
const FLAG_SNAPPY = 1;
/** Heads shorter than this are not compressed. */
const SNAPPY_MIN_BYTES = 256;

const packr = plainPackr();

const NAMES_BY_NUMBER = new Map<number, MessageName>(
  Object.entries(MESSAGES).map(([name, row]) => [row.number, name as MessageName]),
);

/** Messages with structured fields. Only the heads of these are rebuilt before they are encoded. */
const STRUCTURED: ReadonlySet<MessageName> = new Set(
  [...NAMES_BY_NUMBER.values()].filter((name) =>
    Object.values<unknown>(MESSAGES[name].fields).some((kind) => typeof kind !== 'string'),
  ),
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
  const { number, fields }: MessageRow = MESSAGES[name];
  const fieldMap: unknown = STRUCTURED.has(name) ? sendableMap(head, fields) : head;
  let body: Buffer = packr.pack(fieldMap, TEMPORARY);
  let flags = 0;
  if (compress && body.length >= SNAPPY_MIN_BYTES) {
    const packed = loadSnappy().compressSync(body, { copyOutputData: true });
    if (packed.length < body.length) {
      body = packed;
      flags = FLAG_SNAPPY;
    }
  }
  const message = Buffer.allocUnsafe(ENVELOPE_BYTES + body.length);
  message[0] = number;
  message[1] = flags;
  message.writeUInt16LE(0, 2);
  message.writeUInt32LE(body.length, 4);
  body.copy(message, ENVELOPE_BYTES);
  const bytes = message.length + (attachment?.length ?? 0);
  return { head: message, attachment, bytes };
}

/**
 * Returns the name of a message without decoding the message. Throws PROTOCOL_VIOLATION if its number is unknown or
 * belongs to the other direction, and MESSAGE_TOO_LARGE if it is longer than its row allows.
 */
export function peekMessage(bytes: Uint8Array, direction: MessageRow['direction']): MessageName {
  const name = bytes.length < ENVELOPE_BYTES ? undefined : NAMES_BY_NUMBER.get(bytes[0]!);
  if (name === undefined || MESSAGES[name].direction !== direction) {
    throw protocolViolation('a message has an unknown number');
  }
  if (bytes.length > MESSAGES[name].maxBytes) {
    throw new TardisError('MESSAGE_TOO_LARGE', `a message "${name}" of ${bytes.length} bytes`);
  }
  return name;
}

interface DecodedMessage<N extends MessageName> {
  readonly head: Head<N>;
  readonly attachment: Buffer;
}

/**
 * Decodes a message whose name is already known. Throws PROTOCOL_VIOLATION if it is malformed, or a field has another
 * kind than in its row.
 */
export function decodeMessage<N extends MessageName>(
  name: N,
  bytes: Uint8Array,
): DecodedMessage<N> {
  const buffer = bufferOf(bytes);
  const row: MessageRow = MESSAGES[name];
  const headEnd = ENVELOPE_BYTES + buffer.readUInt32LE(4);
  if (headEnd > buffer.length || (!row.hasAttachment && headEnd !== buffer.length)) {
    throw violation(name, 'has a wrong length');
  }
  let unpacked: unknown;
  try {
    const body = buffer.subarray(ENVELOPE_BYTES, headEnd);
    const isPlain = (buffer[1]! & FLAG_SNAPPY) === 0;
    unpacked = packr.unpack(isPlain ? body : unpackSnappy(body, { mostBytes: row.maxBytes }));
  } catch (error) {
    throw protocolViolation(`a message "${name}" cannot be decoded`, {}, error);
  }
  if (typeof unpacked !== 'object' || unpacked === null) throw violation(name, 'has no head');
  const head = unpacked as Record<string, unknown>;
  for (const [field, kind] of Object.entries(row.fields)) {
    const value = checked(head[field], kind);
    if (value === WRONG) throw violation(name, `has a wrong field "${field}"`);
    if (typeof kind !== 'string' && value !== undefined) head[field] = value;
  }
  return { head: head as Head<N>, attachment: buffer.subarray(headEnd) };
}

function violation(name: MessageName, what: string): TardisError {
  return protocolViolation(`a message "${name}" ${what}`);
}

/**
 * Returns the SHA-256 of all fields of the answer to `openSet`, by which a server detects that it was changed on the way
 * to the client.
 */
export function openedDigest(opened: Head<'setOpened'>): Buffer {
  return createHash('sha256').update(encodeMessage('setOpened', opened).head).digest();
}
