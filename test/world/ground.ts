/** The store of a world: a directory, or a bucket that two machines use in turns, each with a cache of its own. */
import fs from 'node:fs';
import path from 'node:path';
import type { StorageHost } from '../../src/server/index.js';
import {
  type BucketAccess,
  createClientDirectory,
  fetchClient,
  openClientDirectory,
  useBucket,
} from '../../src/store/index.js';
import { catchUp } from '../../src/store/writer/index.js';
import type { System } from '../../src/system/index.js';
import { accessTo, inBucket, REQUEST_FAULTS } from '../helpers/bucket-machines.js';
import { inlineSystem, type Place } from '../helpers/inline.js';
import { KilledError } from '../support/faults.js';
import {
  type BeforeRequest,
  MemoryObjectStore,
  type Objects,
} from '../support/memory-object-store.js';
import type { Trouble } from './acts.js';
import { Disk } from './disk.js';
import { TardisError } from '../../src/errors/index.js';

const CLIENT = 'me';
const MACHINES = 2;
/** Requests that fail while the bucket is away. */
const MOST_FAILURES = 20;

export interface Ground {
  readonly place: Place;
  readonly disk: Disk;
  /** Goes to the machine of a turn, which learns what others have written. */
  enter(system: System, turn: number): Promise<void>;
  /** Wraps the storage of a server at this place. */
  wrapHost(host: StorageHost): StorageHost;
  /** Lets requests of the next work fail, if the trouble is one of requests. */
  strike(trouble: Trouble | undefined): void;
}

export class DirectoryGround implements Ground {
  readonly place: Place;
  readonly disk: Disk;

  constructor(home: string, memory: string) {
    this.place = { store: path.join(home, 'store'), client: CLIENT };
    fs.mkdirSync(this.place.store);
    this.disk = new Disk(this.place.store, memory);
  }

  static async make(this: void, home: string, memory: string): Promise<DirectoryGround> {
    return new DirectoryGround(home, memory);
  }

  async enter(): Promise<void> {
    // The one machine is there.
  }

  wrapHost(host: StorageHost): StorageHost {
    return host;
  }

  strike(): void {
    // Trouble of a directory is trouble of its disk.
  }
}

/** A machine that reaches the bucket. */
interface Machine {
  readonly access: BucketAccess;
  readonly disk: Disk;
}

export class BucketGround implements Ground {
  private readonly objects: Objects = new Map();
  private readonly machines: readonly Machine[];
  private trouble: Trouble | undefined;
  private requests = 0;
  private at: Machine;

  constructor(home: string, memory: string) {
    this.machines = Array.from({ length: MACHINES }, (_, number) => {
      const cache = path.join(home, `cache ${number}`);
      fs.mkdirSync(cache);
      const disk = new Disk(cache, memory);
      const before: BeforeRequest = (_kind, _name, apply) => this.before(disk, apply);
      const access = accessTo(new MemoryObjectStore(this.objects, before), cache);
      useBucket(access);
      return { access, disk };
    });
    this.at = this.machines[0]!;
  }

  /** Makes the client on the first machine. */
  static async make(this: void, home: string, memory: string): Promise<BucketGround> {
    const ground = new BucketGround(home, memory);
    await createClientDirectory(inlineSystem(), ground.place);
    return ground;
  }

  get place(): Place {
    return { store: this.at.access.cache, client: CLIENT };
  }

  get disk(): Disk {
    return this.at.disk;
  }

  async enter(system: System, turn: number): Promise<void> {
    this.strike(undefined);
    this.at = this.machines[turn % MACHINES]!;
    await fetchClient(system, this.at.access, CLIENT);
    await catchUp(system, openClientDirectory(system, this.place));
  }

  wrapHost(host: StorageHost): StorageHost {
    return inBucket(openClientDirectory(inlineSystem(), this.place))(host);
  }

  strike(trouble: Trouble | undefined): void {
    this.trouble = trouble?.what === 'request' ? trouble : undefined;
    this.requests = 0;
  }

  /** Lets one request fail, or some from that one on; before or after it had its effect. */
  private before(disk: Disk, apply: () => void): void {
    if (disk.isDead) throw new KilledError();
    const { trouble } = this;
    if (trouble === undefined) return;
    this.requests += 1;
    const fault = REQUEST_FAULTS[trouble.at % REQUEST_FAULTS.length]!;
    const isHit = fault.startsWith('end')
      ? this.requests >= trouble.at && this.requests < trouble.at + MOST_FAILURES
      : this.requests === trouble.at;
    if (!isHit) return;
    if (fault.endsWith('applied') && this.requests === trouble.at) apply();
    throw new TardisError('SERVER_UNREACHABLE', 'a request of this world fails');
  }
}
