/** Rules for files that are stored uncompressed: by MIME type, by file name extension, by size. */
import { splitWords } from '../config/index.js';
import { failedTo, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { byteText, readSmallFile } from '../system/index.js';
import type { RawRules } from '../workers/index.js';

const MAX_FILE_BYTES = 1 << 20;
/** Maximum number of extensions. The extension of every file is looked up among them. */
const MAX_ENDINGS = 4096;

interface RawRuleOptions {
  /** MIME types and extensions, for example `video/mp4`, `image/*` or `.iso`. */
  readonly types: readonly string[];
  /** Path of a file with further types and extensions. */
  readonly file: Buffer | undefined;
  readonly belowBytes: number;
}

/** Returns the rules. Throws CONFIG_INVALID for an unknown type, or for a file that cannot be read. */
export async function rawRules({ types, file, belowBytes }: RawRuleOptions): Promise<RawRules> {
  const words = file === undefined ? types : [...types, ...wordsOf(file)];
  const endings = new Set<string>();
  for (const word of words) {
    const found = word.startsWith('.') ? [word.slice(1)] : await endingsOf(word);
    for (const ending of found) endings.add(ending.toLowerCase());
  }
  if (endings.size > MAX_ENDINGS) {
    throw new TardisError('CONFIG_INVALID', `NoCompress has more than ${MAX_ENDINGS} endings`);
  }
  return { endings: [...endings], belowBytes };
}

function wordsOf(file: Buffer): string[] {
  const shown = displayName(file);
  try {
    return splitWords(byteText(readSmallFile(file, MAX_FILE_BYTES)), shown, true);
  } catch (error) {
    throw failedTo(`read NoCompressFile ${shown}`, error, 'useNamedFile');
  }
}

/** Returns the extensions of a MIME type; a type that ends in `*` matches all types with that prefix. */
async function endingsOf(type: string): Promise<string[]> {
  const { extensions } = (await import('mime-types')).default; // a large table, so it is loaded only when needed
  const wanted = type.toLowerCase();
  const found = Object.entries(extensions)
    .filter(([name]) =>
      wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted,
    )
    .flatMap(([, endings]) => endings);
  if (found.length > 0) return found;
  throw new TardisError(
    'CONFIG_INVALID',
    `NoCompress: "${type.slice(0, 80)}" is not a MIME type with a known ending; write an ending as .iso`,
  );
}
