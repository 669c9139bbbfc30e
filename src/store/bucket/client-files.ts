/** Reads and makes the object of a client, or of a generation of one: its format file and a key record. */
import path from 'node:path';
import { asTardisError, TardisError } from '../../errors/index.js';
import { jsonFields } from '../../model/index.js';
import { parseFormat } from '../layout/format-file.js';
import { keyFileNumber, FORMAT_FILE, KEYS_DIRECTORY } from '../layout/layout.js';
import type { ObjectStore } from '../objects/index.js';
import { clientObject } from '../layout/bucket-names.js';
import { readSmall } from './generation-notes.js';

const VERSION = 1;
const MAX_BYTES: number = 256 << 10;

/** Files by their paths in the directory of a client: its format file, and a key record if there is one. */
export type ClientFiles = ReadonlyMap<string, Buffer>;

/** Returns the bytes of an object with these files. */
export function objectOfFiles(files: ClientFiles): Buffer {
  const body: Record<string, string> = {};
  for (const [name, bytes] of files) body[name] = bytes.toString('base64');
  return Buffer.from(`${JSON.stringify({ version: VERSION, files: body })}\n`);
}

/**
 * Returns the files in the object of a client or generation; undefined if it is missing. Throws FORMAT_DAMAGED if it is
 * damaged or of another generation, and STORE_NEWER if it has a newer format.
 */
export async function readClientFiles(
  store: ObjectStore,
  client: string,
  generation?: string,
): Promise<ClientFiles | undefined> {
  const bytes = await readObject(store, client, generation);
  if (bytes === undefined) return undefined;
  const files = parse(bytes, client);
  const shown = `the format file of the client "${client}"`;
  const format = parseFormat(files.get(FORMAT_FILE)!.toString('utf8'), shown);
  if (format.generation === generation) return files;
  throw new TardisError('FORMAT_DAMAGED', `${shown} is that of another generation`);
}

async function readObject(
  store: ObjectStore,
  client: string,
  generation: string | undefined,
): Promise<Buffer | undefined> {
  try {
    return await readSmall(store, clientObject(client, generation), MAX_BYTES);
  } catch (error) {
    if (asTardisError(error).code === 'OBJECT_DAMAGED') throw damagedObject(client, error);
    throw error;
  }
}

function damagedObject(client: string, cause?: unknown): TardisError {
  const what = `the object of the client "${client}" is damaged`;
  return new TardisError('FORMAT_DAMAGED', what, {}, cause);
}

function parse(bytes: Buffer, client: string): ClientFiles {
  const damaged = (): Error => damagedObject(client);
  const { version, files } = jsonFields(bytes.toString('utf8'));
  if (typeof version === 'number' && version > VERSION) {
    throw new TardisError('STORE_NEWER', `the client "${client}" has format ${version}`);
  }
  const isWhole = version === VERSION && typeof files === 'object' && files !== null;
  if (!isWhole) throw damaged();
  const parsed = new Map<string, Buffer>();
  const { [FORMAT_FILE]: format, ...keys } = files as Readonly<Record<string, unknown>>;
  for (const [name, text] of [...Object.entries(keys), [FORMAT_FILE, format] as const]) {
    const isKnown = name === FORMAT_FILE || isKeyFile(name);
    if (!isKnown || typeof text !== 'string' || parsed.size > 1) throw damaged();
    parsed.set(name, Buffer.from(text, 'base64'));
  }
  return parsed;
}

/** True for the path of a key record in the directory of a client. */
export function isKeyFile(name: string): boolean {
  const isThere = path.dirname(name) === KEYS_DIRECTORY;
  return isThere && keyFileNumber(path.basename(name)) !== undefined;
}
