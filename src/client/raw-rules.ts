/** Which files the user wants stored as they are: by MIME type, by ending, by size. */
import { splitWords } from '../config/index.js';
import { systemCode, TardisError } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { byteText, readSmallFile } from '../system/index.js';
import type { RawRules } from '../workers/index.js';

const MAX_FILE_BYTES = 1 << 20;
/** Each file's ending is looked for among them. */
const MAX_ENDINGS = 4096;

export interface RawWishes {
  /** `video/mp4`, `image/*` or `.iso`. */
  readonly types: readonly string[];
  /** A file of such words. */
  readonly file: Buffer | undefined;
  readonly belowBytes: number;
}

/** Makes the rules. Throws CONFIG_INVALID for a type nobody knows, or a file that cannot be read. */
export async function rawRules({ types, file, belowBytes }: RawWishes): Promise<RawRules> {
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
    if (error instanceof TardisError) throw error;
    const code = systemCode(error) ?? 'unknown';
    throw new TardisError('CONFIG_INVALID', `cannot read NoCompressFile ${shown}: ${code}`);
  }
}

/** The endings of a MIME type, or of all types that begin with what stands before a `*`. */
async function endingsOf(type: string): Promise<string[]> {
  const { extensions } = (await import('mime-types')).default; // a table of some size
  const wanted = type.toLowerCase();
  const found = Object.entries(extensions)
    .filter(([name]) =>
      wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted,
    )
    .flatMap(([, endings]) => endings);
  if (found.length > 0) return found;
  throw new TardisError(
    'CONFIG_INVALID',
    `NoCompress: "${type.slice(0, 80)}" is no MIME type of a known ending; an ending is written .iso`,
  );
}
