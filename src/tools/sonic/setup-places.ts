/** Finds disks for a store, and large directories that need no backup, for `tardis setup`. */
import fs from 'node:fs';
import path from 'node:path';
import { configInvalid } from '../../config/index.js';
import { ifPossible, unlessBug } from '../../errors/index.js';
import { displayText } from '../../model/index.js';
import {
  diskOf,
  homeDirectory,
  isAtOrBelow,
  isBelow,
  mountedDisks,
  nodeSystem,
  shareHardware,
  textBytes,
} from '../../system/index.js';
import { newPlace } from '../opening/local-store.js';
import type { Plan } from './setup-plan.js';

/** A disk that can have a store. */
export interface FreeDisk {
  /** Proposed place of the store. */
  readonly place: string;
  readonly device: string;
  readonly freeBytes: number;
}

/** File systems of disks, and those of other machines. */
const ON_DISKS =
  /^(?:ext[234]|xfs|btrfs|f2fs|zfs|bcachefs|exfat|vfat|ntfs3?|fuseblk|nfs4?|cifs|smb3)$/;
/** Mount points of the system itself. */
const OF_SYSTEM = /^\/(?:boot|efi|snap|usr|var\/lib|run\/(?!media)|etc|proc|sys|dev)(?:\/|$)/;
const NAME = 'tardis';

/** Returns the mounted disks that this user may write to and that have none of the sources, the freest first. */
export function freeDisks({ sources }: Pick<Plan, 'sources'>): FreeDisk[] {
  const { files } = nodeSystem();
  const used = sources.flatMap((source) => diskOf(source) ?? []);
  return mountedDisks()
    .filter(({ type, mountPoint }) => ON_DISKS.test(type) && !OF_SYSTEM.test(mountPoint))
    .filter((disk) => !used.some((one) => shareHardware(one, disk)))
    .filter(({ mountPoint }) => files.isWritable(mountPoint))
    .map(({ device, mountPoint }) => ({
      place: path.join(mountPoint, NAME),
      device,
      freeBytes: files.freeBytes(mountPoint),
    }))
    .sort((one, other) => other.freeBytes - one.freeBytes);
}

/**
 * Throws CONFIG_INVALID if the place of a new store cannot be used: the directory above it is missing, so its disk may
 * not be mounted, or it is on the disk of a source, whose loss would take both.
 */
export function requirePlace({ store, sources, mayShareDisk }: Plan): void {
  if (store === undefined || !path.isAbsolute(store)) return; // a server or a bucket
  const shown = displayText(store);
  const inside = sources.find((source) => isAtOrBelow(store, source));
  const above = path.dirname(store);
  if (!fs.existsSync(textBytes(above))) {
    const why = `there is no directory ${displayText(above)}: mount its disk, or make the directory`;
    throw configInvalid(`the store cannot be ${shown}: ${why}`);
  }
  if (mayShareDisk) return;
  const at = fs.existsSync(textBytes(store)) ? store : above;
  const source = inside ?? newPlace(store, at, sources.map(textBytes)).sharedWith;
  if (source === undefined) return;
  throw configInvalid(
    `${shown} is on the disk of ${displayText(source)}: its loss would take both (SameDisk = yes allows it)`,
  );
}

/** A directory that need not be backed up. */
export interface Found {
  readonly path: string;
  readonly bytes: number;
  /** True if there are more bytes than were counted. */
  readonly isMore: boolean;
}

/** Directories below a home directory that programs fill again, or whose contents were thrown away. */
const REFILLED = [
  '.cache',
  '.local/share/Trash',
  '.thumbnails',
  '.npm',
  '.cargo/registry',
  '.gradle/caches',
  '.m2/repository',
  '.local/share/containers',
  '.local/share/Steam/steamapps',
  '.vagrant.d/boxes',
];
/** Directories of a system of the same kind. */
const REFILLED_HERE = [
  '/var/lib/docker',
  '/var/lib/containers',
  '/var/lib/apt/lists',
  '/var/lib/flatpak',
];
const LEAST_BYTES = 1 << 20;
/** Maximum number of entries that are counted of each directory. */
const MOST_ENTRIES = 100_000;

/** Returns the directories within the sources that programs fill again, the largest first. */
export function refilled(sources: readonly string[]): Found[] {
  const homes = new Set([homeDirectory(), ...sources.flatMap(homesIn)]);
  const known = [...homes].flatMap((home) => REFILLED.map((name) => path.join(home, name)));
  const isInside = (file: string): boolean => sources.some((source) => isBelow(file, source));
  return [...known, ...REFILLED_HERE]
    .filter(isInside)
    .map(measured)
    .filter(({ bytes }) => bytes >= LEAST_BYTES)
    .sort((one, other) => other.bytes - one.bytes);
}

/** Returns the home directories that a source contains: those of `/home`. */
function homesIn(source: string): string[] {
  if (source !== '/home') return [];
  return namesIn(source).map(({ name }) => path.join(source, name));
}

function namesIn(directory: string): fs.Dirent[] {
  // Nothing in a directory that is missing, or closed to this user, can be offered.
  return ifPossible(() => fs.readdirSync(directory, { withFileTypes: true })) ?? [];
}

function measured(top: string): Found {
  const waiting = [top];
  let [bytes, entries] = [0, 0];
  for (let at = waiting.pop(); at !== undefined && entries < MOST_ENTRIES; at = waiting.pop()) {
    for (const entry of namesIn(at)) {
      entries += 1;
      const file = path.join(at, entry.name);
      if (entry.isDirectory()) waiting.push(file);
      else if (entry.isFile()) bytes += sizeOf(file);
    }
  }
  return { path: top, bytes, isMore: waiting.length > 0 };
}

function sizeOf(file: string): number {
  return unlessBug(() => fs.lstatSync(file).size) ?? 0; // it may have vanished
}
