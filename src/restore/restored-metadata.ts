/** Decides which metadata restored entries get: those of the set, or those of a new file. */
import { readFileSync } from 'node:fs';
import {
  EntryType,
  joinRow,
  METADATA_FROM,
  metadataOf,
  RowOffset,
  RowReader,
  timeAmong,
  withAttributes,
  withoutCapabilities,
} from '../model/index.js';

export const SET_ID_BITS = 0o6000;

/** Metadata of the set that a restore sets; all of them by default. */
export interface MetadataChoice {
  readonly setTimes?: boolean;
  readonly setPermissions?: boolean;
  readonly setOwner?: boolean;
  readonly setAttributes?: boolean;
  /** False to omit inode flags, which only root can set. */
  readonly setFlags?: boolean;
}

/** Replaces the metadata that are not restored from the set. */
export class RestoredMetadata {
  private readonly nowNs: bigint;
  private readonly umask: number;

  constructor(
    private readonly options: MetadataChoice,
    nowMs: number,
  ) {
    this.nowNs = BigInt(Math.round(nowMs)) * 1_000_000n;
    this.umask = currentUmask();
  }

  of(metadata: Buffer): Buffer {
    const { setTimes, setPermissions, setOwner, setAttributes } = this.options;
    const type = metadata[RowOffset.type - METADATA_FROM];
    let chosen = Buffer.from(metadata);
    if (setAttributes === false) chosen = withOnly(metadata, timeAmong);
    else if (setOwner === false) chosen = withOnly(metadata, withoutCapabilities);
    const permissionsAt = RowOffset.permissions - METADATA_FROM;
    if (setPermissions === false && type !== EntryType.symlink) {
      const open = type === EntryType.directory ? 0o777 : 0o666;
      chosen.writeUInt16LE(open & ~this.umask, permissionsAt);
    }
    if (setOwner === false && type !== EntryType.directory) {
      // Without the owner of the set, the file must not run with the rights of the user who restores it.
      chosen.writeUInt16LE(chosen.readUInt16LE(permissionsAt) & ~SET_ID_BITS, permissionsAt);
    }
    if (setTimes === false) chosen.writeBigInt64LE(this.nowNs, RowOffset.mtimeNs - METADATA_FROM);
    return chosen;
  }
}

/** Returns a copy with those attributes that `choose` leaves. */
function withOnly(
  metadata: Buffer,
  choose: (packed: Buffer | undefined) => Buffer,
): Buffer<ArrayBuffer> {
  const row = joinRow(metadata, Buffer.from('x'), undefined);
  const rows = new RowReader(row);
  const left = withAttributes(row, choose(rows.attributes(0)));
  return Buffer.from(metadataOf(new RowReader(left), 0));
}

const DEFAULT_UMASK = 0o022;

/** Returns the umask. process.umask() is not used, since it changes the mask for a moment, for all threads. */
export function currentUmask(): number {
  const found = /^Umask:\s*([0-7]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return found === null ? DEFAULT_UMASK : Number.parseInt(found[1]!, 8);
}
