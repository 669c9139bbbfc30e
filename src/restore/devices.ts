/**
 * Determines the devices of a set's entries, since inodes can only be compared within one device. The set has the
 * device numbers of its roots. A directory that was the root of another file system counts as a device of its own.
 */
import { type History, type HistoryEntry, type RootRecord, rootAbove } from '../history/index.js';
import { joinPath, METADATA_FLAGS_AT, RowFlag, type SetNumber } from '../model/index.js';

/** Returns a key for the device of the entries in a directory. `above` is the key for the directory's own entry. */
export function deviceIn({ metadata, childId }: HistoryEntry, above: string): string {
  const isOther = (metadata[METADATA_FLAGS_AT]! & RowFlag.otherDevice) !== 0;
  return isOther ? `directory ${childId ?? 0}` : above;
}

export class Devices {
  constructor(
    private readonly history: History,
    private readonly set: SetNumber,
    private readonly roots: readonly RootRecord[],
  ) {}

  /**
   * Returns a key for the device that a path is on. Looks up each directory between the path and its root. Returns an
   * empty key for a path below no root.
   */
  async above(path: Buffer): Promise<string> {
    const found = rootAbove(this.roots, path);
    if (found === undefined) return '';
    const { root, rest } = found;
    let device = root.device ? `device ${root.device}` : `root ${root.root}`;
    let at = root.path;
    for (const name of rest.slice(0, -1)) {
      at = joinPath(at, name);
      const entry = await this.history.find(at, this.set);
      if (entry !== undefined) device = deviceIn(entry, device);
    }
    return device;
  }
}
