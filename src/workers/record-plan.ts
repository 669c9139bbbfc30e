/**
 * Decides which contents of a parcel share a record. Small contents share frames; those of incompressible types have
 * separate frames and are stored raw. Each larger content gets its own record. Contents with different encryption never
 * share a record. If the client encrypts, contents of files with different access are not compressed together.
 */
import { isScheme, type RowReader, type SchemeNumber } from '../model/index.js';
import { Codec, type Compression, MAX_FRAME_CONTENTS } from '../store/index.js';
import type { ContentBlock, FrameOptions } from './jobs.js';

export interface PlannedRecord {
  /** Indexes of its contents, in the order of the frame. */
  readonly contents: readonly number[];
  readonly isFrame: boolean;
  readonly compression: Compression;
  /** Undefined for the usual scheme. */
  readonly scheme: SchemeNumber | undefined;
}

/** Compression for contents that are stored raw. */
const RAW: Compression = { codec: Codec.none, level: 0 };

/** Plans the records of the contents with 1 in `wanted`; of all if that is undefined. */
export function planRecords(
  block: Pick<ContentBlock, 'sizes' | 'isRaw' | 'kinds' | 'schemes' | 'access'>,
  wanted: Uint8Array | undefined,
  options: FrameOptions,
): PlannedRecord[] {
  const records: PlannedRecord[] = [];
  // All contents of a frame have the same scheme, compression and access.
  const frames = new Map<string, FrameCollector>();
  for (const index of inOrderOfKinds(block.kinds)) {
    if (wanted !== undefined && wanted[index] !== 1) continue;
    const isRaw = block.isRaw[index] === 1;
    const compression = isRaw ? RAW : options.compression;
    const scheme = schemeAt(block, index);
    const sizeBytes = block.sizes[index]!;
    if (sizeBytes > (isRaw ? options.smallRawBytes : options.smallBytes)) {
      records.push({ contents: [index], isFrame: false, compression, scheme });
      continue;
    }
    const key = `${scheme ?? 0},${isRaw ? 'raw' : accessKey(block.access, index)}`;
    let frame = frames.get(key);
    if (frame === undefined) {
      frame = new FrameCollector(options.frameBytes, (contents) => {
        records.push({ contents, isFrame: true, compression, scheme });
      });
      frames.set(key, frame);
    }
    frame.add(index, sizeBytes);
  }
  for (const frame of frames.values()) frame.flush();
  return records;
}

function schemeAt(
  { schemes }: Pick<ContentBlock, 'schemes'>,
  index: number,
): SchemeNumber | undefined {
  const scheme = schemes[index] ?? 0;
  return isScheme(scheme) ? scheme : undefined;
}

/** Returns the indexes of the contents ordered by kind, and within a kind in their original order. */
function inOrderOfKinds(kinds: Uint32Array): number[] {
  const order = Array.from(kinds, (_kind, index) => index);
  return order.sort((a, b) => kinds[a]! - kinds[b]! || a - b);
}

/** Collects small contents until a frame is full. */
class FrameCollector {
  private contents: number[] = [];
  private bytes = 0;

  constructor(
    private readonly mostBytes: number,
    private readonly onFrame: (contents: readonly number[]) => void,
  ) {}

  add(index: number, sizeBytes: number): void {
    const isFull =
      this.bytes + sizeBytes > this.mostBytes || this.contents.length >= MAX_FRAME_CONTENTS;
    if (this.contents.length > 0 && isFull) this.flush();
    this.contents.push(index);
    this.bytes += sizeBytes;
  }

  flush(): void {
    if (this.contents.length === 0) return;
    this.onFrame(this.contents);
    this.contents = [];
    this.bytes = 0;
  }
}

/** Numbers of each content: owner, group, and what others than the owner may do. */
const ACCESS_NUMBERS = 3;
const ALL_READ = 0o004;
const OTHERS_READ = 0o044;
const OTHERS_WRITE = 0o022;

/**
 * Returns the access to files by the offsets of their rows: who may read and write them. A client that encrypts
 * compresses small contents together only if these are equal, since the size of what is compressed together shows
 * whether a guess beside a secret is right.
 */
export function accessOf(rows: RowReader, rowOffsets: Uint32Array): Uint32Array {
  const access = new Uint32Array(rowOffsets.length * ACCESS_NUMBERS);
  for (const [index, at] of rowOffsets.entries()) {
    const shared = rows.permissions(at) & (OTHERS_READ | OTHERS_WRITE);
    // Where all read and only the owner writes, the group does not matter.
    const isPublic = (shared & (ALL_READ | OTHERS_WRITE)) === ALL_READ;
    const rest = isPublic ? [0, ALL_READ] : [rows.gid(at), shared];
    access.set([rows.uid(at), ...rest], index * ACCESS_NUMBERS);
  }
  return access;
}

/** Returns a key that is equal for contents with equal access, and for all contents if `access` is empty. */
export function accessKey(access: Uint32Array, index: number): string {
  return access.subarray(index * ACCESS_NUMBERS, (index + 1) * ACCESS_NUMBERS).join();
}
