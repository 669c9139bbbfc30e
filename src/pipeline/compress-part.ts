/** The compress stage for parts of large files. */
import type { OperatorFunction } from 'rxjs';
import type { Context } from './context.js';
import type { Part } from './large-file.js';
import { readPart, startOf } from './read-part.js';
import { stage } from './stage.js';

/**
 * The compress stage for parts, with hash and encrypt in the same job: sends the chunks of a whole part. Parts that the
 * server has, and parts that were sent as deltas, are passed on unchanged. The job waits while the number of chunks in
 * flight fills the part's window. Parts that wait for a slot of `context.streams` take no bytes of the budget.
 */
export function compressPart(context: Context): OperatorFunction<Part, Part> {
  return stage(context.counters.part.compress, async (part) => {
    if (part.wasThere || part.sent !== undefined) return part;
    return part.slot.reading(() => sendWhole(context, part));
  });
}

async function sendWhole(context: Context, part: Part): Promise<Part> {
  const { counters, encryption, settings, streams } = context;
  const { file } = part;
  const stream = encryption.openContent(startOf(context, file));
  try {
    const startMs = performance.now();
    const how = { isSigning: file.signature !== undefined, compression: settings.compression };
    const host = counters.part.compress;
    const sent = await readPart(context, part, { ...how, stream, host });
    const { digest, sizeBytes } = sent;
    if (sizeBytes === 0) {
      stream.abort();
      return { ...part, sent };
    }
    const { ms, bytes } = streams.sending;
    const elapsedMs = performance.now() - startMs;
    streams.sending = { ms: ms + elapsedMs, bytes: bytes + sizeBytes };
    const record = { stream, digest, sizeBytes, rawBytes: sizeBytes, isDelta: false };
    return { ...part, sent, record };
  } catch (error) {
    stream.abort();
    throw error;
  }
}
