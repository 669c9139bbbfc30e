/** Writes many files of a restore job by one call of the addon, until a file needs a decision. */
import { digestKeyOf } from '../model/index.js';
import {
  areOwn,
  type NativeCalls,
  refusedMetadata,
  RestoreCursor,
  type System,
} from '../system/index.js';
import { bytesOf } from './block-builder.js';
import {
  NO_RECORD,
  PLACE_NUMBERS,
  type RestoreInput,
  type RestoreJobFailure,
} from './restore-types.js';
import { lacking } from './restore-errors.js';

/**
 * Calls for single files that one call of `restoreFiles` makes unnecessary. If a test replaces one of them,
 * `restoreFiles` is not used.
 */
export const REPLACED = ['openBeneath', 'sha256', 'keyDigests', 'writeFileAt', 'unlinkAt'] as const;

/** The end of a call: the next file, and whether it needs a decision. */
interface NextFile {
  readonly index: number;
  /** Offset of the row of the next file. */
  readonly at: number;
  /** Bytes of the files that the call wrote. */
  readonly writtenBytes: number;
  readonly needsDecision: boolean;
  /** True if the system refused metadata of some of the files (see `refusedAmong`). */
  readonly hasRefused: boolean;
}

/** Returns a failure for each attribute that the system refused of the files that one call of the addon wrote. */
export function refusedAmong(places: Uint32Array, from: number, to: number): RestoreJobFailure[] {
  const failures: RestoreJobFailure[] = [];
  for (let file = from; file < to; file += 1) {
    for (const attribute of refusedMetadata(places[(file + 1) * PLACE_NUMBERS - 1]!)) {
      failures.push(lacking(file, attribute));
    }
  }
  return failures;
}

export class ManyFiles {
  private readonly cursor = new Float64Array(RestoreCursor.numbers);
  private readonly cursorBytes = bytesOf(this.cursor);
  private readonly native: NativeCalls;
  private readonly input: RestoreInput;
  private readonly rootFd: number;
  private readonly directoryFds: Int32Array;

  private constructor(
    native: NativeCalls,
    input: RestoreInput,
    rootFd: number,
    directoryFds: Int32Array,
  ) {
    this.native = native;
    this.input = input;
    this.rootFd = rootFd;
    this.directoryFds = directoryFds;
  }

  /**
   * Returns a writer; undefined if a test has replaced a call for single files. Directories are opened into
   * `directoryFds`.
   */
  static of(
    { native }: System,
    input: RestoreInput,
    rootFd: number,
    directoryFds: Int32Array,
  ): ManyFiles | undefined {
    return areOwn(native, REPLACED)
      ? new ManyFiles(native, input, rootFd, directoryFds)
      : undefined;
  }

  /**
   * Writes files from the `index`-th on, whose row is at `at`, as long as they are in one record or are copies. `decoded`
   * is that record.
   */
  write(index: number, at: number, decoded: Uint8Array): NextFile {
    const { input, cursor } = this;
    const record = input.places[index * PLACE_NUMBERS + 1] ?? NO_RECORD;
    cursor.set([index, at, 0, 0, 0]);
    this.native.restoreFiles(
      this.rootFd,
      input.directories,
      bytesOf(input.directoryEnds),
      bytesOf(this.directoryFds),
      input.rows,
      bytesOf(input.places),
      decoded,
      record,
      digestKeyOf(input.keys),
      input.metadataOptions,
      this.cursorBytes,
      input.copiedNames,
    );
    return {
      index: cursor[RestoreCursor.file]!,
      at: cursor[RestoreCursor.rowOffset]!,
      writtenBytes: cursor[RestoreCursor.writtenBytes]!,
      needsDecision: cursor[RestoreCursor.needsDecision] === 1,
      hasRefused: cursor[RestoreCursor.refused] !== 0,
    };
  }
}
