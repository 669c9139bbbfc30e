/** Writes an object again with the bytes that it was created with. */
import type { ObjectSource } from '../object-store.js';
import { lockHeaders } from './lock-headers.js';
import { CHECKSUM_HEADER } from './read-range.js';
import type { Requests } from './requests.js';

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
