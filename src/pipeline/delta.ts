/** The delta stage. Only large files that changed pass it: each is compared with its basis, part by part. */
import { mergeMap, type OperatorFunction } from 'rxjs';
import { RowReader } from '../model/index.js';
import type { RangeOutput } from '../workers/index.js';
import type { Context } from './context.js';
import type { Encryption } from './encrypt.js';
import { FileDelta } from './file-delta.js';
import type { BasedFile, OpenedFile, Part, Source } from './large-file.js';
import { readPart, startOf } from './read-part.js';
import { PART_BYTES } from './streams.js';

/**
 * Emits large files with their bases, and begins to fetch the signatures. Files wait for the memory of a signature,
 * which `context.streams` limits; the stage that sends the parts returns it.
 */
export function findBasis(context: Context): OperatorFunction<OpenedFile, BasedFile> {
  return mergeMap(async (file) => ({ ...file, delta: await deltaOf(context, file.source) }));
}

/** Returns undefined if the server offers no basis, or if the file does not suit a delta. */
async function deltaOf(
  { jobs, peer, streams }: Context,
  source: Source,
): Promise<FileDelta | undefined> {
  const offer = peer.basisOf(source.slot, new RowReader(source.row).name(0));
  if (offer === undefined) return undefined;
  if (source.blockBytes !== undefined) {
    return FileDelta.begin(offer, source, jobs, streams.signatureBytes);
  }
  offer.release();
  return undefined;
}

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
    const result = await readPart(context, file, offset, how, stream);
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
