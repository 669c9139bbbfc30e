/**
 * The format file of a client. A directory with a format file is a client. The file contains the number of the format,
 * the client's id, and the kind of key records that the client needs. So a client that has lost its key records is
 * never treated as a client without a password.
 */
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { failedTo, TardisError } from '../../errors/index.js';
import { failedStoreWrite, type Files, readStart, replaceFile } from '../../system/index.js';
import { isGeneration } from './bucket-names.js';
import { FORMAT_FILE } from './layout.js';

export const STORE_FORMAT = 1;
const MAX_FORMAT_FILE_BYTES = 64 << 10;

/** Kind of key records that a client must have: none, those of a password alone, or those that encrypt. */
export type NeededKeys = 'none' | 'password' | 'encryption';

const KINDS_OF_KEYS: ReadonlySet<unknown> = new Set<NeededKeys>(['none', 'password', 'encryption']);

export interface ClientFormat {
  readonly format: number;
  readonly clientId: string;
  readonly keys: NeededKeys;
  /** In a bucket: the generation of the client that a rewrite has made; undefined for the first one. */
  readonly generation?: string;
}

/**
 * Writes the format file of a client. The promise resolves when the data is durable. Throws DISK_FULL if the disk is
 * full, STORE_NOT_WRITABLE if this user may not write the file.
 */
export async function writeFormat(
  files: Files,
  directory: string,
  format: Omit<ClientFormat, 'format'>,
): Promise<void> {
  const formatPath = path.join(directory, FORMAT_FILE);
  try {
    await replaceFile(files, formatPath, formatBytes(format));
  } catch (error) {
    throw failedStoreWrite(files, formatPath, error);
  }
}

/** Returns the bytes of a format file. */
export function formatBytes({ clientId, keys, generation }: Omit<ClientFormat, 'format'>): Buffer {
  const later = generation === undefined ? {} : { generation };
  const body = { format: STORE_FORMAT, clientId, keys, ...later };
  return Buffer.from(`${JSON.stringify({ ...body, sum: formatSum(body) })}\n`);
}

/**
 * Returns a checksum of the body. It distinguishes a flipped bit in the number of the format from a store of another
 * format.
 */
function formatSum(body: object): string {
  return crc32(JSON.stringify(body)).toString(16).padStart(8, '0');
}

/** True if the body has the shape of this format, or the number of another format. */
function isFormat(body: object): body is ClientFormat {
  const { format, clientId, keys, generation } = body as Readonly<Record<string, unknown>>;
  if (format !== STORE_FORMAT) return typeof format === 'number';
  const isPlaced =
    generation === undefined || (typeof generation === 'string' && isGeneration(generation));
  return typeof clientId === 'string' && KINDS_OF_KEYS.has(keys) && isPlaced;
}

/**
 * Reads the format file; undefined if there is none. Throws STORE_NOT_READABLE or IO_FAILED if it cannot be read, and FORMAT_DAMAGED
 * if it is damaged.
 */
export function readFormat(files: Files, directory: string): ClientFormat | undefined {
  const formatPath = path.join(directory, FORMAT_FILE);
  let text: string;
  try {
    const bytes = readStart(files, formatPath, MAX_FORMAT_FILE_BYTES);
    if (bytes === undefined) return undefined;
    text = bytes.toString('utf8');
  } catch (error) {
    throw failedTo(`read ${formatPath}`, error, 'readStore');
  }
  return parseFormat(text, formatPath);
}

/** Parses the text of a format file. `shown` names the file in errors. Throws FORMAT_DAMAGED if the text is damaged. */
export function parseFormat(text: string, shown: string): ClientFormat {
  try {
    const { sum, ...body } = JSON.parse(text) as { sum?: unknown };
    if (sum === formatSum(body) && isFormat(body)) return body;
  } catch (error) {
    throw new TardisError('FORMAT_DAMAGED', `${shown} is damaged`, {}, error);
  }
  throw new TardisError('FORMAT_DAMAGED', `${shown} is damaged`);
}
