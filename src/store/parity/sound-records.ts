/** Proves a pack or an object by the checksums of its own records, without its parity. */
import { isRecordSound, type RecordReader, scanRecords } from '../packs/scan.js';
import { recordBytes } from '../packs/record.js';
import { isUnreadableDisk } from './parity-file.js';

/** The range of bytes of a sound record. */
interface SoundRange {
  readonly from: number;
  readonly to: number;
}

export interface SoundRecords {
  /** Ranges of the records whose header and body match their checksums, in ascending order. */
  readonly ranges: readonly SoundRange[];
  /** End of the last sound record in the unbroken sequence of sound records from the start. */
  readonly wholeBytes: number;
  /** True if damaged bytes lie before a sound record, and not only at the end. */
  readonly hasGap: boolean;
}

/** Reads a whole pack or object, and returns its sound records. A record that the disk cannot read is not sound. */
export async function soundRecords(
  reader: RecordReader,
  name: string,
  breathe: () => Promise<void> | undefined,
): Promise<SoundRecords> {
  const ranges: SoundRange[] = [];
  let wholeBytes = 0;
  const lenient = zeroed(reader);
  for await (const { position, header } of scanRecords(lenient, name, 0, true)) {
    await breathe();
    if (!(await isRecordSound(lenient, name, position, header))) continue;
    const to = position + recordBytes(header);
    ranges.push({ from: position, to });
    if (position === wholeBytes) wholeBytes = to;
  }
  return { ranges, wholeBytes, hasGap: (ranges.at(-1)?.to ?? 0) > wholeBytes };
}

/**
 * True if `after` has every sound record of `before`, and more bytes of sound records. If a record of `before` lies
 * within a larger one of `after`, it was part of a body, since a stored content may contain packs.
 */
export function isBetter(after: SoundRecords, before: SoundRecords): boolean {
  let at = 0;
  for (const { from, to } of before.ranges) {
    while (at < after.ranges.length && after.ranges[at]!.to < to) at += 1;
    const range = after.ranges[at];
    if (range === undefined || range.from > from) return false;
  }
  return soundBytes(after) > soundBytes(before);
}

function soundBytes({ ranges }: SoundRecords): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** Returns a reader that returns zeros for bytes that the disk cannot read. */
export function zeroed(reader: RecordReader): RecordReader {
  return {
    size: (name) => reader.size(name),
    read: async (name, position, target, bytes) => {
      try {
        return await reader.read(name, position, target, bytes);
      } catch (error) {
        if (!isUnreadableDisk(error)) throw error;
        return readPieces(reader, name, position, target.subarray(0, bytes));
      }
    },
  };
}

/** Number of bytes that are returned as zeros together if the disk cannot read one of them. */
const PIECE_BYTES = 4096;

async function readPieces(
  reader: RecordReader,
  name: string,
  position: number,
  target: Uint8Array,
): Promise<number> {
  const sizeBytes = (await reader.size(name)) ?? 0;
  const bytes = Math.max(0, Math.min(target.length, sizeBytes - position));
  // Pieces end where the disk's sectors end, so that no readable sector is lost with an unreadable one.
  for (let at = 0; at < bytes; ) {
    const count = Math.min(PIECE_BYTES - ((position + at) % PIECE_BYTES), bytes - at);
    const piece = target.subarray(at, at + count);
    try {
      await reader.read(name, position + at, piece, count);
    } catch (error) {
      if (!isUnreadableDisk(error)) throw error;
      piece.fill(0);
    }
    at += count;
  }
  return bytes;
}
