/** Finds the data of a block device: its zeros count as holes. */
import { DataRanges } from '../contents/index.js';
import type { DataInput, DataOutput, ListedFile } from '../workers/index.js';
import type { Context } from './context.js';
import { UnreadableFile } from './large-file.js';
import { PART_BYTES, PartSlot } from './streams.js';

/** Size of a sample of a device, and number of its places. */
const SAMPLE_BYTES = 64 << 10;
const SAMPLED_PLACES = 256;

/**
 * Returns the head of the sparse form of a block device, whose zeros count as holes; empty if it has too few. All of it is
 * read for that, unless none of many samples is zeros. Throws UnreadableFile.
 */
export async function deviceHead(
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
