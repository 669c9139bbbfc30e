/**
 * The protocol as one table: number, name, direction, the part of an end that it belongs to, the right that a message
 * needs, its largest size, its fields, its answer, and whether it may be sent before login. The dispatchers, the codec
 * and docs/inside/protocol.md all follow this table (a test compares the document). Numbers are never reused.
 *
 * Ranges: 1–15 session, 16–47 backup, 48–63 reading, 64–79 answers to backups, 80–95 to readers, 96–111 login,
 * 112–127 signatures and deltas, 128–143 changes of sets, 144–165 reports and kept settings, 166–183 copies,
 * 184–191 reports.
 */
import { NOTE_KINDS, type SlotNumber } from '../model/index.js';
import { CLIENT_CONFIG, MACHINE } from './client-config.js';
import { COPY_MESSAGES } from './copy-messages.js';
import {
  answeredBackup,
  connectionToClient,
  connectionToServer,
  KIB,
  listOf,
  maybe,
  type MessageRow,
  MIB,
  ofBackup,
  ofKeys,
  ofLogin,
  toBackup,
  type ValuesOf,
  withAttachment,
} from './message-row.js';
import { READING_MESSAGES } from './reading-messages.js';
import { REPORT_MESSAGES } from './report-messages.js';

export const PROTOCOL_VERSION = 1;

/** The start of a stream with a content, or with a part of a file. */
const STREAM_OPEN = {
  stream: 'uint',
  isPart: 'bool',
  codec: 'uint',
  fileSizeBytes: 'uint',
  cipher: 'bytes',
} as const;
/** The end of a stream. */
const STREAM_END = { stream: 'uint', digest: 'bytes', sizeBytes: 'uint', seal: 'bytes' } as const;
/** The end of a stream whose bytes have another length when they are decoded. */
const ENCODED_END = { ...STREAM_END, rawBytes: 'uint' } as const;

