/** The compress stage for parts of large files. */
import { mergeMap, type OperatorFunction } from 'rxjs';
import type { RangeOutput } from '../workers/index.js';
import type { Context } from './context.js';
import type { Encryption } from './encrypt.js';
import type { Part } from './large-file.js';
import { readPart, startOf } from './read-part.js';

/**
 * The compress stage for parts, with hash and encrypt in the same job: sends a whole part, chunk by chunk. Parts that
 * the server has pass, and so do those that were sent as deltas. The job sleeps while as many chunks are under way as
 * the part's window holds.
 */
export function compressPart(
  context: Context,
  encryption: Encryption,
): OperatorFunction<Part, Part> {
  return mergeMap(async (part) => {
    if (part.wasThere || part.sent !== undefined) return part;
    return { ...part, sent: await part.slot.reading(() => sendWhole(context, encryption, part)) };
  });
}

async function sendWhole(
  context: Context,
  encryption: Encryption,
  { file, offset }: Part,
): Promise<RangeOutput> {
  const { progress, settings, streams } = context;
  const stream = encryption.openContent(startOf(context, file));
  try {
    const startMs = performance.now();
    const how = { isSigning: file.signature !== undefined, compression: settings.compression };
    const result = await readPart(context, file, offset, { ...how, stream });
    if (result.sizeBytes === 0) stream.abort();
    else {
      await stream.end(result.digest, result.sizeBytes, result.sizeBytes);
      progress.contentsSent += 1;
      const { ms, bytes } = streams.sending;
      const elapsedMs = performance.now() - startMs;
      streams.sending = { ms: ms + elapsedMs, bytes: bytes + result.sizeBytes };
    }
    return result;
  } catch (error) {
    stream.abort();
    throw error;
  }
}
