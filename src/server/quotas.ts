/**
 * Space used by the accounts of this server, measured when a session begins and updated by the sessions themselves. A
 * client without a session is measured again when its catalog has changed. For a client with a session, the space is
 * its last measurement plus the bytes that the session has added. In a bucket other servers add to an account, too:
 * while a session runs here, the other clients of its account are measured at intervals.
 */
import path from 'node:path';
import type { Logger } from 'pino';
import { asTardisError, BUCKET_ERRORS } from '../errors/index.js';
import {
  type Account,
  accountOf,
  bucketAt,
  type ClientDirectory,
  openClientDirectory,
} from '../store/index.js';
import { atOnce, type System } from '../system/index.js';
import {
  addTo,
  type SharedCount,
  sharedCount,
  type SpaceGrant,
  valueOf,
} from '../store/writer/index.js';
import { type SpaceTaken } from './storage/measure-space.js';
import { type StorageHost } from './storage/storage-host.js';
import type { SharedClients } from './shared-clients.js';

/** Interval at which the data added by other servers of a bucket is measured. */
const OTHERS_MS = 30_000;
/** Maximum number of clients that are measured at once. */
const AT_ONCE = 8;

interface QuotaOptions {
  readonly baseDir: string;
  readonly catalogFile: string;
  /** Access to the bucket, if the store is in one; otherwise undefined. */
  readonly shared?: SharedSpace | undefined;
  /** Milliseconds between two measurements of the data added by other servers. */
  readonly othersMs?: number;
}

/** Functions that measure clients in a bucket. */
type SharedSpace = Pick<
  SharedClients,
  'fetchAccountFiles' | 'usedBytes' | 'forgetUsed' | 'refresh'
>;

/** A session's share in the quota of its account. */
export interface Admission {
  readonly grant: SpaceGrant;
  /** Ends the session's share. To be called once, when the session's storage is closed. */
  release(): void;
}

/** Key for the space used elsewhere, in place of a client's name. */
const ELSEWHERE = '';

/** Space used by one account. */
interface Ledger {
  readonly used: SharedCount;
  /**
   * Number of bytes in `used` for each client; for a client with a session, without the bytes that the session has
   * added.
   */
  readonly counted: Map<string, number>;
  readonly active: Set<string>;
  /** The account as it was read for its last session. */
  account: Account | undefined;
  /** True if a measurement of other clients is due or under way. */
  isLooking: boolean;
  /** Resolves when the previous session has begun, since sessions begin one at a time. */
  turn: Promise<unknown>;
}

interface Measured extends SpaceTaken {
  /** State of the catalog at the measurement, and the kind of measurement. */
  readonly version: string;
}

export class Quotas {
  private readonly ledgers = new Map<string, Ledger>();
  private readonly measured = new Map<string, Measured>();
  private timer: NodeJS.Timeout | undefined;
  private isFailing = false;

  constructor(
    private readonly system: System,
    private readonly storage: StorageHost,
    private readonly options: QuotaOptions,
    private readonly log: Logger,
  ) {}

