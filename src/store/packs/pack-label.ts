/**
 * Pack labels. A label is the record at the start of each pack, with the pack's number and the id of its client. It
 * shows that a file is a copy of a pack under another number, or a pack of another client. Format: docs/inside/formats.md,
 * "Labels".
 */
import { isZeros, type PackNumber } from '../../model/index.js';
import { systemCode, TardisError } from '../../errors/index.js';
import type { Backend } from '../backends/backend.js';
import { packName, packNumber, PACKS_PREFIX } from '../layout/layout.js';
import { buildRecord, parseRecord, RECORD_HEADER_BYTES, RecordKind } from './record.js';
import { Codec } from './codec.js';
import { unreadableObject } from '../backends/unreadable.js';

const CLIENT_BYTES = 16;
const INDEX_BYTES = CLIENT_BYTES + 8;
/** Length of the label record. */
export const LABEL_BYTES: number = RECORD_HEADER_BYTES + INDEX_BYTES;
const NO_BODY: Buffer = Buffer.alloc(0);
const CLIENT_ID = /^[0-9a-f]{32}$/;

interface PackLabel {
  readonly pack: PackNumber;
  /** Hexadecimal id; undefined if the writer did not have it. */
  readonly client: string | undefined;
}

/** Returns the record that a pack begins with. `client` is the id in the format file. */
export function buildLabel(pack: PackNumber, client: string | undefined): Buffer {
  const index = Buffer.alloc(INDEX_BYTES);
  if (client !== undefined && CLIENT_ID.test(client)) index.write(client, 'hex');
  index.writeBigUInt64LE(BigInt(pack), CLIENT_BYTES);
  return buildRecord({ kind: RecordKind.label, codec: Codec.none, rawBytes: 0 }, index, NO_BODY);
}

/**
 * Returns the label at the start of a pack; undefined if the pack or the label is absent, or the label is damaged or of
 * a newer format. Throws if the file cannot be read.
 */
export async function labelOf(backend: Backend, pack: PackNumber): Promise<PackLabel | undefined> {
  const bytes = Buffer.alloc(LABEL_BYTES);
  try {
    const got = await backend.read(packName(pack), 0, bytes, LABEL_BYTES);
    if (got < LABEL_BYTES) return undefined;
    return readLabel(bytes);
  } catch (error) {
    // A scan of the pack finds and reports records that are damaged, or of a newer format.
    if (unreadableObject(error) !== undefined) throw error;
    if (error instanceof TardisError || systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Returns the label that bytes begin with; undefined if they begin with another record. Throws RECORD_DAMAGED if they
 * do not begin with an intact record of a label's length, STORE_NEWER for a newer format.
 */
export function readLabel(bytes: Buffer): PackLabel | undefined {
  const { header, index } = parseRecord(bytes.subarray(0, LABEL_BYTES));
  if (header.kind !== RecordKind.label || index.length !== INDEX_BYTES) return undefined;
  const client = index.toString('hex', 0, CLIENT_BYTES);
  const isKnown = !isZeros(index.subarray(0, CLIENT_BYTES));
  const number = Number(index.readBigUInt64LE(CLIENT_BYTES));
  return { pack: number, client: isKnown ? client : undefined };
}

/** True if the label of a pack can be read. Without a label, the file may be another pack than its name indicates. */
export async function hasLabel(backend: Backend, pack: PackNumber): Promise<boolean> {
  return (await labelOf(backend, pack)) !== undefined;
}

/** Returns the numbers of all files named like packs, ascending. Some may be no packs of this client. */
export async function listPackFiles(backend: Backend): Promise<PackNumber[]> {
  const names = await backend.list(PACKS_PREFIX);
  return names
    .map((name) => packNumber(name))
    .filter((pack): pack is PackNumber => pack !== undefined)
    .sort((a, b) => a - b);
}

/** The files named like packs. */
interface PackFiles {
  /** Numbers of the packs of this client, ascending. */
  readonly packs: readonly PackNumber[];
  /** Numbers of files whose label has another number than their name, or another client. */
  readonly strange: readonly PackNumber[];
}

/**
 * Separates the packs of a client from misplaced files by their labels. A pack with an unreadable label counts as one
 * of the client's.
 */
export async function sortPackFiles(backend: Backend, from = 0): Promise<PackFiles> {
  const owner = backend.owner();
  const packs: PackNumber[] = [];
  const strange: PackNumber[] = [];
  for (const pack of await listPackFiles(backend)) {
    if (pack < from) continue;
    const label = await labelOf(backend, pack);
    const isOther =
      label !== undefined &&
      (label.pack !== pack ||
        (owner !== undefined && label.client !== undefined && label.client !== owner));
    (isOther ? strange : packs).push(pack);
  }
  return { packs, strange };
}

/** Returns the numbers of this client's packs from `from` on, ascending. */
export async function listPacks(backend: Backend, from = 0): Promise<readonly PackNumber[]> {
  return (await sortPackFiles(backend, from)).packs;
}

/**
 * Returns the client id in the labels of the packs; undefined if no label has one. `known` is the number of a pack that
 * certainly belongs to the client: if its label has an id, that id is returned. Otherwise throws FORMAT_DAMAGED if the
 * packs are of several clients.
 */
export async function clientOfPacks(
  backend: Backend,
  known?: PackNumber,
): Promise<string | undefined> {
  const packs = new Map<string, PackNumber>();
  for (const pack of await listPackFiles(backend)) {
    const label = await labelOf(backend, pack);
    if (label?.client === undefined || label.pack !== pack) continue;
    if (pack === known) return label.client;
    if (!packs.has(label.client)) packs.set(label.client, pack);
  }
  const [one, other] = [...packs.values()];
  if (other !== undefined) {
    const names = `${packName(one!)} and ${packName(other)}`;
    const what = `${names} are of different clients, and no catalog shows which is this one's`;
    throw new TardisError('FORMAT_DAMAGED', `${what}: move the packs of the other client away`);
  }
  return packs.keys().next().value;
}
