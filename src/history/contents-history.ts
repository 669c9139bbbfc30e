/** Shows contents as files of one directory, named by their digests. `regenerate --checksum` restores these files. */
import { TardisError, usageError } from '../errors/index.js';
import { EntryType, metadataOf, RowReader, unseenRow } from '../model/index.js';
import { entryOfParts } from '../store/catalog/index.js';
import type { History, HistoryEntry, FoundContent } from './history.js';

/** Minimum number of hexadecimal digits; the catalog finds digests by their first bytes. */
const LEAST_DIGITS = 16;
const MOST_DIGITS = 64;
const PERMISSIONS = 0o600;

/**
 * Returns a history in which each digest is a file `/DIGEST`, and the complete digests. Digests are hexadecimal; their
 * first 16 digits are enough. Throws USAGE for a malformed or ambiguous digest, NO_SUCH_PATH for an unknown one, and
 * NOT_AUTHENTIC if the store shows another content. Throws NO_ACCESS unless the user is root, since a digest has no
 * owner.
 */
export async function contentsAsFiles(
  history: History,
  digests: readonly string[],
  nowMs: number,
): Promise<{ history: History; names: string[] }> {
  if (!history.access.isUnrestricted) {
    throw new TardisError('NO_ACCESS', 'only root may request contents by their digests');
  }
  const files = new Map<string, HistoryEntry>();
  for (const text of digests) {
    const found = await findOne(history, text.toLowerCase());
    files.set(`/${found.digest.toString('hex')}`, entryOf(found, nowMs));
  }
  const names = [...files.keys()];
  const shown = Object.create(history, {
    find: { value: async (path: Buffer) => files.get(path.toString('latin1')) },
    roots: { value: async () => [] },
  }) as History;
  return { history: shown, names };
}

async function findOne(history: History, text: string): Promise<FoundContent> {
  const isDigest = new RegExp(`^[0-9a-f]{${LEAST_DIGITS},${MOST_DIGITS}}$`).test(text);
  if (!isDigest || text.length % 2 !== 0) {
    throw usageError(
      `"${text.slice(0, MOST_DIGITS)}" is no digest: give 16 to 64 hexadecimal digits, an even number`,
    );
  }
  const prefix = Buffer.from(text, 'hex');
  const [found, another] = await history.findContents(prefix, 2);
  if (found === undefined) {
    throw new TardisError('NO_SUCH_PATH', `no content has the digest ${text}`);
  }
  if (another !== undefined) {
    throw usageError(`more than one digest begins with ${text}; give more digits`);
  }
  // An empty content has no stored bytes, so nothing would prove its digest.
  if (!found.digest.subarray(0, prefix.length).equals(prefix) || found.sizeBytes === 0) {
    throw new TardisError('NOT_AUTHENTIC', `the store shows another content than ${text}`);
  }
  return found;
}

function entryOf({ contentId, digest, sizeBytes }: FoundContent, nowMs: number): HistoryEntry {
  const name = Buffer.from(digest.toString('hex'));
  const row = unseenRow({
    name,
    type: EntryType.file,
    permissions: PERMISSIONS,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    linkCount: 1,
    sizeBytes,
    mtimeNs: BigInt(nowMs) * 1_000_000n,
  });
  const metadata = metadataOf(new RowReader(row), 0);
  return entryOfParts({ directory: 0, firstSet: 0, name, contentId, digest, metadata });
}
