/** The delta stage for parts of large files. Small files have none: a whole one costs less than the round trip. */
import { mergeMap, type OperatorFunction } from 'rxjs';
import type { RangeOutput } from '../workers/index.js';
import type { Context } from './context.js';
import type { Encryption } from './encrypt.js';
import type { FileDelta } from './file-delta.js';
import type { Part } from './large-file.js';
import { readPart, startOf } from './read-part.js';
import { PART_BYTES } from './streams.js';

/**
 * The delta stage for parts: compares a part with the whole basis and sends the delta, in one job. Parts without a
 * basis pass, and so do those whose delta did not pay. A part that waits for the signature has no slot, so other files
 * are read meanwhile.
 */
export function deltaPart(context: Context, encryption: Encryption): OperatorFunction<Part, Part> {
  return mergeMap(async (part) => {
    const { file, slot, wasThere } = part;
    const { delta } = file;
    if (delta === undefined || wasThere || !(await delta.isReady)) return part;
    return { ...part, sent: await slot.reading(() => sendDelta(context, encryption, part, delta)) };
  });
}

/** Sends a part as a delta; undefined if that does not pay. */
async function sendDelta(
  context: Context,
  encryption: Encryption,
  { file, offset, first }: Part,
  delta: FileDelta,
): Promise<RangeOutput | undefined> {
  const { progress, settings, streams } = context;
  const { ms, bytes } = streams.sending;
  const partBytes = Math.min(PART_BYTES, file.formBytes - offset);
  const request = delta.request(partBytes, file.formBytes, bytes > 0 ? ms / bytes : undefined);
  const stream = encryption.openDelta(startOf(context, file), delta.offer);
  try {
    const isSigning = file.signature !== undefined && first?.signature === undefined;
    const how = { isSigning, compression: settings.compression, delta: request };
    const result = await readPart(context, file, offset, { ...how, stream });
    const { isDropped, rawBytes } = result.delta!;
    if (isDropped || result.sizeBytes === 0) {
      delta.dropped += isDropped ? 1 : 0;
      stream.abort();
      return isDropped ? undefined : result;
    }
    await stream.end(result.digest, result.sizeBytes, rawBytes);
    progress.contentsSent += 1;
    progress.deltasSent += 1;
    return result;
  } catch (error) {
    stream.abort();
    throw error;
  }
}
