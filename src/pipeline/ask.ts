/** The question between hash and compress: which contents does the server want? */
import { DIGEST_BYTES } from '../model/index.js';
import { Verdict } from '../transport/index.js';
import type { ContentBlock, RecentDigests } from '../workers/index.js';
import type { BackupPeer } from './peer.js';

export interface WantedContents {
  /** 1 for each content of the block that is to be sent. */
  readonly wanted: Uint8Array;
  readonly count: number;
}

/** Asks for all contents of a parcel at once; whatever the answer, they are known from now on. */
export async function askWhatIsWanted(
  peer: BackupPeer,
  recent: RecentDigests,
  contents: ContentBlock,
): Promise<WantedContents> {
  const total = contents.starts.length;
  const wanted = new Uint8Array(total);
  if (total === 0) return { wanted, count: 0 };
  const digests = contents.digests.subarray(0, total * DIGEST_BYTES);
  const verdicts = await peer.ask(digests, true);
  let count = 0;
  for (let index = 0; index < total; index += 1) {
    recent.add(digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
    if (verdicts[index] !== Verdict.want) continue;
    wanted[index] = 1;
    count += 1;
  }
  return { wanted, count };
}
