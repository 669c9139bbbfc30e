/** Proves a pack or an object by the checksums of its own records, with no use of parity. */
import { isRecordSound, type RecordReader, scanRecords } from '../packs/scan.js';
import { recordBytes } from '../packs/record.js';
import { isUnreadableDisk } from './parity-file.js';

/** A sound record: its range of bytes. */
interface SoundRange {
  readonly from: number;
  readonly to: number;
}

export interface SoundRecords {
  /** Records whose header and body match their checksums, ascending. */
  readonly ranges: readonly SoundRange[];
  /** End of the sound records that follow one another from the start. */
  readonly wholeBytes: number;
  /** True if damaged bytes lie before a sound record, and not only at the end. */
  readonly hasGap: boolean;
}

/** Reads a whole pack or object, and returns its sound records. */
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
 * True if `after` has every sound record of `before`, and more bytes of sound records. A record of `before` within a
 * larger one of `after` was part of a body, since a stored content may contain packs.
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

/** Returns a reader that reads zeros where the disk cannot read. */
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

/** Size of a piece that reads as zeros if the disk cannot read it. */
const PIECE_BYTES = 4096;

async function readPieces(
  reader: RecordReader,
  name: string,
  position: number,
  target: Uint8Array,
): Promise<number> {
  const sizeBytes = (await reader.size(name)) ?? 0;
  const bytes = Math.max(0, Math.min(target.length, sizeBytes - position));
  // Pieces end where the disk's sectors end, so that no sound one is lost with another.
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
