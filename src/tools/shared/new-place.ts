/** Describes the place of something new: its directory, its disk, and whether the sources are on that disk too. */
import { displayText } from '../../model/index.js';
import { shownStore } from '../../store/index.js';
import { byteText, type Disk, diskOf, shareHardware } from '../../system/index.js';

/** A place that a command has made, for --json. */
export interface NewPlace {
  readonly path: string;
  /** Device of the disk, and the directory at which it is mounted; undefined in a bucket, or if the system hides it. */
  readonly device?: string;
  readonly mountPoint?: string;
  /** The first source that is on the same hardware. */
  readonly sharedWith?: string;
}

/** Returns the place at `path` in a store. `sources` are the paths of the data that is saved there. */
export function newPlace(store: string, path: string, sources: readonly Buffer[]): NewPlace {
  if (shownStore(store) !== store) return { path: shownStore(store) };
  const disk = diskOf(path);
  if (disk === undefined) return { path };
  const shared = sources.map(byteText).find((source) => isOn(disk, source));
  const { device, mountPoint } = disk;
  return { path, device, mountPoint, ...(shared === undefined ? {} : { sharedWith: shared }) };
}

function isOn(disk: Disk, source: string): boolean {
  const own = diskOf(source);
  return own !== undefined && shareHardware(disk, own);
}

/** Returns the end of a sentence such as "The client is new: ". */
export function newPlaceText({ path, device, mountPoint, sharedWith }: NewPlace): string {
  const where =
    device === undefined || mountPoint === undefined
      ? displayText(path)
      : `${displayText(path)}, on ${displayText(device)} (mounted at ${displayText(mountPoint)})`;
  if (sharedWith === undefined) return where;
  return `${where}, the disk of ${displayText(sharedWith)} too: its loss would take both`;
}
