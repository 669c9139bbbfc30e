/**
 * The way to a file: the directories and links on it, each looked at below the open directory before it. The system lets
 * root through everywhere, so a program that runs as root checks by itself whose links it follows, and who could change
 * what it finds.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type ErrorCode, ifPossible, TardisError } from '../errors/index.js';
import { aclEntries, AclTag, displayName } from '../model/index.js';
import { loadNative } from './native.js';
import { absolutePath } from './process-input.js';

/** Linux's O_PATH, which Node does not define: opens without reading, and drops no lock on close. */
export const O_PATH = 0o10000000;
const { O_DIRECTORY, O_NOFOLLOW } = fs.constants;
const STICKY = 0o1000;
const GROUP_WRITES = 0o020;
const OTHERS_WRITE = 0o002;
/** The permission to write, in an entry of an ACL. */
const WRITES = 2;
/** Directory of links that the kernel makes, some of which lead to no path. They end a way. */
const PROC = '/proc';
/** Maximum number of links on a way, which is that of Linux. */
const MAX_LINKS = 40;
/** Shown for a user or group that has no number in this user namespace. */
const UNMAPPED = 65_534;
/** Start of /proc/self/uid_map if each user has its number. */
const ALL_MAPPED = /^\s*0\s+0\s+4294967295/;

/** The map of users of this process, which does not change. */
let uidMap: string | undefined;

/** The users and groups, beside the owner, that may write to a file or directory, by its mode or its ACL. */
interface Writers {
  readonly users: readonly number[];
  readonly groups: readonly number[];
}

const NOBODY: Writers = { users: [], groups: [] };

/** The status of a file or directory, and those who may write to it. */
interface Seen {
  readonly status: fs.Stats;
  readonly writers: Writers;
}

/** A directory on the way to a file, and its entry that leads on. */
export interface Step extends Seen {
  readonly directory: Buffer;
  readonly entry: Buffer;
  /** Status of the entry, a link not followed; undefined if it does not exist. */
  readonly next: fs.Stats | undefined;
}

interface Way {
  /** The steps to a file, those of links too. They end where an entry does not exist. */
  readonly steps: readonly Step[];
  /** The file at the end; undefined if there is none. */
  readonly end: Seen | undefined;
  /** The path without links; a part that does not exist, and what comes after it, are as given. */
  readonly path: Buffer;
}

/** Returns the way to a file. `onLink` is called before a link is followed. */
export function wayTo(file: Uint8Array, onLink?: (step: Step) => void): Way {
  const steps: Step[] = [];
  let names = partsOf(absolutePath(file));
  let at = '/';
  let open = fs.openSync('/', O_PATH | O_DIRECTORY);
  try {
    for (let links = 0; names.length > 0; ) {
      const name = names.shift()!;
      const entry = Buffer.from(path.posix.join(at, name), 'latin1');
      const here = Buffer.from(`/proc/self/fd/${open}/${name}`, 'latin1');
      const next = ifPossible(() => fs.lstatSync(here)); // opening the file gives the error
      const step = { directory: Buffer.from(at, 'latin1'), ...seenAt(open), entry, next };
      if (name !== '..') steps.push(step);
      if (next?.isSymbolicLink() === true && links < MAX_LINKS && at !== PROC) {
        links += 1;
        onLink?.(step);
        const target = fs.readlinkSync(here, { encoding: 'buffer' });
        names = [...partsOf(target), ...names];
        if (target[0] !== 0x2f) continue;
        at = '/';
      } else if (next?.isDirectory() === true) at = entry.toString('latin1');
      else {
        const last = Buffer.from(path.posix.join(at, name, ...names), 'latin1');
        return { steps, end: seenAtPath(here), path: last };
      }
      const below = fs.openSync(at === '/' ? '/' : here, O_PATH | O_DIRECTORY | O_NOFOLLOW);
      fs.closeSync(open);
      open = below;
    }
    return { steps, end: seenAt(open), path: Buffer.from(at, 'latin1') };
  } finally {
    fs.closeSync(open);
  }
}

function partsOf(file: Buffer): string[] {
  return file
    .toString('latin1')
    .split('/')
    .filter((name) => name !== '' && name !== '.');
}

