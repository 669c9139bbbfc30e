/** Signs requests (AWS Signature Version 4). The library is loaded with the first request. */
import type { Clock } from '../../../system/index.js';
import type { Credentials } from '../credentials.js';
import type { Endpoint } from '../endpoint.js';
import type { Method } from './exchange.js';

interface Unsigned {
  readonly method: Method;
  /** Encoded path. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body, in hexadecimal. */
  readonly bodySha256: string;
}

interface Signed {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Returns path and headers of a signed request, among them the checksum of its body. */
export async function sign(
  { method, path, query, headers, bodySha256 }: Unsigned,
  { accessKeyId, secretAccessKey, sessionToken }: Credentials,
  { url, region }: Endpoint,
  clock: Clock,
): Promise<Signed> {
  const { default: aws4 } = await import('aws4');
  const time = new Date(clock.nowMs()).toISOString().replace(/[:-]|\.\d{3}/g, '');
  const search = new URLSearchParams(query).toString().replaceAll('+', '%20');
  const signed = aws4.sign(
    {
      service: 's3',
      region,
      method,
      path: search === '' ? path : `${path}?${search}`,
      headers: {
        ...headers,
        host: url.host,
        'x-amz-content-sha256': bodySha256,
        'x-amz-date': time,
      },
    },
    { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
  );
  return { path: signed.path ?? path, headers: textHeaders(signed.headers ?? {}) };
}

function textHeaders(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

/** Encodes a key for the path of a signed request: all characters except letters, digits and `-._~/`. */
export function encodeKey(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
}
