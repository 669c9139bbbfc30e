/** Headers that lock the bytes of a PUT (Object Lock). */
import { createHash } from 'node:crypto';
import type { ObjectBody } from '../object-store.js';

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
