/** Finds the disk of a path: the file system that is mounted there, its device, and the hardware below. */
import fs from 'node:fs';
import path from 'node:path';
import { ifPossible } from '../errors/index.js';
import { byteText, exactPath, isAtOrBelow } from './process-input.js';

/** The disk of a path, as byte text. */
export interface Disk {
  /** Device of the file system, such as `/dev/sda1` or `tmpfs`. */
  readonly device: string;
  /** Directory at which the file system is mounted. */
  readonly mountPoint: string;
  /** Names of the hardware below the device, or of the file system if it has none of this machine. */
  readonly hardware: ReadonlySet<string>;
}

const MOUNTS = '/proc/self/mountinfo';
const BLOCK_DEVICES = '/sys/dev/block';
/** Maximum number of layers (encryption, volumes, arrays) between a file system and the hardware. */
const MAX_LAYERS = 8;

/**
 * Returns the disk of an existing path; undefined if the system does not show it (there is no /proc).
 */
export function diskOf(file: string): Disk | undefined {
  return ifPossible(() => {
    const real = byteText(fs.realpathSync.native(exactPath(file), 'buffer'));
    const mount = mountOf(real, mountsHere());
    if (mount === undefined) return undefined;
    const { device, mountPoint, number } = mount;
    return { device, mountPoint, hardware: hardwareOf(number) };
  });
}

/** A mounted file system. */
export interface MountedDisk extends Disk {
  /** Type of the file system, such as `ext4` or `nfs4`. */
  readonly type: string;
}

/** Returns the mounted file systems, each once; none if the system does not show them. */
export function mountedDisks(): MountedDisk[] {
  const disks = ifPossible(() => {
    const byNumber = new Map(mountsHere().map((mount) => [mount.number, mount]));
    return [...byNumber.values()].map(({ device, mountPoint, number, type }) => {
      return { device, mountPoint, type, hardware: hardwareOf(number) };
    });
  });
  return disks ?? [];
}

/** True if two disks share hardware, so that one fault may take both. */
export function shareHardware(one: Disk, other: Disk): boolean {
  return [...one.hardware].some((name) => other.hardware.has(name));
}

/** A mount, with its paths as byte text. */
export interface Mount {
  readonly device: string;
  readonly mountPoint: string;
  /** Number of the file system's device, as `major:minor`. */
  readonly number: string;
  /** Type of the file system. */
  readonly type: string;
  /** The directory of the file system that is mounted. */
  readonly root: string;
}

/** Returns all mounts that this process sees. A later one may hide an earlier one. Throws the system's errors. */
export function mountsHere(): Mount[] {
  return byteText(fs.readFileSync(MOUNTS)).split('\n').flatMap(mountIn);
}

/** Returns the mount that a path without links is on. */
export function mountOf(real: string, mounts: readonly Mount[]): Mount | undefined {
  const fitting = mounts.filter(({ mountPoint }) => isAtOrBelow(real, mountPoint));
  const depth = Math.max(...fitting.map(({ mountPoint }) => mountPoint.length));
  return fitting.findLast(({ mountPoint }) => mountPoint.length === depth); // the last one is on top
}

/** Parses a line of mountinfo (proc_pid_mountinfo(5)); returns no mount for a line of another form. */
function mountIn(line: string): Mount[] {
  const [before, after] = line.split(' - ');
  const [, , number, root, mountPoint] = before?.split(' ') ?? [];
  const [type, device] = after?.split(' ') ?? [];
  if (number === undefined || root === undefined || mountPoint === undefined) return [];
  if (type === undefined || device === undefined) return [];
  const [shownRoot, point] = [plain(root), plain(mountPoint)];
  return [{ device: plain(device), mountPoint: point, number, type, root: shownRoot }];
}

/** Replaces the octal numbers by which the kernel writes blanks and backslashes. */
function plain(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    byteText(Buffer.of(Number.parseInt(octal, 8))),
  );
}

/** Returns the names of the disks that a block device is on; its own number if there is no such device. */
function hardwareOf(number: string, layer = 0): Set<string> {
  const link = path.join(BLOCK_DEVICES, number);
  if (layer > MAX_LAYERS || !fs.existsSync(link)) return new Set([number]);
  const found = fs.realpathSync(link);
  const whole = fs.existsSync(path.join(found, 'partition')) ? path.dirname(found) : found;
  const layers = path.join(whole, 'slaves');
  const below = fs.existsSync(layers) ? fs.readdirSync(layers) : [];
  if (below.length === 0) return new Set([whole]);
  const numberOf = (name: string): string =>
    fs.readFileSync(path.join(layers, name, 'dev'), 'utf8').trim();
  return new Set(below.flatMap((name) => [...hardwareOf(numberOf(name), layer + 1)]));
}
