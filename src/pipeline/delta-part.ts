/**
 * The delta stage for parts of large files. Small files are never sent as deltas, since the round trip costs more than
 * sending a whole file.
 */
import type { OperatorFunction } from 'rxjs';
import type { Context } from './context.js';
import type { FileDelta } from './file-delta.js';
import type { Part } from './large-file.js';
import { readPart, startOf } from './read-part.js';
import { stage } from './stage.js';
import { PART_BYTES } from './streams.js';

/**
 * The delta stage for parts: compares a part with the whole basis and sends the chunks of the delta, in one job. Parts
 * without a basis, and parts whose delta did not pay, are passed on unchanged. A part that waits for the signature has
 * no slot of `context.streams`, so other files are read meanwhile.
 */
export function deltaPart(context: Context): OperatorFunction<Part, Part> {
  return stage(context.counters.part.delta, async (part) => {
    const { file, slot, wasThere } = part;
    const { delta } = file;
    if (delta === undefined || wasThere || !(await delta.isReady)) return part;
    return slot.reading(() => sendDelta(context, part, delta));
  });
}

/** Sends a part as a delta, unless that does not pay. */
async function sendDelta(context: Context, part: Part, delta: FileDelta): Promise<Part> {
  const { counters, encryption, settings, streams } = context;
  const { file, offset, first } = part;
  const { ms, bytes } = streams.sending;
  const partBytes = Math.min(PART_BYTES, file.formBytes - offset);
  const request = delta.request(partBytes, file.formBytes, bytes > 0 ? ms / bytes : undefined);
  const stream = encryption.openDelta(startOf(context, file), delta.offer);
  try {
    const isSigning = file.signature !== undefined && first?.signature === undefined;
    const { compression } = settings;
    const host = counters.part.delta;
    const how = { isSigning, compression, delta: request, stream, host };
    const sent = await readPart(context, part, how);
    const { isDropped, rawBytes } = sent.delta!;
    const { digest, sizeBytes } = sent;
    if (isDropped || sizeBytes === 0) {
      delta.dropped += isDropped ? 1 : 0;
      stream.abort();
      return isDropped ? part : { ...part, sent };
    }
    return { ...part, sent, record: { stream, digest, sizeBytes, rawBytes, isDelta: true } };
  } catch (error) {
    stream.abort();
    throw error;
  }
}
