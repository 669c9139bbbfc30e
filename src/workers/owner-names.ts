/**
 * Names of the users and groups that own entries, since ids mean little on another machine. The names are looked up in
 * a worker, where a slow directory service delays nothing else, and once per thread.
 */
import { ifPossible } from '../errors/index.js';
import { aclOwners, NO_BYTES } from '../model/index.js';
import { BoundedCache, type NativeCalls, type System } from '../system/index.js';
import type { OwnerName } from './jobs.js';

type Names = BoundedCache<number, Buffer>;

interface Known {
  readonly users: Names;
  readonly groups: Names;
}

/** Maximum number of users, and of groups, that a thread remembers. */
const MOST_KNOWN = 1 << 16;
const knownOf = new WeakMap<NativeCalls, Known>();

/** Collects the owners that one job finds. */
export class OwnerNames {
  private readonly users = new Set<number>();
  private readonly groups = new Set<number>();
  private lastUser = -1;
  private lastGroup = -1;
  private readonly native: NativeCalls;

  constructor(system: System) {
    this.native = system.native;
  }

  /** Adds an owner. It is cheap for consecutive entries with the same owner. */
  meet(user: number, group: number): void {
    if (user !== this.lastUser) this.users.add(user);
    if (group !== this.lastGroup) this.groups.add(group);
    this.lastUser = user;
    this.lastGroup = group;
  }

  /** Adds the users and groups named by the ACLs among some packed attributes. */
  meetAcls(attributes: Buffer): void {
    for (const { isGroup, id } of aclOwners(attributes)) {
      (isGroup ? this.groups : this.users).add(id);
    }
  }

  /** Returns all owners found, with their names if the system can look them up now. */
  take(): OwnerName[] {
    let known = knownOf.get(this.native);
    if (known === undefined) {
      known = { users: new BoundedCache(MOST_KNOWN), groups: new BoundedCache(MOST_KNOWN) };
      knownOf.set(this.native, known);
    }
    const { native } = this;
    return [
      ...named(this.users, known.users, false, (id) => native.userName(id)),
      ...named(this.groups, known.groups, true, (id) => native.groupName(id)),
    ];
  }
}

function named(
  ids: ReadonlySet<number>,
  known: Names,
  isGroup: boolean,
  lookUp: (id: number) => Buffer | undefined,
): OwnerName[] {
  const names: OwnerName[] = [];
  for (const id of ids) {
    let name = known.get(id);
    if (name === undefined) {
      name = ifPossible(() => lookUp(id) ?? NO_BYTES);
      if (name === undefined) continue; // the service does not answer now; the set keeps the name known before
      known.set(id, name);
    }
    names.push({ isGroup, id, name: Uint8Array.from(name) });
  }
  return names;
}