  /**
   * Measures the space used by a client's account, before a session that may add data. Returns undefined without a
   * quota, and for a session of a user who has the access key of the bucket. Throws CONFIG_INVALID if the file of the
   * client's own account is invalid, and errors of measuring.
   */
  async admit(client: string): Promise<Admission | undefined> {
    const { baseDir, shared } = this.options;
    if (bucketAt(baseDir) !== undefined && shared === undefined) return undefined;
    await shared?.fetchAccountFiles();
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
      const turn = Promise.resolve();
      ledger = {
        used,
        counted: new Map(),
        active: new Set(),
        account: undefined,
        isLooking: false,
        turn,
      };
      this.ledgers.set(name, ledger);
    }
    return ledger;
  }

  private async begin(account: Account, ledger: Ledger, client: string): Promise<Admission> {
    ledger.account = account;
    await this.recountIdle(account, ledger);
    ledger.active.add(client);
    this.watchOthers();
    const added = sharedCount();
    const { name, quotaBytes, perFileBytes, perDirectoryBytes } = account;
    const { used } = ledger;
    return {
      grant: { account: name, quotaBytes, perFileBytes, perDirectoryBytes, used, added },
      release: () => {
        ledger.active.delete(client);
        this.measured.delete(client);
        this.options.shared?.forgetUsed(client);
        ledger.counted.set(client, (ledger.counted.get(client) ?? 0) + Number(added[0]));
      },
    };
  }

  /** Counts the clients of an account that have no session here. Throws errors of measuring. */
  private async recountIdle(account: Account, ledger: Ledger): Promise<void> {
    const { targets, perFileBytes, perDirectoryBytes } = account;
    for (const gone of [...ledger.counted.keys()].filter((name) => !targets.includes(name))) {
      if (!ledger.active.has(gone)) recount(ledger, gone, 0);
    }
    recount(ledger, ELSEWHERE, account.usedElsewhereBytes);
    const withEntries = perFileBytes > 0 || perDirectoryBytes > 0;
    const most = this.options.shared === undefined ? 1 : AT_ONCE;
    await atOnce(targets, most, async (target) => {
      if (ledger.active.has(target)) return;
      const { bytes, files, directories } = await this.measure(target, withEntries);
      // A session of the target may have ended meanwhile, but none can have begun.
      recount(ledger, target, bytes + files * perFileBytes + directories * perDirectoryBytes);
    });
  }

  /**
   * Starts to measure, at intervals, the data that other servers of a bucket add, as long as there are sessions here.
   */
  private watchOthers(): void {
    const { shared, othersMs = OTHERS_MS } = this.options;
    if (shared === undefined || this.timer !== undefined) return;
    this.timer = setInterval(() => {
      const busy = [...this.ledgers.values()].filter(({ active }) => active.size > 0);
      if (busy.length === 0) {
        clearInterval(this.timer);
        this.timer = undefined;
        return;
      }
      for (const ledger of busy) {
        if (ledger.isLooking) continue;
        ledger.isLooking = true;
        ledger.turn = ledger.turn.then(() => this.recountOthers(ledger));
      }
    }, othersMs);
    this.timer.unref();
  }

  /**
   * Calls `recountIdle`, but only logs its errors. If the bucket cannot be reached, no other server can add to it
   * either, so the earlier count stays right.
   */
  private async recountOthers(ledger: Ledger): Promise<void> {
    const { account, active } = ledger;
    try {
      if (account !== undefined && active.size > 0) await this.recountIdle(account, ledger);
      this.isFailing = false;
    } catch (error) {
      const { code, message } = asTardisError(error);
      if (!this.isFailing) this.log.error({ code, reason: message }, 'an account is not measured');
      this.isFailing = true;
    } finally {
      ledger.isLooking = false;
    }
  }

  private async measure(client: string, withEntries: boolean): Promise<SpaceTaken> {
    const { baseDir: store, catalogFile, shared } = this.options;
    if (shared === undefined) {
      const home = path.join(store, client);
      const directory = { client, path: home, catalogPath: path.join(home, catalogFile) };
      return this.measureHere(directory, withEntries);
    }
    const bytes = await shared.usedBytes(client);
    const none = { bytes, files: 0, directories: 0 };
    if (!withEntries || bytes === 0) return none;
    const directory = await this.broughtHere(client, shared);
    if (directory === undefined) return none;
    return { ...(await this.measureHere(directory, true)), bytes };
  }

  /**
   * Updates the catalog of a client in a bucket. If that fails, for example while its garbage is collected, the
   * catalog on this machine counts; returns undefined if there is none. Throws errors of a bucket.
   */
  private async broughtHere(
    client: string,
    shared: SharedSpace,
  ): Promise<ClientDirectory | undefined> {
    const { baseDir: store, catalogFile } = this.options;
    try {
      await shared.refresh(client);
    } catch (error) {
      if (Object.hasOwn(BUCKET_ERRORS, asTardisError(error).code)) throw error;
      this.log.error({ client, err: error }, 'its entries count as they were');
    }
    try {
      return openClientDirectory(this.system, { store, client, catalogFile });
    } catch (error) {
      this.log.error({ client, err: error }, 'its entries cannot be counted');
      return undefined;
    }
  }

  private async measureHere(directory: ClientDirectory, withEntries: boolean): Promise<SpaceTaken> {
    const { client, catalogPath } = directory;
    const status = this.system.files.status(catalogPath);
    const version =
      status && `${status.identity} ${status.sizeBytes} ${status.mtimeMs} ${withEntries}`;
    const known = this.measured.get(client);
    if (known !== undefined && known.version === version) return known;
    const taken = await this.measureNow(directory, withEntries);
    if (version !== undefined) this.measured.set(client, { ...taken, version });
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

/**
 * Replaces the bytes counted for a client that has no session by a new measurement. The count has 64 bits: sums that
 * are too large for it, with a huge SpacePerFile, become negative.
 */
function recount(ledger: Ledger, client: string, measuredBytes: number): void {
  const bytes = Math.min(measuredBytes, Number.MAX_SAFE_INTEGER);
  addTo(ledger.used, bytes - (ledger.counted.get(client) ?? 0));
  if (bytes === 0) ledger.counted.delete(client);
  else ledger.counted.set(client, bytes);
}

/** Returns the space that the welcome of a session reports: 0 and 0 without a quota. */
export function reportedSpace(admission: Admission | undefined): {
  quotaBytes: number;
  usedBytes: number;
} {
  if (admission === undefined) return { quotaBytes: 0, usedBytes: 0 };
  const { quotaBytes, used } = admission.grant;
  return { quotaBytes, usedBytes: valueOf(used) };
}
