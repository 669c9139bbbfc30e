/** The encrypt stage for parts of large files. */
import type { OperatorFunction } from 'rxjs';
import type { Context } from './context.js';
import type { Part } from './large-file.js';
import { stage } from './stage.js';

/**
 * The encrypt stage for parts. The chunks of a record were encrypted by the job that made them. This stage seals the
 * record and ends it. Parts without a record are passed on unchanged.
 */
export function encryptPart(context: Context): OperatorFunction<Part, Part> {
  const { counters, progress } = context;
  return stage(counters.part.encrypt, async (part) => {
    const { record } = part;
    if (record === undefined) return part;
    const { stream, digest, sizeBytes, rawBytes, isDelta } = record;
    try {
      await stream.end(digest, sizeBytes, rawBytes);
    } catch (error) {
      stream.abort();
      throw error;
    }
    progress.contentsSent += 1;
    if (isDelta) progress.deltasSent += 1;
    return { ...part, record: undefined };
  });
}
