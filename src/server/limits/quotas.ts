/**
 * Space used by the accounts of this server, measured when a session begins and updated by the sessions themselves.
 * A client without a session is measured again when its catalog has changed. For a client with a session, the
 * space is its last measurement plus the bytes that the session has added.
 */
import path from 'node:path';
import type { Logger } from 'pino';
import type { ClientDirectory } from '../../store/index.js';
import type { System } from '../../system/index.js';
import { type Account, accountOf } from '../login/accounts.js';
import {
  addTo,
  type SharedCount,
  sharedCount,
  type SpaceGrant,
  valueOf,
} from '../../store/writer/index.js';
import { type SpaceTaken } from '../storage/measure-space.js';
import { type StorageHost } from '../storage/storage-host.js';

export interface QuotaOptions {
  readonly baseDir: string;
  readonly catalogFile: string;
}

/** A session's share in the quota of its account. */
export interface Admission {
  readonly grant: SpaceGrant;
  /** To be called once, when the session's storage is closed. */
  release(): void;
}

/** Key for the space used elsewhere, in place of a client's name. */
const ELSEWHERE = '';

/** Space used by one account. */
interface Ledger {
  readonly used: SharedCount;
  /** Bytes in `used` for each client; for a client with a session, without the bytes that the session has added. */
  readonly counted: Map<string, number>;
  readonly active: Set<string>;
  /** Resolves when the previous session has begun, since sessions begin one at a time. */
  turn: Promise<unknown>;
}

interface Measured extends SpaceTaken {
  /** State of the catalog at the measurement, and the kind of measurement. */
  readonly stamp: string;
}

export class Quotas {
  private readonly ledgers = new Map<string, Ledger>();
  private readonly measured = new Map<string, Measured>();
  private readonly system: System;
  private readonly storage: StorageHost;
  private readonly options: QuotaOptions;
  private readonly log: Logger;

  constructor(system: System, storage: StorageHost, options: QuotaOptions, log: Logger) {
    this.system = system;
    this.storage = storage;
    this.options = options;
    this.log = log;
  }

  /**
   * Measures the space used by a client's account, before a session that may add data. Returns undefined without a
   * quota. Throws CONFIG_INVALID for the client's own account, and errors of measuring.
   */
  async admit(client: string): Promise<Admission | undefined> {
    const account = accountOf(this.system, this.options.baseDir, client, (fault) =>
      this.log.error({ code: fault.code, reason: fault.message }, 'an account cannot be used'),
    );
    if (account === undefined || account.quotaBytes === 0) return undefined;
    const ledger = this.ledgerOf(account.name);
    const turn = ledger.turn.then(() => this.begin(account, ledger, client));
    ledger.turn = turn.catch(() => undefined); // the caller handles the error
    return turn;
  }

  private ledgerOf(name: string): Ledger {
    let ledger = this.ledgers.get(name);
    if (ledger === undefined) {
      const used = sharedCount();
      ledger = { used, counted: new Map(), active: new Set(), turn: Promise.resolve() };
      this.ledgers.set(name, ledger);
    }
    return ledger;
  }

  private async begin(account: Account, ledger: Ledger, client: string): Promise<Admission> {
    const { targets, perFileBytes, perDirectoryBytes } = account;
    for (const gone of [...ledger.counted.keys()].filter((name) => !targets.includes(name))) {
      if (!ledger.active.has(gone)) recount(ledger, gone, 0);
    }
    recount(ledger, ELSEWHERE, account.usedElsewhereBytes);
    const withEntries = perFileBytes > 0 || perDirectoryBytes > 0;
    for (const target of targets) {
      if (ledger.active.has(target)) continue;
      const { bytes, files, directories } = await this.measure(target, withEntries);
      // A session of the target may have ended meanwhile, but none can have begun.
      recount(ledger, target, bytes + files * perFileBytes + directories * perDirectoryBytes);
    }
    ledger.active.add(client);
    const added = sharedCount();
    const { name, quotaBytes } = account;
    const { used } = ledger;
    return {
      grant: { account: name, quotaBytes, perFileBytes, perDirectoryBytes, used, added },
      release: () => {
        ledger.active.delete(client);
        this.measured.delete(client);
        ledger.counted.set(client, (ledger.counted.get(client) ?? 0) + Number(added[0]));
      },
    };
  }

  private async measure(client: string, withEntries: boolean): Promise<SpaceTaken> {
    const { baseDir, catalogFile } = this.options;
    const directory: ClientDirectory = {
      client,
      path: path.join(baseDir, client),
      catalogPath: path.join(baseDir, client, catalogFile),
    };
    const status = this.system.files.status(directory.catalogPath);
    const stamp =
      status && `${status.identity} ${status.sizeBytes} ${status.mtimeMs} ${withEntries}`;
    const known = this.measured.get(client);
    if (known !== undefined && known.stamp === stamp) return known;
    const taken = await this.measureNow(directory, withEntries);
    if (stamp !== undefined) this.measured.set(client, { ...taken, stamp });
    return taken;
  }

  private async measureNow(directory: ClientDirectory, withEntries: boolean): Promise<SpaceTaken> {
    try {
      return await this.storage.measure(directory, withEntries);
    } catch (error) {
      if (!withEntries) throw error;
      // A damaged catalog is reported to the sessions of its client, and must not block those of others.
      this.log.error({ client: directory.client, err: error }, 'its entries cannot be counted');
      return this.storage.measure(directory, false);
    }
  }
}

/** Replaces the bytes counted for a client that has no session by a new measurement. */
function recount(ledger: Ledger, client: string, bytes: number): void {
  addTo(ledger.used, bytes - (ledger.counted.get(client) ?? 0));
  if (bytes === 0) ledger.counted.delete(client);
  else ledger.counted.set(client, bytes);
}

/** Returns the space that the welcome of a session reports: 0 and 0 without a quota. */
export function toldSpace(admission: Admission | undefined): {
  quotaBytes: number;
  usedBytes: number;
} {
  if (admission === undefined) return { quotaBytes: 0, usedBytes: 0 };
  const { quotaBytes, used } = admission.grant;
  return { quotaBytes, usedBytes: valueOf(used) };
}
