/**
 * Chooses the compression effort. A first backup is limited by the processors. Later backups send only changes, which
 * are few: they are compressed at a higher level and in larger frames. Above a number of bytes this would slow the
 * session down, so the usual level is used again.
 */
import { LARGE_FILE_BYTES } from '../model/index.js';
import { Codec } from '../store/index.js';
import type { FrameOptions } from '../workers/index.js';
import type { ParcelLimits } from './parcel.js';

export interface EffortSettings
  extends FrameOptions,
    Pick<ParcelLimits, 'parcelFiles' | 'parcelBytes'> {
  readonly budgetBytes: number;
  /** Level for changes, if it is higher than the usual one. */
  readonly changeLevel: number;
  /** Maximum size of a frame of changes, if it is larger than usual. */
  readonly changeFrameBytes: number;
  /** Maximum number of bytes in a session that are compressed as changes; 0 for none. */
  readonly changeBytes: number;
}

/**
 * Divisor of the frame size: a content shares a frame only if it is at most this fraction of the frame, so that each
 * shared frame has several contents.
 */
const FRAME_SHARE = 4;
/** Divisor of the budget: a parcel takes at most this fraction of it, so that several stages can have a parcel. */
const BUDGET_SHARE = 3;

/** The current effort; the limits of parcels follow it. */
export class Effort implements ParcelLimits {
  readonly largeBytes = LARGE_FILE_BYTES;
  private leftBytes: number;
  private readonly usual: EffortSettings;
  private readonly more: EffortSettings;

  /**
   * `isFirst` returns true if there is no backup yet. It is called when the first contents are cut, since the answer is
   * not known earlier.
   */
  constructor(
    settings: EffortSettings,
    private readonly isFirst: () => boolean,
  ) {
    const { codec } = settings.compression;
    const hasLevels = codec === Codec.zstd || codec === Codec.zlib;
    this.leftBytes = hasLevels ? settings.changeBytes : 0;
    this.usual = settings;
    this.more = withMore(settings);
  }

  get parcelFiles(): number {
    return this.now.parcelFiles;
  }

  get parcelBytes(): number {
    return this.now.parcelBytes;
  }

  /** Frame options of a first backup, whose contents are compressed as they are read. */
  get usualFrames(): FrameOptions {
    return framesOf(this.usual);
  }

  /** Returns the frame options for the next contents, whose total size is `contentBytes`, and counts these bytes. */
  framesFor(contentBytes: number): FrameOptions {
    const frames = framesOf(this.now);
    this.leftBytes -= contentBytes;
    return frames;
  }

  private get now(): EffortSettings {
    return this.leftBytes > 0 && !this.isFirst() ? this.more : this.usual;
  }
}

function withMore(settings: EffortSettings): EffortSettings {
  const { compression, budgetBytes, changeLevel, changeFrameBytes } = settings;
  const frameBytes = Math.max(settings.frameBytes, changeFrameBytes);
  const sharedBytes = Math.min(LARGE_FILE_BYTES, Math.floor(frameBytes / FRAME_SHARE));
  const roomBytes = Math.min(frameBytes, Math.floor(budgetBytes / BUDGET_SHARE));
  const parcelBytes = Math.max(settings.parcelBytes, roomBytes);
  return {
    ...settings,
    compression: { ...compression, level: Math.max(compression.level, changeLevel) },
    frameBytes,
    smallBytes: Math.max(settings.smallBytes, sharedBytes),
    // Keeps the usual ratio of files to bytes.
    parcelFiles: Math.ceil((settings.parcelFiles * parcelBytes) / settings.parcelBytes),
    parcelBytes,
  };
}

function framesOf(settings: EffortSettings): FrameOptions {
  const { compression, smallBytes, smallRawBytes, frameBytes } = settings;
  return { compression, smallBytes, smallRawBytes, frameBytes };
}
