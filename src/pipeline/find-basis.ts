/** The first step of the delta stage for a large file: determines the basis with which its parts are compared. */
import type { OperatorFunction } from 'rxjs';
import { RowReader } from '../model/index.js';
import type { Context } from './context.js';
import { FileDelta } from './file-delta.js';
import type { BasedFile, OpenedFile, Source } from './large-file.js';
import { stage } from './stage.js';

/**
 * Emits large files with their bases, and begins to fetch the signatures. Files wait for the memory of a signature,
 * which `context.streams` limits. The stage that sends the parts returns the memory.
 */
export function findBasis(context: Context): OperatorFunction<OpenedFile, BasedFile> {
  const { basis } = context.counters;
  return stage(basis, async (file) => {
    const delta = await deltaOf(context, file.source);
    if (delta !== undefined) basis.count(1, file.source.formBytes, 0);
    return { ...file, delta };
  });
}

/** Returns the delta of a file; undefined if the server offers no basis, or if the file does not suit a delta. */
async function deltaOf(
  { counters, jobs, peer, streams }: Context,
  source: Source,
): Promise<FileDelta | undefined> {
  const offer = peer.basisOf(source.slot, new RowReader(source.row).name(0));
  if (offer === undefined) return undefined;
  if (source.blockBytes !== undefined) {
    const { signatureBytes } = streams;
    return FileDelta.begin(offer, source, jobs, { signatureBytes, counters: counters.basis });
  }
  offer.release();
  return undefined;
}
