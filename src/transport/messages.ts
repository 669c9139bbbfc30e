/**
 * The protocol as one table: number, name, direction, the right a message needs, its largest size,
 * and whether it may come before login. The dispatcher, the codec and docs/protocol.md all follow it
 * (a test compares the document). Numbers are never reused.
 *
 * Ranges: 1–15 session, 16–47 backup, 48–63 reading, 64–79 answers to backups, 80–95 to readers,
 * 96–111 login, 112–127 signatures and deltas, 128–143 changes of sets, 144–159 reports and kept settings.
 */
import { KIB, type MessageRow, MIB, toClient, toServer } from './message-row.js';
import { READING_MESSAGES } from './reading-messages.js';
import { REPORT_MESSAGES } from './report-messages.js';

export const PROTOCOL_VERSION = 1;

export const MESSAGES = {
  // session
  hello: toServer(
    1,
    undefined,
    4 * KIB,
    {
      protocol: 'uint',
      software: 'text',
      client: 'text',
      account: 'text',
      create: 'bool',
      purpose: 'text',
      keys: 'bytes',
      ticket: 'bytes',
      upTo: 'uint',
    },
    { beforeLogin: true },
  ),
  openSet: toServer(2, 'add', 4 * MIB, {
    name: 'text',
    clientTimeMs: 'int',
    paths: 'byteses',
    rows: 'bytes',
    devices: 'texts',
    empties: 'bytes',
    trust: 'bool',
    full: 'bool',
    priority: 'int',
    expendable: 'bool',
    tags: 'texts',
  }),
  closeSet: toServer(3, 'add', 4 * KIB, { stats: 'counts', seal: 'bytes', purge: 'bool' }),
  /** Counted by neither end: it is of the connection, not of the session. */
  acknowledge: toServer(4, undefined, KIB, { ticket: 'bytes', upTo: 'uint' }),
  /** What the client is set to, in its own words; of the set that is open. */
  configuration: toServer(5, 'add', 64 * KIB, { config: 'text' }),
  // backup
  heads: toServer(16, 'add', 4 * MIB, {
    ask: 'bool',
    slots: 'uints',
    parents: 'ints',
    rows: 'bytes',
    hashes: 'bytes',
  }),
  listing: toServer(17, 'add', 8 * MIB, { slot: 'uint', last: 'bool', rows: 'bytes' }),
  parcel: toServer(
    18,
    'add',
    16 * MIB,
    { slots: 'uints', lengths: 'uints', rows: 'bytes', records: 'uints' },
    { hasAttachment: true },
  ),
  done: toServer(19, 'add', MIB, { slots: 'uints', settled: 'bytes', seals: 'bytes' }),
  notes: toServer(20, 'add', 4 * MIB, {
    slots: 'ints',
    names: 'byteses',
    whats: 'texts',
    reasons: 'texts',
  }),
  ask: toServer(21, 'add', 4 * MIB, { ask: 'uint', digests: 'bytes', promise: 'bool' }),
  streamOpen: toServer(22, 'add', KIB, {
    stream: 'uint',
    isPart: 'bool',
    codec: 'uint',
    fileSizeBytes: 'uint',
    cipher: 'bytes',
  }),
  streamChunk: toServer(23, 'add', 4 * MIB, { stream: 'uint' }, { hasAttachment: true }),
  streamEnd: toServer(24, 'add', KIB, {
    stream: 'uint',
    digest: 'bytes',
    sizeBytes: 'uint',
    seal: 'bytes',
  }),
  streamAbort: toServer(25, 'add', KIB, { stream: 'uint' }),
  assembly: toServer(26, 'add', 16 * MIB, {
    digest: 'bytes',
    sizeBytes: 'uint',
    parts: 'bytes',
    isKeyed: 'bool',
  }),
  moved: toServer(28, 'add', MIB, { slots: 'uints', seals: 'bytes' }),
  owners: toServer(27, 'add', MIB, { groups: 'bytes', ids: 'uints', names: 'byteses' }),
  // signatures and deltas
  signatureOpen: toServer(112, 'add', KIB, { stream: 'uint', cipher: 'bytes' }),
  signatureEnd: toServer(113, 'add', KIB, {
    stream: 'uint',
    digest: 'bytes',
    sizeBytes: 'uint',
    rawBytes: 'uint',
    seal: 'bytes',
  }),
  deltaOpen: toServer(114, 'add', KIB, {
    stream: 'uint',
    basis: 'uint',
    isPart: 'bool',
    codec: 'uint',
    fileSizeBytes: 'uint',
    cipher: 'bytes',
  }),
  deltaEnd: toServer(115, 'add', KIB, {
    stream: 'uint',
    digest: 'bytes',
    sizeBytes: 'uint',
    rawBytes: 'uint',
    seal: 'bytes',
  }),
  basisWish: toServer(116, 'add', KIB, { basis: 'uint', wish: 'uint' }),
  basis: toClient(117, 8 * KIB, {
    basis: 'uint',
    slot: 'uint',
    name: 'bytes',
    sizeBytes: 'uint',
    mostPercent: 'uint',
    hasSignature: 'bool',
    digest: 'bytes',
  }),
  signature: toClient(118, 2 * MIB, {
    basis: 'uint',
    isSample: 'bool',
    bytes: 'bytes',
    last: 'bool',
    failed: 'bool',
  }),
  // answers
  welcome: toClient(
    64,
    68 * KIB,
    {
      protocol: 'uint',
      software: 'text',
      incarnation: 'bytes',
      creditBytes: 'uint',
      proof: 'bytes',
      keys: 'bytes',
      quotaBytes: 'uint',
      usedBytes: 'uint',
      ticket: 'bytes',
      upTo: 'uint',
    },
    { beforeLogin: true },
  ),
  setOpened: toClient(65, MIB, {
    set: 'uint',
    name: 'text',
    empty: 'bool',
    held: 'texts',
    sealedSet: 'uint',
    seal: 'bytes',
    lastEntries: 'uint',
  }),
  headsAnswer: toClient(66, 4 * MIB, { slots: 'uints', same: 'bytes', seals: 'bytes' }),
  differs: toClient(67, 8 * MIB, {
    slot: 'uint',
    last: 'bool',
    wanted: 'bytes',
    known: 'bytes',
  }),
  verdicts: toClient(68, 4 * MIB, { ask: 'uint', verdicts: 'bytes' }),
  received: toClient(69, KIB, { upTo: 'uint' }),
  durable: toClient(70, KIB, { upTo: 'uint' }),
  setClosed: toClient(71, 4 * KIB, { set: 'uint', storedBytes: 'uint', usedBytes: 'uint' }),
  error: toClient(
    72,
    16 * KIB,
    { code: 'text', message: 'text', context: 'counts' },
    { beforeLogin: true },
  ),
  // login
  loginChallenge: toClient(
    96,
    KIB,
    { group: 'uint', salt: 'bytes', logN: 'uint', r: 'uint', p: 'uint', serverPublic: 'bytes' },
    { beforeLogin: true },
  ),
  loginProof: toServer(
    97,
    undefined,
    KIB,
    { clientPublic: 'bytes', proof: 'bytes' },
    { beforeLogin: true },
  ),
  setKeys: toServer(98, 'keys', 68 * KIB, { keys: 'bytes' }),
  keysSet: toClient(99, KIB, { number: 'uint' }),
  ...READING_MESSAGES,
  ...REPORT_MESSAGES,
} as const satisfies Record<string, MessageRow>;

