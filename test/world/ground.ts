/** The store of a world: a directory, or a bucket that two machines use in turns, each with a cache of its own. */
import fs from 'node:fs';
import path from 'node:path';
import type { StorageHost } from '../../src/server/index.js';
import { createClientDirectory } from '../../src/store/index.js';
import { BucketMachine, failingAt, inBucket, REQUEST_FAULTS } from '../helpers/bucket-machines.js';
import { inlineSystem, type Place } from '../helpers/inline.js';
import { KilledError } from '../support/faults.js';
import type { BeforeRequest, Objects } from '../support/memory-object-store.js';
import type { Trouble } from './acts.js';
import { Disk } from './disk.js';

const CLIENT = 'me';
const MACHINES = 2;
/** Requests that fail while the bucket is away. */
const MOST_FAILURES = 20;

export interface Ground {
  readonly place: Place;
  readonly disk: Disk;
  /** Goes to the machine of a turn, which learns what others have written. */
  enter(turn: number): Promise<void>;
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
  readonly client: BucketMachine;
  readonly disk: Disk;
}

export class BucketGround implements Ground {
  private readonly machines: readonly Machine[];
  /** Lets requests fail; undefined while there is no trouble. */
  private failing: BeforeRequest | undefined;
  private at: Machine;

  constructor(home: string, memory: string) {
    const objects: Objects = new Map();
    this.machines = Array.from({ length: MACHINES }, (_, number) => {
      const cache = path.join(home, `cache ${number}`);
      const disk = new Disk(cache, memory);
      const before: BeforeRequest = (...request) => {
        if (disk.isDead) throw new KilledError();
        return this.failing?.(...request);
      };
      return { client: new BucketMachine(cache, objects, before), disk };
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
    return { store: this.at.client.access.cache, client: CLIENT };
  }

  get disk(): Disk {
    return this.at.disk;
  }

  async enter(turn: number): Promise<void> {
    this.strike(undefined);
    this.at = this.machines[turn % MACHINES]!;
    await this.at.client.open();
  }

  wrapHost(host: StorageHost): StorageHost {
    return inBucket(this.at.client.present())(host);
  }

  strike(trouble: Trouble | undefined): void {
    if (trouble?.what !== 'request') {
      this.failing = undefined;
      return;
    }
    const fault = REQUEST_FAULTS[trouble.at % REQUEST_FAULTS.length]!;
    this.failing = failingAt(fault, trouble.at, MOST_FAILURES).before;
  }
}
