/** The first step of a large file: determines whether its bytes or its sparse form are read. */
import { DataRanges, SparseMap } from '../contents/index.js';
import { holdsDevice, RowFlag, RowReader } from '../model/index.js';
import { type Source, UnreadableFile } from './large-file.js';
import type { LargeFile } from './parcel.js';
import { signatureBlocks } from './signature-sender.js';
import type { DataInput, DataOutput, ListedFile } from '../workers/index.js';
import type { Context } from './context.js';
import { PART_BYTES, PartSlot } from './streams.js';

/**
 * Returns the source of a large file. A file with fewer blocks than its size is checked for holes, a device for zeros. A sparse file is
 * hashed first unless the server is empty: the server stores only sizes of sparse forms, so only the digest shows
 * whether it has the content. Throws UnreadableFile.
 */
export async function openLarge(context: Context, file: LargeFile): Promise<Source> {
  const { counters, jobs, peer } = context;
  const { directoryPath, directory, row, sizeBytes } = file;
  const dense = {
    ...file,
    sparseHead: undefined,
    formBytes: sizeBytes,
    blockBytes: signatureBlocks(sizeBytes),
  };
  if ((new RowReader(row).flags(0) & RowFlag.sparse) === 0) return dense;
  const { output, busyMs } = await jobs.run('holes', { directoryPath, directory, row });
  counters.open.count(0, 0, busyMs);
  if (output.failure !== '') throw new UnreadableFile(output.failure);
  // The map is that of the file that has the name now, and so is its row.
  const found = Buffer.from(output.row);
  const isDevice = holdsDevice(new RowReader(found), 0);
  const device = { directoryPath, directory, row: found };
  const head = isDevice ? await deviceHead(context, device, output.sizeBytes) : output.head;
  if (head.length === 0) return { ...dense, row: found };
  const map = new SparseMap(head);
  return {
    ...file,
    row: found,
    sizeBytes: map.fileBytes,
    sparseHead: head,
    formBytes: map.formBytes,
    blockBytes: signatureBlocks(map.formBytes),
    hashFirst: !peer.isEmpty,
  };
}

/** Size of a sample of a device, and number of its places. */
const SAMPLE_BYTES = 64 << 10;
const SAMPLED_PLACES = 256;

/**
 * Returns the head of the sparse form of a block device, whose zeros count as holes; empty if it has too few. All of it is
 * read for that, unless none of many samples is zeros. Throws UnreadableFile.
 */
async function deviceHead(
  context: Context,
  device: ListedFile,
  sizeBytes: number,
): Promise<Uint8Array> {
  const stepBytes = Math.floor(sizeBytes / SAMPLED_PLACES / SAMPLE_BYTES) * SAMPLE_BYTES;
  if (stepBytes > SAMPLE_BYTES) {
    const places = Array.from({ length: SAMPLED_PLACES }, (_, index) => index * stepBytes);
    const found = await dataAt(context, { ...device, places, bytes: SAMPLE_BYTES });
    const dataBytes = found.reduce((sum, [, bytes]) => sum + bytes, 0);
    if (dataBytes === SAMPLED_PLACES * SAMPLE_BYTES) return new Uint8Array();
  }
  const ranges = new DataRanges();
  for (let at = 0; at < sizeBytes; at += PART_BYTES) {
    const bytes = Math.min(PART_BYTES, sizeBytes - at);
    const found = await dataAt(context, { ...device, places: [at], bytes });
    for (const [offset, length] of found) ranges.add(offset, length);
  }
  return ranges.head(sizeBytes) ?? new Uint8Array();
}

async function dataAt(
  { counters, jobs, peer, streams }: Context,
  input: DataInput,
): Promise<DataOutput['extents']> {
  if (peer.failure !== undefined) throw peer.failure;
  const slot = new PartSlot(streams, input.bytes, false);
  const { output, busyMs } = await slot.reading(() => jobs.run('data', input));
  counters.open.count(0, 0, busyMs);
  if (output.failure !== '') throw new UnreadableFile(output.failure);
  return output.extents;
}