export const MESSAGES = {
  // session
  hello: ofLogin(1, 4 * KIB, 'welcome', {
    protocol: 'uint',
    software: 'text',
    client: 'text',
    account: 'text',
    create: 'bool',
    purpose: 'text',
    keys: 'bytes',
    ticket: 'bytes',
    upTo: 'uint',
    /** With `create`: the secret of a code for the client; empty if there is none. */
    code: 'text',
    /** Id of a backup in the journal; empty if there is none. */
    run: 'text',
  }),
  openSet: answeredBackup(2, 4 * MIB, 'setOpened', {
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
    /** The machine on which the client runs, if it has an id. */
    machine: maybe(MACHINE),
  }),
  closeSet: answeredBackup(3, MIB, 'setClosed', {
    stats: 'counts',
    seal: 'bytes',
    /** Digest of the answer to `openSet` on which the seal depends; empty without a seal. */
    opened: 'bytes',
    purge: 'bool',
    waits: 'bool',
    /** Records for the journal, each one line of JSON; the last one is that of this run. */
    runs: 'texts',
  }),
  /**
   * Acknowledges messages of a session. Neither end counts this message itself, because it belongs to the connection
   * and not to the session.
   */
  acknowledge: connectionToServer(4, KIB, { ticket: 'bytes', upTo: 'uint' }),
  /** The client's own configuration; it is stored with the open set. */
  configuration: ofBackup(5, 64 * KIB, { config: CLIENT_CONFIG }),
  // backup
  heads: answeredBackup(16, 4 * MIB, 'headsAnswer', {
    isQuestion: 'bool',
    slots: 'uints',
    parents: 'ints',
    rows: 'bytes',
    hashes: 'bytes',
  }),
  listing: answeredBackup(17, 8 * MIB, 'differs', { slot: 'uint', last: 'bool', rows: 'bytes' }),
  parcel: withAttachment(
    ofBackup(18, 16 * MIB, { slots: 'uints', lengths: 'uints', rows: 'bytes', records: 'uints' }),
  ),
  done: ofBackup(19, MIB, { slots: 'uints', settled: 'bytes', seals: 'bytes' }),
  notes: ofBackup(20, 4 * MIB, {
    slots: 'ints',
    names: 'byteses',
    whats: listOf({ words: NOTE_KINDS }),
    reasons: 'texts',
  }),
  digests: answeredBackup(21, 4 * MIB, 'verdicts', {
    question: 'uint',
    digests: 'bytes',
    promise: 'bool',
  }),
  streamOpen: ofBackup(22, KIB, STREAM_OPEN),
  streamChunk: withAttachment(ofBackup(23, 4 * MIB, { stream: 'uint' })),
  streamEnd: ofBackup(24, KIB, STREAM_END),
  streamAbort: ofBackup(25, KIB, { stream: 'uint' }),
  assembly: ofBackup(26, 16 * MIB, {
    digest: 'bytes',
    sizeBytes: 'uint',
    parts: 'bytes',
    isKeyed: 'bool',
  }),
  moved: ofBackup(28, MIB, { slots: 'uints', seals: 'bytes' }),
  owners: ofBackup(27, MIB, { groups: 'bytes', ids: 'uints', names: 'byteses' }),
  // signatures and deltas
  signatureOpen: ofBackup(112, KIB, { stream: 'uint', cipher: 'bytes' }),
  signatureEnd: ofBackup(113, KIB, ENCODED_END),
  deltaOpen: ofBackup(114, KIB, { basis: 'uint', ...STREAM_OPEN }),
  deltaEnd: ofBackup(115, KIB, ENCODED_END),
  basisWish: answeredBackup(116, KIB, 'signature', { basis: 'uint', wish: 'uint' }),
  rangeWish: answeredBackup(121, KIB, 'signature', {
    basis: 'uint',
    range: 'uint',
    from: 'uint',
    bytes: 'uint',
    blockBytes: 'uint',
  }),
  basis: toBackup(117, 8 * KIB, {
    basis: 'uint',
    slot: 'uint',
    name: 'bytes',
    sizeBytes: 'uint',
    mostPercent: 'uint',
    hasSignature: 'bool',
    digest: 'bytes',
  }),
  signature: toBackup(118, 2 * MIB, {
    basis: 'uint',
    isSample: 'bool',
    range: 'uint',
    bytes: 'bytes',
    last: 'bool',
    failed: 'bool',
  }),
  seekBasis: answeredBackup(119, 8 * KIB, 'sought', {
    question: 'uint',
    slot: 'uint',
    name: 'bytes',
    digests: 'bytes',
  }),
  sought: toBackup(120, KIB, { question: 'uint', basis: 'uint' }),
  // answers
  welcome: connectionToClient(64, 68 * KIB, {
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
  }),
  setOpened: toBackup(65, MIB, {
    set: 'uint',
    name: 'text',
    empty: 'bool',
    protection: 'texts',
    sealedSet: 'uint',
    seal: 'bytes',
    lastEntries: 'uint',
    doubtfulUpTo: 'uint',
    lostRecords: 'uint',
    strangePacks: 'texts',
    /** The machine of the newest set before, if it is another one. */
    otherMachine: maybe(MACHINE),
  }),
  headsAnswer: toBackup(66, 4 * MIB, { slots: 'uints', same: 'bytes', seals: 'bytes' }),
  differs: toBackup(67, 8 * MIB, {
    slot: 'uint',
    last: 'bool',
    wanted: 'bytes',
    known: 'bytes',
    gone: 'byteses',
  }),
  verdicts: toBackup(68, 4 * MIB, { question: 'uint', verdicts: 'bytes' }),
  received: toBackup(69, KIB, { upTo: 'uint' }),
  durable: toBackup(70, KIB, { upTo: 'uint' }),
  setClosed: toBackup(71, 4 * KIB, {
    set: 'uint',
    storedBytes: 'uint',
    usedBytes: 'uint',
    isRecorded: 'bool',
  }),
  /** The result of the server's work after a session. Sent only to a client that waits for it. */
  settled: toBackup(73, 4 * MIB, {
    /** Sets deleted by the retention rules. */
    purged: 'uints',
    /** Sets deleted early because space was low. */
    early: 'uints',
    /** Number of sets that are kept only because they are too young to delete. */
    young: 'uint',
    /** True if the rules were applied as for an account without the right to purge. */
    cautious: 'bool',
    contents: 'uint',
    packs: 'uint',
    freedBytes: 'uint',
    deletedFiles: 'uint',
    deletedBytes: 'uint',
    /** False if garbage collection was interrupted; the rest is done later. */
    isDone: 'bool',
    inDoubt: 'bool',
    /** The reason why nothing was deleted or freed; empty if it succeeded or nothing was due. */
    failure: 'text',
  }),
  error: connectionToClient(72, 16 * KIB, { code: 'text', message: 'text', context: 'counts' }),
  // login
  loginChallenge: connectionToClient(96, KIB, {
    group: 'uint',
    salt: 'bytes',
    logN: 'uint',
    r: 'uint',
    p: 'uint',
    serverPublic: 'bytes',
  }),
  loginProof: ofLogin(97, KIB, 'welcome', { clientPublic: 'bytes', proof: 'bytes' }),
  /** The greeting of a reader that has a token of an account; a challenge is not needed, since a token is random. */
  loginToken: ofLogin(100, KIB, 'tokenTaken', {
    protocol: 'uint',
    software: 'text',
    token: 'text',
  }),
  tokenTaken: connectionToClient(101, KIB, {
    protocol: 'uint',
    software: 'text',
    rights: 'texts',
    /** True if the client encrypts, so that names and contents are sealed. */
    isSealed: 'bool',
  }),
  /** The answer to a login, in place of the welcome, if another server of the store has a session of the client. */
  elsewhere: connectionToClient(102, KIB, {
    protocol: 'uint',
    host: 'text',
    port: 'uint',
    proof: 'bytes',
  }),
  setKeys: ofKeys(98, 68 * KIB, 'keysSet', { keys: 'bytes' }),
  keysSet: toBackup(99, KIB, { number: 'uint' }),
  ...READING_MESSAGES,
  ...REPORT_MESSAGES,
  ...COPY_MESSAGES,
} as const satisfies Record<string, MessageRow>;

