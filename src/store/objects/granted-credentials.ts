/**
 * Reads credentials from the JSON that credential commands and services of virtual machines return. The JSON is
 * untrusted.
 */
import { jsonFields } from '../../model/index.js';
import type { Credentials } from './credentials.js';

const MAX_FIELD_CHARS = 16_384;
/** Characters that may be in a header. */
const PRINTABLE = /^[\x20-\x7e]+$/;

/**
 * Returns the credentials; undefined if the text has none. `token` is the field of the session token, whose name
 * differs between services. `source` describes where the text comes from.
 */
export function readGranted(
  text: string,
  token: 'SessionToken' | 'Token',
  source: string,
): Credentials | undefined {
  const fields = jsonFields(text);
  const accessKeyId = fieldOf(fields['AccessKeyId']);
  const secretAccessKey = fieldOf(fields['SecretAccessKey']);
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  const sessionToken = fieldOf(fields[token]);
  const expiresAtMs = Date.parse(fieldOf(fields['Expiration']) ?? '');
  return {
    accessKeyId,
    secretAccessKey,
    sessionToken,
    expiresAtMs: Number.isNaN(expiresAtMs) ? undefined : expiresAtMs,
    source,
  };
}

function fieldOf(value: unknown): string | undefined {
  const isField =
    typeof value === 'string' && value.length <= MAX_FIELD_CHARS && PRINTABLE.test(value);
  return isField ? value : undefined;
}