export type MessageName = keyof typeof MESSAGES;

interface KindTypes {
  uint: number;
  int: number;
  text: string;
  bytes: Buffer;
  bool: boolean;
  uints: number[];
  ints: number[];
  texts: string[];
  byteses: Buffer[];
  counts: Record<string, string | number | boolean>;
}

/** The decoded head of a message. */
export type Head<N extends MessageName> = {
  -readonly [F in keyof (typeof MESSAGES)[N]['fields']]: KindTypes[(typeof MESSAGES)[N]['fields'][F] &
    keyof KindTypes];
};

/** What a session is for: to add a set, or to read. */
export const Purpose = Object.freeze({ backup: 'backup', read: 'read' });
export type PurposeName = (typeof Purpose)[keyof typeof Purpose];

/** Users and groups whose names a session tells at most, and the longest name. */
export const MAX_OWNERS: number = 1 << 16;
export const MAX_OWNER_NAME_BYTES = 256;

/** What a client wants of a basis: no more of it, a sample of its signature, or the signature. */
export const BasisWish = Object.freeze({ nothing: 0, sample: 1, signature: 2 });

/** Bases a session may have open; beyond, files are sent whole. */
export const MAX_OPEN_BASES = 4096;

/** Answers to one asked digest. */
export const Verdict = Object.freeze({ want: 0, have: 1, coming: 2 });

/** Answers to one listed entry: nothing to do, send its bytes, or hash it before sending it. */
export const Wanted = Object.freeze({ no: 0, yes: 1, hashFirst: 2 });

/** Why a root is held: nothing of it is taken, so that nothing of it is closed. */
export const Held = Object.freeze({ no: '', empty: 'empty', otherDevice: 'other-device' });
export type HeldReason = (typeof Held)[keyof typeof Held];

/** Bytes of a ticket, by which a client goes on with its session over another connection. */
export const TICKET_BYTES = 16;

/** The first slot of a root: parents below 0 name roots, -1 the first. */
export function rootParent(rootIndex: number): number {
  return -1 - rootIndex;
}

export const NO_HASH: Buffer = Buffer.alloc(32);
