/**
 * The second step of a large file: determines the basis with which its parts are compared. The server offers the earlier
 * version of a changed file. If this machine remembers contents to which the file is more similar, as after a rotation of
 * logs, or if the file is new, these are sought at the server.
 */
import { blockBytesFor, samplePlaces } from '../delta/index.js';
import { RowReader } from '../model/index.js';
import { MAX_SOUGHT } from '../transport/index.js';
import type { SimilarOutput } from '../workers/index.js';
import type { Context } from './context.js';
import { FileDelta, isDear, takerOf } from './file-delta.js';
import type { Source } from './large-file.js';
import type { OfferedBasis } from './peer.js';

/**
 * Returns the delta of a file, and begins to fetch the signature of its basis; undefined if it has no basis, or does not
 * suit a delta. Waits for the memory of a signature, which `context.streams` limits. `PartsSender` returns it.
 */
export async function findBasis(context: Context, source: Source): Promise<FileDelta | undefined> {
  const { jobs, peer, streams } = context;
  const offered = peer.basisOf(source.slot, new RowReader(source.row).name(0));
  if (source.blockBytes === undefined) {
    offered?.release();
    return undefined;
  }
  const basis = await bestBasis(context, source, offered);
  if (basis === undefined) return undefined;
  // A file under a new name, or with another time only, may be an unchanged one. Then it is hashed, and its signature is
  // not needed. A server makes one meanwhile, but of an encrypted content it can only send the bytes.
  const isMadeHere = peer.contentKeys !== undefined && !basis.hasSignature;
  const mayBeSame = (basis !== offered || isMadeHere) && source.hashFirst;
  // A server can sign ranges of contents in clear only.
  const rangeBytes = peer.contentKeys === undefined ? streams.rangeBytes : undefined;
  const { signatureBytes } = streams;
  return FileDelta.begin(basis, jobs, { signatureBytes, rangeBytes, mayBeSame });
}

/**
 * Returns the basis that is most similar to a file: the offered one, or one that is sought. Releases the offered one if it is
 * not that.
 */
async function bestBasis(
  context: Context,
  source: Source,
  offered: OfferedBasis | undefined,
): Promise<OfferedBasis | undefined> {
  const { peer, similar } = context;
  const rows = new RowReader(source.row);
  const [user, digest] = [rows.uid(0), offered?.digest];
  const isKnown = digest !== undefined && similar.knows(user, digest);
  const isDoubtful = offered !== undefined && isDear(offered) && !isKnown;
  if (!isDoubtful && (peer.isEmpty || similar.isEmpty)) return offered;
  const { features, isSimilar } = await look(context, source, isDoubtful ? offered : undefined);
  const { near, isSharing } = similar.compare(user, features, digest);
  const isNear = digest !== undefined && near.some((one) => one.equals(digest));
  if (offered !== undefined && (isKnown ? isNear : !isDoubtful || isSimilar)) return offered;
  if (near.length === 0 && isSharing === true) return offered;
  offered?.release();
  if (near.length === 0) return undefined;
  const last = isSharing === true && digest !== undefined ? [digest] : [];
  const sought = [...near.slice(0, MAX_SOUGHT - last.length), ...last];
  const found = await peer.seekBasis(source.slot, rows.name(0), Buffer.concat(sought));
  if (found === undefined) return undefined;
  // It may be the whole content below one that was sought, and the size of a delta on the content of another user would show
  // how much of it this one has guessed.
  const isOwn =
    sought.some((one) => Buffer.compare(one, found.digest) === 0) ||
    similar.knows(user, found.digest);
  if (isOwn) return found;
  found.release();
  return undefined;
}

/** Looks at stretches of a file: finds features, and compares them with a sample of `doubtful`. */
async function look(
  { counters, jobs, similar }: Context,
  { directoryPath, directory, row, sparseHead, formBytes }: Source,
  doubtful: OfferedBasis | undefined,
): Promise<SimilarOutput> {
  const sample = doubtful && sampleOf(doubtful);
  const signature =
    doubtful && sample && jobs.loadSignature(doubtful.sizeBytes, sample.signedBytes);
  try {
    const isThere = signature && (await doubtful?.fetch(true, takerOf(signature)));
    const { output, busyMs } = await jobs.run('similar', {
      directoryPath,
      directory,
      row,
      sparseHead,
      formBytes,
      gear: similar.isEmpty ? undefined : similar.gear,
      sample: isThere === true && sample ? { ...sample, signature: signature.number } : undefined,
    });
    counters.basis.count(0, 0, busyMs);
    return output;
  } finally {
    signature?.close();
  }
}

interface Sample {
  readonly spacingBytes: number;
  readonly bytes: number;
  readonly signedBytes: number;
}

/** Returns the form of a sample of a basis's signature; undefined if the basis has no signature. */
function sampleOf({ sizeBytes }: OfferedBasis): Sample | undefined {
  const blockBytes = blockBytesFor(sizeBytes);
  if (blockBytes === undefined) return undefined;
  const { places, bytes, spacingBytes } = samplePlaces(sizeBytes, blockBytes);
  return { spacingBytes, bytes, signedBytes: places.length * bytes };
}