export type MessageName = keyof typeof MESSAGES;

type Rows = typeof MESSAGES;

/** The decoded head of a message. */
export type Head<N extends MessageName> = ValuesOf<Rows[N]['fields']>;

/** Names of the messages whose rows have these properties. */
type Selected<W> = { [N in MessageName]: Rows[N] extends W ? N : never }[MessageName];

/** Messages of a backup to its server, and of the server to a backup. */
export type BackupMessage = Selected<{ part: 'backup'; direction: 'to-server' }>;
export type BackupAnswer = Selected<{ part: 'backup'; direction: 'to-client' }>;
/** Questions of readers. */
export type QuestionName = Selected<{ part: 'reading'; direction: 'to-server'; answer: string }>;
/** Questions of a server to the peer whose client it copies. */
export type CopyQuestion = Selected<{ part: 'copying'; direction: 'to-client'; answer: string }>;
export type AnyQuestion = QuestionName | CopyQuestion;
/** Messages of a backup that the server answers. */
export type AnsweredMessage = Selected<{ part: 'backup'; direction: 'to-server'; answer: string }>;
/** The message that answers another one. */
export type AnswerTo<N extends AnyQuestion | AnsweredMessage> = Rows[N]['answer'] & MessageName;

/** The fields of a message without the number of its question, and its attachment if it has one. */
export type Body<N extends MessageName> = ValuesOf<Omit<Rows[N]['fields'], 'question'>> &
  (Rows[N]['hasAttachment'] extends true ? { attachment: Buffer } : unknown);

/** True if a message is one of a backup to its server. */
export function isBackupMessage(name: MessageName): name is BackupMessage {
  const { part, direction }: MessageRow = MESSAGES[name];
  return part === 'backup' && direction === 'to-server';
}

/** True if a message is one of a server to a backup. */
export function isBackupAnswer(name: MessageName): name is BackupAnswer {
  const { part, direction }: MessageRow = MESSAGES[name];
  return part === 'backup' && direction === 'to-client';
}

/** Purposes of a session: to add a set, to read the client's history, or to copy another store's client here. */
export const Purpose = Object.freeze({ backup: 'backup', read: 'read', copy: 'copy' });
export type PurposeName = (typeof Purpose)[keyof typeof Purpose];

/** Maximum number of user and group names that a session may send. */
export const MAX_OWNERS: number = 1 << 16;

/**
 * Values of a client's request about a basis: release it, send a sample of its signature, or send the whole signature.
 */
export const BasisWish = Object.freeze({ nothing: 0, sample: 1, signature: 2 });

/** Maximum number of bases that a session may have open; further files are sent whole. */
export const MAX_OPEN_BASES = 4096;
/** Maximum number of contents that a client seeks as a basis at once. */
export const MAX_SOUGHT = 4;

/** Answers to a query for one digest. */
export const Verdict = Object.freeze({ want: 0, have: 1, coming: 2 });

/**
 * Answers to one declared directory, besides 0. HEAD_SAME: its listing is unchanged. HEAD_PROTECTED: it is a mount
 * point without the file system of the last set, and nothing of it is backed up.
 */
export const HEAD_SAME = 1;
export const HEAD_PROTECTED = 2;

/**
 * Answers to one listed entry. `no`: nothing to do. `yes`: send its bytes. `hashFirst`: hash it before sending it.
 * `protected`: keep its stored entry, because it is a mount point without its file system.
 */
export const Wanted = Object.freeze({ no: 0, yes: 1, hashFirst: 2, protected: 3 });

/** Reasons for protecting a root. Nothing is backed up from a protected root, so none of its entries are closed. */
export const Protection = Object.freeze({ no: '', empty: 'empty', otherDevice: 'other-device' });
export type ProtectionReason = (typeof Protection)[keyof typeof Protection];

/** Bytes of a ticket, with which a client resumes its session over another connection. */
export const TICKET_BYTES = 16;

/**
 * Returns the negative number that identifies a root in place of a parent's slot: -1 for the first root, then -2, and
 * so on.
 */
export function rootParent(rootIndex: number): SlotNumber {
  return -1 - rootIndex;
}

export const NO_HASH: Buffer = Buffer.alloc(32);
