/**
 * Writes objects. A new one is created by a conditional PUT, and the result of requests whose answer is lost is found
 * out. Objects are written only once. So an existing object with equal bytes counts as created, and one with other bytes
 * keeps them.
 */
import { createHash } from 'node:crypto';
import { asTardisError, type ErrorCode, TardisError } from '../../../errors/index.js';
import type { ObjectBody, ObjectSource } from '../object-store.js';
import { CHECKSUM_HEADER, READS, readRange } from './read-range.js';
import { invalidAnswer, type Requests, type S3Request, sizeOf } from './requests.js';

/** Maximum size of a body that is sent again at once. Before a larger one is sent again, the object is searched for. */
const CHEAP_BYTES = 256 << 10;

/** Errors of a PUT that had no effect, while other requests may succeed. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['BUCKET_FULL', 'BUCKET_DENIED']);

interface NewObject {
  readonly key: string;
  readonly name: string;
  readonly body: ObjectBody;
  readonly sha256: string;
  readonly headers: Readonly<Record<string, string>>;
  /**
   * False for a store that ignores conditions and has only one writer. The object is then searched for before it is
   * written.
   */
  readonly isConditional: boolean;
}

/** Creates an object; see `ObjectStore.putNew`. */
export async function putNew(requests: Requests, object: NewObject): Promise<'created' | 'exists'> {
  let isUnknown = false;
  const note = (): void => {
    isUnknown = true;
  };
  try {
    return await attempts(requests, object, note);
  } catch (error) {
    if (!isUnknown) throw error;
    return lastLook(requests, object, error);
  }
}

async function attempts(
  requests: Requests,
  object: NewObject,
  noteUnknown: () => void,
): Promise<'created' | 'exists'> {
  let mustLook = !object.isConditional;
  for (const pause = requests.tries(); ; ) {
    const found = mustLook ? await compare(requests, object) : undefined;
    if (found !== undefined) return found;
    const outcome = await requests.once(putOf(object));
    const status = outcome.answer?.status ?? 0;
    if (status >= 200 && status < 300) return 'created';
    if (status === 412) {
      const there = await compare(requests, object);
      if (there !== undefined) return there;
    }
    if (status === 501) throw unsafe(object);
    if (outcome.answer === undefined && outcome.mayHaveHappened) {
      noteUnknown();
      mustLook ||= sizeOf(object.body) > CHEAP_BYTES;
    }
    await pause(outcome.answer === undefined ? outcome.error : undecided(object, status));
  }
}

function putOf({ key, name, body, sha256, headers, isConditional }: NewObject): S3Request {
  return {
    method: 'PUT',
    key,
    what: `creating ${name}`,
    headers: isConditional ? { ...headers, 'if-none-match': '*' } : headers,
    body,
    bodySha256: sha256,
    // 409: another request for this name is being executed.
    expects: isConditional ? [409, 412, 501] : [],
  };
}

/** Compares the stored object with the given one. Returns undefined if none is stored. */
async function compare(
  requests: Requests,
  { key, name, body, sha256 }: NewObject,
): Promise<'created' | 'exists' | undefined> {
  const ownBytes = sizeOf(body);
  let hash = createHash('sha256');
  const take = (chunk: Buffer, at: number): void => {
    if (at === 0) hash = createHash('sha256');
    hash.update(chunk);
  };
  for (let attempt = 1; ; attempt += 1) {
    // One byte more is read, so that a longer object differs.
    const read = await readRange(requests, { key, name, at: 0, bytes: ownBytes + 1, take });
    if (read === undefined) return undefined;
    if (read.totalBytes !== ownBytes) return 'exists';
    const stored = hash.digest('hex');
    if (stored === sha256) return 'created';
    if (stored === read.sha256 || attempt === READS) return 'exists';
  }
}

/**
 * Searches for an object once more after the last attempt to create it. If it is not found, throws `reason` if that is a
 * refusal, and BUCKET_OUTCOME_UNKNOWN otherwise.
 */
async function lastLook(
  requests: Requests,
  object: NewObject,
  reason: unknown,
): Promise<'created' | 'exists'> {
  const found = await compare(requests, object).catch(() => 'unknown' as const); // `reason` already describes the fault
  if (found === 'created' || found === 'exists') return found;
  const { code, message } = asTardisError(reason);
  // An earlier attempt is probably lost, so the user should learn what to do about the last one.
  if (found === undefined && REFUSALS.has(code)) throw reason;
  throw new TardisError('BUCKET_OUTCOME_UNKNOWN', message, { cause: code }, reason);
}

function undecided({ name }: NewObject, status: number): TardisError {
  const why = status === 412 ? 'it exists, and has no bytes' : 'another request is being executed';
  return invalidAnswer(`creating ${name}`, `the store reports that ${why}`);
}

function unsafe({ name }: NewObject): TardisError {
  return new TardisError(
    'BUCKET_UNSAFE',
    `creating ${name}: the store does not know If-None-Match (status 501)`,
  );
}

interface ObjectAgain {
  readonly key: string;
  readonly name: string;
  readonly source: ObjectSource;
  /** Time for which the bytes are locked; 0 for none. */
  readonly retainMs: number;
}

/** Makes the bytes of `source` the current ones of an object, and locks them. The call may be repeated. */
export async function putAgain(
  requests: Requests,
  { key, name, source, retainMs }: ObjectAgain,
): Promise<void> {
  const sha256 = Buffer.from(source.sha256).toString('hex');
  const lock = retainMs === 0 ? {} : await lockHeaders(source, requests.storeNowMs() + retainMs);
  await requests.send({
    method: 'PUT',
    key,
    what: `writing ${name} again`,
    headers: { [CHECKSUM_HEADER]: sha256, ...lock },
    body: source,
    bodySha256: sha256,
    expects: [],
  });
}

/**
 * Returns the headers that prevent any deletion of a body's bytes before a time. The mode COMPLIANCE has no exception,
 * not even for the owner of the bucket. The body is read once for its MD5, which S3 requires for locked objects.
 */
export async function lockHeaders(
  body: ObjectBody,
  untilMs: number,
): Promise<Record<string, string>> {
  return {
    'x-amz-object-lock-mode': 'COMPLIANCE',
    'x-amz-object-lock-retain-until-date': new Date(untilMs).toISOString(),
    'content-md5': await md5Of(body),
  };
}

async function md5Of(body: ObjectBody): Promise<string> {
  const hash = createHash('md5');
  if (body instanceof Uint8Array) hash.update(body);
  else for await (const chunk of body.open()) hash.update(chunk);
  return hash.digest('base64');
}
