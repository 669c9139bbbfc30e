/** Contents by their digests, shown as files of one directory: what `regenerate --checksum` restores. */
import { TardisError } from '../errors/index.js';
import { encodeRow, EntryType, metadataOf, RowReader } from '../model/index.js';
import type { Archive, ArchiveEntry, FoundContent } from './archive.js';

/** The catalog finds digests by their first bytes. */
const LEAST_DIGITS = 16;
const MOST_DIGITS = 64;
const PERMISSIONS = 0o600;

/**
 * An archive in which `/DIGEST` is a file, for each of the digests (in hexadecimal; their first 16 digits
 * or more will do), and their whole digests. Throws USAGE, NO_SUCH_PATH, and NO_ACCESS for all but root:
 * a digest has no owner.
 */
export async function contentsAsFiles(
  archive: Archive,
  digests: readonly string[],
  nowMs: number,
): Promise<{ archive: Archive; names: string[] }> {
  if (!archive.access.isUnrestricted) {
    throw new TardisError('NO_ACCESS', 'only root may ask for contents by their digests');
  }
  const files = new Map<string, ArchiveEntry>();
  for (const text of digests) {
    const found = await findOne(archive, text.toLowerCase());
    files.set(`/${found.digest.toString('hex')}`, entryOf(found, nowMs));
  }
  const names = [...files.keys()];
  const shown = Object.create(archive, {
    find: { value: async (path: Buffer) => files.get(path.toString('latin1')) },
    roots: { value: async () => [] },
  }) as Archive;
  return { archive: shown, names };
}

async function findOne(archive: Archive, text: string): Promise<FoundContent> {
  const isDigest = new RegExp(`^[0-9a-f]{${LEAST_DIGITS},${MOST_DIGITS}}$`).test(text);
  if (!isDigest || text.length % 2 !== 0) {
    throw new TardisError(
      'USAGE',
      `"${text.slice(0, MOST_DIGITS)}" is no digest: give 16 to 64 hexadecimal digits, an even number`,
    );
  }
  const prefix = Buffer.from(text, 'hex');
  const [found, another] = await archive.findContents(prefix, 2);
  if (found === undefined) {
    throw new TardisError('NO_SUCH_PATH', `no content has the digest ${text}`);
  }
  if (another !== undefined) {
    throw new TardisError('USAGE', `more than one digest begins with ${text}; give more digits`);
  }
  // Nothing is stored of what is empty: the digest would be proven by no byte.
  if (!found.digest.subarray(0, prefix.length).equals(prefix) || found.sizeBytes === 0) {
    throw new TardisError('NOT_AUTHENTIC', `the store shows another content than ${text}`);
  }
  return found;
}

function entryOf({ contentId, digest, sizeBytes }: FoundContent, nowMs: number): ArchiveEntry {
  const name = Buffer.from(digest.toString('hex'));
  const entry = {
    name,
    type: EntryType.file,
    flags: 0,
    permissions: PERMISSIONS,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    linkCount: 1,
    sizeBytes,
    mtimeNs: BigInt(nowMs) * 1_000_000n,
    ctimeNs: 0n,
    birthTimeNs: 0n,
    inode: 0n,
    device: 0n,
    digest,
    linkTarget: undefined,
    attributes: undefined,
  } as const;
  const metadata = metadataOf(new RowReader(encodeRow({ ...entry, digest: undefined })), 0);
  return {
    ...entry,
    directory: 0,
    firstSet: 0,
    lastSet: undefined,
    contentId,
    childId: undefined,
    metadata,
  };
}
