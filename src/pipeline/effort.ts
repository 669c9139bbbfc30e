/**
 * How much effort goes into compression. In a first backup processors are what is scarce. Later only
 * what has changed is sent, which is little: it is compressed at a higher level and in larger frames,
 * until so much was sent that this would hold the session up.
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
  /** Changes compressed together at most, if that is more than usual. */
  readonly changeFrameBytes: number;
  /** So much of what a session sends counts as changes; 0: nothing does. */
  readonly changeBytes: number;
}

/** What shares frames is at most so much of one: they shall have several contents. */
const FRAME_SHARE = 4;
/** A parcel takes at most this part of the budget, so that several stages have one. */
const BUDGET_SHARE = 3;

/** Effort as it is now; the limits of parcels follow it. */
export class Effort implements ParcelLimits {
  readonly largeBytes = LARGE_FILE_BYTES;
  private leftBytes: number;
  private readonly isFirst: () => boolean;
  private readonly usual: EffortSettings;
  private readonly more: EffortSettings;

  /** `isFirst`: there is no backup yet; asked when the first contents are cut, since it shows late. */
  constructor(settings: EffortSettings, isFirst: () => boolean) {
    const { codec } = settings.compression;
    const hasLevels = codec === Codec.zstd || codec === Codec.zlib;
    this.leftBytes = hasLevels ? settings.changeBytes : 0;
    this.isFirst = isFirst;
    this.usual = settings;
    this.more = withMore(settings);
  }

  get parcelFiles(): number {
    return this.now.parcelFiles;
  }

  get parcelBytes(): number {
    return this.now.parcelBytes;
  }

  /** What a first backup's contents get, which are compressed as they are read. */
  get usualFrames(): FrameOptions {
    return framesOf(this.usual);
  }

  /** What the next contents get, of so many bytes in all. */
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
  const { smallBytes } = settings;
  const sharedBytes = Math.min(LARGE_FILE_BYTES, Math.floor(frameBytes / FRAME_SHARE));
  const roomBytes = Math.min(frameBytes, Math.floor(budgetBytes / BUDGET_SHARE));
  const parcelBytes = Math.max(settings.parcelBytes, roomBytes);
  return {
    ...settings,
    compression: { ...compression, level: Math.max(compression.level, changeLevel) },
    frameBytes,
    // 0 stands for a record for each file.
    smallBytes: smallBytes === 0 ? 0 : Math.max(smallBytes, sharedBytes),
    // As many for each byte as usual.
    parcelFiles: Math.ceil((settings.parcelFiles * parcelBytes) / settings.parcelBytes),
    parcelBytes,
  };
}

function framesOf(settings: EffortSettings): FrameOptions {
  const { compression, smallBytes, smallRawBytes, frameBytes } = settings;
  return { compression, smallBytes, smallRawBytes, frameBytes };
}