/** Looks at the file at a path, a link not followed; undefined if it does not exist. */
function seenAtPath(file: Buffer): Seen | undefined {
  const fd = ifPossible(() => fs.openSync(file, O_PATH | O_NOFOLLOW));
  if (fd === undefined) return undefined;
  try {
    return seenAt(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function seenAt(fd: number): Seen {
  const status = fs.fstatSync(fd);
  return { status, writers: writersOf(fd, status) };
}

/**
 * Returns who may write to an open file or directory. The group bits of the mode are the most that an ACL gives: where they do not
 * allow it nobody may, and no ACL is read.
 */
function writersOf(fd: number, { mode, gid }: fs.Stats): Writers {
  if ((mode & GROUP_WRITES) === 0) return NOBODY;
  const acl = loadNative().accessAclOf(fd);
  if (acl === undefined) return { users: [], groups: [gid] };
  const writing = aclEntries(acl).filter(({ permissions }) => (permissions & WRITES) !== 0);
  const idsOf = (wanted: number, own?: number): number[] =>
    writing.filter(({ tag }) => tag === wanted).map(({ id }) => own ?? id);
  const groups = [...idsOf(AclTag.owningGroup, gid), ...idsOf(AclTag.group)];
  return { users: idsOf(AclTag.user), groups };
}

/** True if a user who may write to the directory of a step cannot replace its entry: only the owner of the entry can. */
export function isKept({ status, next }: Step, isTheirs: (uid: number) => boolean): boolean {
  return (status.mode & STICKY) !== 0 && next !== undefined && !isTheirs(next.uid);
}

/**
 * Returns an absolute path without links. Throws an error of this code for a link that somebody else than root and this user
 * could have put there: that user would choose what this one reads or writes. The caller opens the path later without following
 * links. Throws ELOOP for too many links.
 */
export function pathWithoutLinks(file: Uint8Array, code: ErrorCode): Buffer {
  const others = othersThan(process.geteuid!(), [process.getegid!(), ...process.getgroups!()]);
  const onLink = (step: Step): void => {
    const hand = handOn(step, others, false);
    if (hand === undefined) return;
    throw new TardisError(code, `${displayName(step.entry)} is a link of others: ${hand}`, {
      path: displayName(step.entry),
    });
  };
  const { steps, path: own } = wayTo(file, onLink);
  if (steps.at(-1)?.next?.isSymbolicLink() === true) fs.statSync(own); // over too many links: ELOOP
  return own;
}

/**
 * Returns a text that names the first directory or file by which a user other than root could change what root finds at
 * a path; undefined if nobody can, or if this process is not root. `isNew`: true for an entry that root will create, and
 * will not take from somebody else. In a sticky directory of root it stays root's.
 */
export function foreignHand(file: Uint8Array, isNew = false): string | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const others = othersThan(0, []);
  const way = ifPossible(() => wayTo(file));
  if (way === undefined) return `${displayName(file)} changes while it is looked at`;
  for (const step of way.steps) {
    const hand = handOn(step, others, isNew);
    if (hand !== undefined) return hand;
  }
  const { entry } = way.steps.at(-1) ?? {};
  return entry && way.end && handAt(entry, way.end, others);
}

/** Tests for users and groups other than root and the own ones. */
interface Others {
  readonly isUser: (id: number) => boolean;
  readonly isGroup: (id: number) => boolean;
}

/** Returns who could exchange the entry of a step; undefined if nobody can. */
function handOn(step: Step, others: Others, isNew: boolean): string | undefined {
  const { directory, status, next } = step;
  const willBeKept = isNew && next === undefined && (status.mode & STICKY) !== 0;
  const isSafe = !others.isUser(status.uid) && (willBeKept || isKept(step, others.isUser));
  return isSafe ? undefined : handAt(directory, step, others);
}

function handAt(place: Buffer, { status, writers }: Seen, others: Others): string | undefined {
  const shown = displayName(place);
  if (others.isUser(status.uid)) return `user ${status.uid} owns ${shown}`;
  if (!status.isFile() && !status.isDirectory()) return undefined;
  const mode = (status.mode & 0o7777).toString(8).padStart(4, '0');
  if ((status.mode & OTHERS_WRITE) !== 0) return `every user may write to ${shown} (${mode})`;
  const user = writers.users.find(others.isUser);
  if (user !== undefined) return `user ${user} may write to ${shown} (by an ACL)`;
  const group = writers.groups.find(others.isGroup);
  return group === undefined ? undefined : `group ${group} may write to ${shown} (${mode})`;
}

/**
 * In a user namespace that lacks some users, such as a container without root, those without a number are on the outside,
 * where the root of the namespace has no power over them.
 */
function othersThan(uid: number, gids: readonly number[]): Others {
  uidMap ??= ifPossible(() => fs.readFileSync('/proc/self/uid_map', 'latin1')) ?? '';
  const isAllMapped = uidMap === '' || ALL_MAPPED.test(uidMap); // without /proc it is not known
  const isOthers = (id: number): boolean => id !== 0 && (id !== UNMAPPED || isAllMapped);
  return {
    isUser: (id) => id !== uid && isOthers(id),
    isGroup: (id) => !gids.includes(id) && isOthers(id),
  };
}
