/** The hash stage for parts of large files. */
import type { OperatorFunction } from 'rxjs';
import { Verdict } from '../transport/index.js';
import type { RangeOutput } from '../workers/index.js';
import type { Context } from './context.js';
import type { Part } from './large-file.js';
import { readPart } from './read-part.js';
import { stage } from './stage.js';

/**
 * The hash stage for parts: reads and hashes a part that the server may have, and queries the server. Other parts are
 * passed on unchanged and hashed while they are sent. Parts that wait for a slot of `context.streams` take no bytes of
 * the budget.
 */
export function hashPart(context: Context): OperatorFunction<Part, Part> {
  const host = context.counters.part.hash;
  return stage(host, async (part) => {
    const { file, slot } = part;
    if (!file.hashFirst) return part;
    // The first of two readings makes block checksums only while the server makes those of the basis.
    const isSigning = file.signature !== undefined && file.delta?.isMadeMeanwhile === true;
    const first = await slot.reading(() => readPart(context, part, { isSigning, host }));
    return { ...part, first, wasThere: await isThere(context, first) };
  });
}

/** True if the server has the hashed content, or if the content is empty. */
async function isThere({ peer }: Context, { sizeBytes, digest }: RangeOutput): Promise<boolean> {
  if (sizeBytes === 0) return true;
  // Sending is not promised, since the file may change before it is read again.
  const [verdict] = await peer.verdicts(digest, false);
  // `coming` is a stream of this session. The part is sent again, and the server drops the stream that ends second.
  return verdict === Verdict.have;
}
