/** Encodes findings of a check as lines of JSON, and decodes them with validation: they are sent by a server. */
import { TardisError } from '../../errors/index.js';
import type {
  AccountFinding,
  Finding,
  KeysFinding,
  PackFinding,
  RecordFinding,
  StrayFinding,
  VersionFinding,
} from './findings.js';

const ROLES: ReadonlySet<unknown> = new Set(['contents', 'signature', 'metadata', 'unneeded']);
const REASONS: ReadonlySet<unknown> = new Set(['damaged', 'missing', 'rests']);
const KEY_STATES: ReadonlySet<unknown> = new Set(['mended', 'damaged', 'lost', 'gone', 'other']);
const ACCOUNT_STATES: ReadonlySet<unknown> = new Set(['senseless', 'gone']);
const STRAY_KINDS: ReadonlySet<unknown> = new Set(['file', 'directory', 'other']);
const MAX_TEXT_CHARS = 4096;

export function findingToWire(finding: Finding): string {
  if (finding.finding !== 'version') return JSON.stringify(finding);
  const { path, digest } = finding;
  return JSON.stringify({
    ...finding,
    path: path.toString('base64'),
    digest: digest.toString('hex'),
  });
}

/** Decodes one finding. Throws PROTOCOL_VIOLATION. */
export function findingFromWire(text: string): Finding {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw odd(error);
  }
  if (typeof value !== 'object' || value === null) throw odd();
  const told = value as Record<string, unknown>;
  switch (told['finding']) {
    case 'record':
      return recordOf(told);
    case 'version':
      return versionOf(told);
    case 'catalog':
      return { finding: 'catalog', what: textOf(told['what']) };
    case 'history': {
      const { versions, sets } = told;
      const known = versions === undefined ? undefined : countOf(versions);
      return { finding: 'history', versions: known, sets: setsOf(sets) };
    }
    case 'doubtful':
      return { finding: 'doubtful', sets: setsOf(told['sets']) };
    case 'keys': {
      const { file, state } = told;
      if (!KEY_STATES.has(state)) throw odd();
      return { finding: 'keys', file: textOf(file), state: state as KeysFinding['state'] };
    }
    case 'account': {
      const { account, state } = told;
      if (!ACCOUNT_STATES.has(state)) throw odd();
      const known = state as AccountFinding['state'];
      return { finding: 'account', account: textOf(account), state: known };
    }
    case 'pack':
      return packOf(told);
    case 'stray': {
      const { file, kind, isInTheWay } = told;
      if (!STRAY_KINDS.has(kind)) throw odd();
      const known = kind as StrayFinding['kind'];
      return { finding: 'stray', file: textOf(file), kind: known, isInTheWay: isInTheWay === true };
    }
    case 'unreadable':
      return { finding: 'unreadable', file: textOf(told['file']), why: textOf(told['why']) };
    default:
      throw odd();
  }
}

function packOf({ file, pack, clientId, isOwn }: Record<string, unknown>): PackFinding {
  return {
    finding: 'pack',
    file: textOf(file),
    pack: countOf(pack),
    clientId: textOf(clientId),
    isOwn: isOwn === true,
  };
}

function recordOf(told: Record<string, unknown>): RecordFinding {
  const { object, position, bytes, role, why } = told;
  if (!ROLES.has(role)) throw odd();
  return {
    finding: 'record',
    object: textOf(object),
    position: countOf(position),
    bytes: countOf(bytes),
    role: role as RecordFinding['role'],
    why: textOf(why),
  };
}

function versionOf(told: Record<string, unknown>): VersionFinding {
  const { path, sets, firstSet, sizeBytes, digest, why } = told;
  if (!REASONS.has(why) || typeof path !== 'string') throw odd();
  return {
    finding: 'version',
    path: Buffer.from(path, 'base64'),
    sets: setsOf(sets),
    firstSet: countOf(firstSet),
    sizeBytes: countOf(sizeBytes),
    digest: Buffer.from(textOf(digest), 'hex'),
    why: why as VersionFinding['why'],
  };
}

function setsOf(value: unknown): number[] {
  if (!Array.isArray(value)) throw odd();
  return value.map(countOf);
}

function countOf(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw odd();
  return value as number;
}

function textOf(value: unknown): string {
  if (typeof value !== 'string' || value.length > MAX_TEXT_CHARS) throw odd();
  return value;
}

function odd(cause?: unknown): TardisError {
  return new TardisError('PROTOCOL_VIOLATION', 'what a check has found makes no sense', {}, cause);
}
