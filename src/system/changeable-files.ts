/**
 * Finds users who could replace a file, or a directory or link on the way to it. The system lets root through everywhere,
 * so a program that runs as root checks by itself whose files it follows.
 */
import fs from 'node:fs';
import path from 'node:path';
import { ifPossible } from '../errors/index.js';
import { displayName } from '../model/index.js';
import { absolutePath } from './process-input.js';

const STICKY = 0o1000;
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
/** Maximum number of links on a way, which is that of Linux. */
const MAX_LINKS = 40;
/** Shown for a user or group that has no number in this user namespace. */
const UNMAPPED = 65_534;
/** Start of /proc/self/uid_map if each user has its number. */
const ALL_MAPPED = /^\s*0\s+0\s+4294967295/;

/** A directory on the way to a file, and its entry that leads on. */
export interface Step {
  readonly directory: Buffer;
  readonly status: fs.Stats;
  readonly entry: Buffer;
  /** Status of the entry, a link not followed; undefined if it does not exist. */
  readonly next: fs.Stats | undefined;
}

/** Returns the steps to a file, those of links too. The way ends where an entry does not exist. */
export function wayTo(file: Uint8Array): Step[] {
  const steps: Step[] = [];
  let names = partsOf(absolutePath(file));
  let at = '/';
  for (let links = 0; names.length > 0; ) {
    const name = names.shift()!;
    const entry = Buffer.from(path.posix.join(at, name), 'latin1');
    const directory = Buffer.from(at, 'latin1');
    const next = statusOf(entry);
    if (name !== '..') steps.push({ directory, status: fs.statSync(directory), entry, next });
    if (next === undefined) break;
    if (!next.isSymbolicLink()) {
      at = entry.toString('latin1');
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) break;
    const target = fs.readlinkSync(entry, { encoding: 'buffer' });
    if (target[0] === 0x2f) at = '/';
    names = [...partsOf(target), ...names];
  }
  return steps;
}

function partsOf(file: Buffer): string[] {
  return file
    .toString('latin1')
    .split('/')
    .filter((name) => name !== '' && name !== '.');
}

function statusOf(entry: Buffer): fs.Stats | undefined {
  return ifPossible(() => fs.lstatSync(entry)); // opening the file gives the error
}

/** True if a user who may write to the directory of a step cannot replace its entry: only the owner of the entry can. */
export function isKept({ status, next }: Step, isTheirs: (uid: number) => boolean): boolean {
  return (status.mode & STICKY) !== 0 && next !== undefined && !isTheirs(next.uid);
}

/**
 * Returns a text that names the first directory or file by which a user other than root could change what root finds at
 * a path; undefined if nobody can, or if this process is not root. `isNew`: true for an entry that root will create, and
 * will not take from somebody else. In a sticky directory of root it stays root's.
 */
export function foreignHand(file: Uint8Array, isNew = false): string | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const isOthers = ofOthers();
  const handOn = (place: Buffer, status: fs.Stats): string | undefined => {
    const shown = displayName(place);
    if (isOthers(status.uid)) return `user ${status.uid} owns ${shown}`;
    if (!status.isFile() && !status.isDirectory()) return undefined;
    const mode = (status.mode & 0o7777).toString(8).padStart(4, '0');
    if ((status.mode & OTHERS_WRITE) !== 0) return `every user may write to ${shown} (${mode})`;
    if ((status.mode & GROUP_WRITES) === 0 || !isOthers(status.gid)) return undefined;
    return `group ${status.gid} may write to ${shown} (${mode})`;
  };
  const way = wayTo(file);
  for (const step of way) {
    const hand = handOn(step.directory, step.status);
    const willBeKept = isNew && step.next === undefined && (step.status.mode & STICKY) !== 0;
    const isSafe = !isOthers(step.status.uid) && (willBeKept || isKept(step, isOthers));
    if (hand !== undefined && !isSafe) return hand;
  }
  const { entry, next } = way.at(-1) ?? {};
  return entry === undefined || next === undefined ? undefined : handOn(entry, next);
}

/**
 * Returns a test for ids of others than root. In a user namespace that lacks some users, such as a container without
 * root, those without a number are on the outside, where the root of the namespace has no power over them.
 */
function ofOthers(): (id: number) => boolean {
  const map = ifPossible(() => fs.readFileSync('/proc/self/uid_map', 'latin1'));
  const isAllMapped = map === undefined || ALL_MAPPED.test(map); // without /proc it is not known
  return (id) => id !== 0 && (id !== UNMAPPED || isAllMapped);
}
