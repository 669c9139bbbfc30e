/**
 * Places on a disk by its id, such as `/dev/disk/by-uuid/ID/tardis`: the directory `tardis` of that file system, wherever
 * it is mounted now. A disk that comes and goes may be mounted at another directory each time.
 */
import fs from 'node:fs';
import path from 'node:path';
import { ifPossible } from '../errors/index.js';
import { diskOf, type Mount, mountsHere } from './disk-of.js';
import { byteText, isAtOrBelow, realPathOf, textBytes } from './process-input.js';

const IDS = '/dev/disk/by-uuid';
/** Matches the link to a device, and the path on its file system. */
const PLACE = /^(\/dev\/disk\/by-[a-z-]+\/[^/]+)(?:\/(.*))?$/s;

/** The given texts, by the paths for which they stand now. */
const given = new Map<string, string>();

/** Returns the link to the device of a place; undefined if the place names none. */
export function deviceLink(place: string): string | undefined {
  return PLACE.exec(place)?.[1];
}

/** Returns the path for which a place stands now: the place itself if it names no disk, or its disk is not mounted. */
export function mountedPlace(place: string): string {
  const [, link, rest = ''] = PLACE.exec(place) ?? [];
  const device = link === undefined ? undefined : realDevice(link);
  if (device === undefined) return place;
  const mount = mountsOrNone().find((one) => isWhole(one, device));
  if (mount === undefined) return place;
  const now = path.join(mount.mountPoint, rest);
  given.set(now, place);
  return now;
}

/** Returns the place by the id of its disk, if this command was given it like that; otherwise the path itself. */
export function lastingPlace(now: string): string {
  return given.get(now) ?? now;
}

/**
 * Returns the place of a path by the id of its disk. Returns the path itself if its disk has no id, has `keep` too, or is
 * mounted only in part.
 */
export function placeById(file: string, keep: readonly string[]): string {
  const disk = diskOf(path.dirname(file));
  if (disk === undefined || keep.some((one) => diskOf(one)?.device === disk.device)) return file;
  const mount = mountsOrNone().findLast(({ mountPoint }) => mountPoint === disk.mountPoint);
  const device = realDevice(disk.device);
  const id = namesOf(IDS).find((name) => realDevice(path.join(IDS, name)) === device);
  const isFound = device !== undefined && id !== undefined && mount?.root === '/';
  if (!isFound || !isAtOrBelow(file, disk.mountPoint)) return file;
  return path.join(IDS, id, path.relative(disk.mountPoint, file));
}

function isWhole({ device, root }: Mount, wanted: string): boolean {
  return root === '/' && device.startsWith('/dev/') && realDevice(device) === wanted;
}

/** Returns the path of a device without links; undefined if there is no such device. */
function realDevice(link: string): string | undefined {
  const real = realPathOf(textBytes(link));
  return real && byteText(real);
}

function mountsOrNone(): Mount[] {
  return ifPossible(mountsHere) ?? []; // without /proc no disk can be recognised
}

function namesOf(directory: string): string[] {
  return ifPossible(() => fs.readdirSync(directory)) ?? []; // there may be no udev
}
