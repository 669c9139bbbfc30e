/** Converts failed and lost answers to errors, each with an error code. */
import { type ErrorCode, TardisError } from '../../../errors/index.js';
import { displayText } from '../../../model/index.js';
import { elementsIn, readXml } from '../../../system/xml/index.js';
import type { Answer, Loss, LostAnswer } from './http.js';

const MAX_ERROR_BYTES = 64 << 10;
const MAX_ERROR_DEPTH = 4;
const MAX_SHOWN_CHARS = 300;

/** Facts about a request that appear in its errors. */
interface About {
  /** The action and its object, such as `reading a/b`. */
  readonly what: string;
  /** Host and bucket. */
  readonly where: string;
  /** Source of the credentials. */
  readonly source: string;
  /** The time of this machine. */
  readonly nowMs: number;
}

interface ErrorAnswer {
  /** Error code of S3, such as NoSuchKey; empty if the answer has none. */
  readonly word: string;
  readonly message: string;
  readonly region: string;
}

const WORDS: Readonly<Record<string, ErrorCode>> = {
  InvalidAccessKeyId: 'CREDENTIALS_REFUSED',
  SignatureDoesNotMatch: 'CREDENTIALS_REFUSED',
  InvalidToken: 'CREDENTIALS_REFUSED',
  ExpiredToken: 'CREDENTIALS_REFUSED',
  TokenRefreshRequired: 'CREDENTIALS_REFUSED',
  RequestTimeTooSkewed: 'CLOCK_WRONG',
  NoSuchBucket: 'NO_SUCH_BUCKET',
  PermanentRedirect: 'BUCKET_REGION_WRONG',
  TemporaryRedirect: 'BUCKET_REGION_WRONG',
  AuthorizationHeaderMalformed: 'BUCKET_REGION_WRONG',
  QuotaExceeded: 'BUCKET_FULL',
  InsufficientStorage: 'BUCKET_FULL',
  StorageQuotaExceeded: 'BUCKET_FULL',
  XMinioStorageFull: 'BUCKET_FULL',
  XMinioAdminBucketQuotaExceeded: 'BUCKET_FULL',
  SlowDown: 'BUCKET_SLOW',
  Throttling: 'BUCKET_SLOW',
  ThrottlingException: 'BUCKET_SLOW',
  RequestTimeout: 'BUCKET_SLOW',
  RequestLimitExceeded: 'BUCKET_SLOW',
  ServiceUnavailable: 'BUCKET_SLOW',
  AccessDenied: 'BUCKET_DENIED',
  AllAccessDisabled: 'BUCKET_DENIED',
};

const STATUSES: Readonly<Record<number, ErrorCode>> = {
  301: 'BUCKET_REGION_WRONG',
  307: 'BUCKET_REGION_WRONG',
  401: 'BUCKET_DENIED',
  403: 'BUCKET_DENIED',
  408: 'BUCKET_SLOW',
  429: 'BUCKET_SLOW',
  503: 'BUCKET_SLOW',
  507: 'BUCKET_FULL',
};

const LOSSES: Readonly<Record<Loss, ErrorCode>> = {
  refused: 'BUCKET_UNREACHABLE',
  certificate: 'BUCKET_CERTIFICATE_REFUSED',
  late: 'BUCKET_SLOW',
  cut: 'BUCKET_UNREACHABLE',
  'too long': 'BUCKET_ANSWER_INVALID',
};

/**
 * Matches the message with which some services report a full bucket. Their code is AccessDenied, so only the message
 * shows the cause.
 */
const FULL = /\b(?:quota|cap|storage limit)\b.*\bexceeded\b/i;

/** Errors that may not occur again if the request is sent again. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BUCKET_UNREACHABLE',
  'BUCKET_SLOW',
  'BUCKET_FAILED',
]);

/** Status of a permanent failure. All other statuses from 500 on are temporary. */
const FINAL_STATUS = 501;

/** Returns code, message and region of a failed answer. They are untrusted, and empty if the answer has none. */
export function readError({ body, headers }: Answer): ErrorAnswer {
  const region = String(headers['x-amz-bucket-region'] ?? '');
  const fields = fieldsIn(body);
  const word = fields.get('Code') ?? '';
  const message = fields.get('Message') ?? '';
  return { word, message, region: fields.get('Region') ?? region };
}

/** Returns the error for an answer that reports a failure. */
export function errorOf(answer: Answer, about: About): TardisError {
  const { word, message, region } = readError(answer);
  const code = codeOf(answer.status, word, message);
  const reason = shown(
    [String(answer.status), word, message].filter((part) => part !== '').join(' '),
  );
  const context = { status: answer.status, word: shown(word) };
  return new TardisError(
    code,
    `${about.what} (${about.where}): ${reason}${hint(code, answer, { word, region }, about)}`,
    context,
  );
}

function codeOf(status: number, word: string, message: string): ErrorCode {
  if (FULL.test(message)) return 'BUCKET_FULL';
  const known = Object.hasOwn(WORDS, word) ? WORDS[word] : STATUSES[status];
  if (known !== undefined) return known;
  return status >= 300 && status < 400 ? 'BUCKET_ANSWER_INVALID' : 'BUCKET_FAILED';
}

function hint(
  code: ErrorCode,
  { status, headers }: Answer,
  { word, region }: { readonly word: string; readonly region: string },
  about: About,
): string {
  if (code === 'CREDENTIALS_REFUSED') return `; the access key is from ${about.source}`;
  if (code === 'BUCKET_REGION_WRONG' && region !== '') return `; its region is ${shown(region)}`;
  if (code === 'BUCKET_FAILED' && word === '' && status < 500)
    return '; the answer has no error of S3: check --endpoint';
  const storeMs = Date.parse(headers.date ?? '');
  if (code !== 'CLOCK_WRONG' || Number.isNaN(storeMs)) return '';
  const seconds = Math.round((about.nowMs - storeMs) / 1000);
  return `; the clock of this machine is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead' : 'behind'}`;
}

/** Returns the error for an answer that did not come. */
export function errorOfLoss({ loss, message }: LostAnswer, { what, where }: About): TardisError {
  return new TardisError(LOSSES[loss], `${what} (${where}): ${shown(message)}`, { loss });
}

/** True if the same request may succeed later. */
export function isPassing({ code, context }: TardisError): boolean {
  const { status } = context;
  if (code === 'BUCKET_FAILED') {
    return typeof status === 'number' && status >= 500 && status !== FINAL_STATUS;
  }
  return PASSING.has(code);
}

function fieldsIn(body: Buffer): Map<string, string> {
  if (body.length === 0) return new Map();
  const refused = (why: string): Error => new NoError(why);
  try {
    const root = readXml(body, { maxBytes: MAX_ERROR_BYTES, maxDepth: MAX_ERROR_DEPTH, refused });
    if (root.name !== 'Error') return new Map();
    return new Map(elementsIn(root).map((element) => [element.name, element.text.trim()]));
  } catch (error) {
    if (error instanceof NoError) return new Map(); // the status of the answer describes the failure well enough
    throw error;
  }
}

/** A body that is not an error of S3. */
class NoError extends Error {}

function shown(text: string): string {
  return displayText(text.slice(0, MAX_SHOWN_CHARS)).replaceAll('\n', ' ');
}
