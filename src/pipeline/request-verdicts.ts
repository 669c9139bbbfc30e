/** Queries which contents the server needs. This step is between hash and compress. */
import { DIGEST_BYTES } from '../model/index.js';
import { Verdict } from '../transport/index.js';
import type { ContentBlock, RecentDigests } from '../workers/index.js';
import type { BackupPeer } from './peer.js';

interface RequestedContents {
  /** 1 for each content of the block that must be sent. */
  readonly wanted: Uint8Array;
  readonly count: number;
}

/**
 * Queries all contents of a parcel in one request. Afterwards `recent` has the digests of all of them, also of those
 * that the server does not need.
 */
export async function requestVerdicts(
  peer: BackupPeer,
  recent: RecentDigests,
  contents: ContentBlock,
): Promise<RequestedContents> {
  const total = contents.starts.length;
  const wanted = new Uint8Array(total);
  if (total === 0) return { wanted, count: 0 };
  const digests = contents.digests.subarray(0, total * DIGEST_BYTES);
  const verdicts = await peer.verdicts(digests, true);
  let count = 0;
  for (let index = 0; index < total; index += 1) {
    recent.add(digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
    if (verdicts[index] !== Verdict.want) continue;
    wanted[index] = 1;
    count += 1;
  }
  return { wanted, count };
}
