/** The need stage for parcels. */
import type { OperatorFunction } from 'rxjs';
import { DIGEST_BYTES } from '../model/index.js';
import { Verdict } from '../transport/index.js';
import type { ContentBlock } from '../workers/index.js';
import type { Context } from './context.js';
import type { ReadParcel } from './read.js';
import { stage } from './stage.js';

/** Contents of a parcel that the server needs. */
interface NeededContents {
  readonly contents: ContentBlock;
  /** 1 for each content of the block that must be sent. */
  readonly wanted: Uint8Array;
  readonly count: number;
}

/** A parcel after the query for its contents. */
export interface NeededParcel extends ReadParcel {
  /** Undefined if the job that read the files has made all records. */
  readonly needed: NeededContents | undefined;
}

/**
 * The need stage: queries all contents of a parcel in one request, `buildConcurrency` parcels at once. Waiting parcels
 * hold bytes of the budget. Afterwards the threads remember the digests of all of them, also of those that the server
 * has. A parcel with records has nothing to query.
 */
export function need(context: Context): OperatorFunction<ReadParcel, NeededParcel> {
  return stage(context.counters.need, async (parcel) => {
    const { contents } = parcel.output;
    const needed = contents && (await neededOf(context, contents));
    return { ...parcel, needed };
  });
}

async function neededOf(context: Context, contents: ContentBlock): Promise<NeededContents> {
  const { counters, jobs, peer, progress } = context;
  const total = contents.starts.length;
  const wanted = new Uint8Array(total);
  if (total === 0) return { contents, wanted, count: 0 };
  const digests = contents.digests.subarray(0, total * DIGEST_BYTES);
  const verdicts = await peer.verdicts(digests, true);
  let count = 0;
  for (let index = 0; index < total; index += 1) {
    jobs.recent.add(digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
    if (verdicts[index] !== Verdict.want) continue;
    wanted[index] = 1;
    count += 1;
  }
  counters.need.count(total, digests.length, 0);
  progress.filesHad += total - count;
  return { contents, wanted, count };
}
