/** Fetches from a bucket the files of a client that a login needs. */
import { bucketAt, fetchAccounts, fetchClient } from '../../store/index.js';
import type { System } from '../../system/index.js';
import type { LoginOptions } from './login.js';

/**
 * Fetches the small files of a client from the bucket of the store, if it is in one. If an account logs in, fetches the
 * client's accounts too. Throws errors of a bucket.
 */
export async function fetchForLogin(
  system: System,
  { fetch, baseDir }: Pick<LoginOptions, 'fetch' | 'baseDir'>,
  { client, account }: { readonly client: string; readonly account: string },
): Promise<void> {
  const bucket = bucketAt(baseDir);
  if (bucket === undefined) return;
  if (fetch !== undefined) {
    await fetch(client, account);
    return;
  }
  await fetchClient(system, bucket, client);
  if (account !== '') await fetchAccounts(system, bucket, client);
}
