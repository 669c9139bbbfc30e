/**
 * Alerts that were already sent, and the intervals by which a server judges its clients. An alert begins when a client is overdue or a backup fails, and ends with the
 * client's next complete set. The number of the newest complete set identifies it, so no alert is sent twice, even
 * after a restart of the server.
 */
import { jsonFields, type SetNumber } from '../../model/index.js';
import path from 'node:path';
import { readStart, replaceFile, type System } from '../../system/index.js';

/** File in the store; no client's name begins with a dot. */
export const ALERTS_FILE = '.alerts.json';
const ALERTS_FORMAT = 1;
const MAX_FILE_BYTES = 4 << 20;

/** `unseen`: the client can no longer be read or found. */
type AlertKind = 'overdue' | 'failing' | 'unseen';
const KINDS: readonly AlertKind[] = ['overdue', 'failing', 'unseen'];

/** Maps each client to the set (0: none) after which its alert began. */
type SentAlerts = Map<string, number>;

interface Stored {
  readonly sent: Readonly<Record<AlertKind, SentAlerts>>;
  /** Maps each client to its OverdueAfter, in milliseconds. Readers of the store judge it by the same interval. */
  readonly intervals: Map<string, number>;
}

export class Alerts {
  private readonly sent: Stored['sent'];
  private readonly intervals: Stored['intervals'];
  private isChanged = false;
  private readonly file: string;

  /** Reads the stored alerts. If the file cannot be read, all alerts are sent again. */
  constructor(
    private readonly system: System,
    store: string,
  ) {
    this.file = path.join(store, ALERTS_FILE);
    ({ sent: this.sent, intervals: this.intervals } = readStored(system, this.file));
  }

  /** Returns the interval by which the server of the store judges a client; undefined if it has none. */
  overdueAfterMs(client: string): number | undefined {
    return this.intervals.get(client);
  }

  /** Notes the interval of a client; 0 removes it. */
  setOverdueAfter(client: string, ms: number): void {
    if ((this.intervals.get(client) ?? 0) === ms) return;
    if (ms > 0) this.intervals.set(client, ms);
    else this.intervals.delete(client);
    this.isChanged = true;
  }

  isOpen(kind: AlertKind, client: string): boolean {
    return this.sent[kind].has(client);
  }

  /** True if the alert began after this set, which is the newest complete one. */
  isOpenSince(kind: AlertKind, client: string, set: SetNumber): boolean {
    return this.sent[kind].get(client) === set;
  }

  /** Begins an alert. Returns true if it has to be sent, because the last one was for another set. */
  begin(kind: AlertKind, client: string, set: SetNumber): boolean {
    if (this.sent[kind].get(client) === set) return false;
    this.sent[kind].set(client, set);
    this.isChanged = true;
    return true;
  }

  /** Ends an alert. Returns true if there was one. */
  end(kind: AlertKind, client: string): boolean {
    const wasOpen = this.sent[kind].delete(client);
    this.isChanged ||= wasOpen;
    return wasOpen;
  }

  /**
   * Ends an alert that began after an older set, since a newer set replaces the failed backup. Returns true if an
   * alert ended.
   */
  endIfOlder(kind: AlertKind, client: string, set: SetNumber): boolean {
    const before = this.sent[kind].get(client);
    return before !== undefined && before < set && this.end(kind, client);
  }

  /** Removes the alerts and intervals of clients that no longer exist. */
  keepOnly(clients: ReadonlySet<string>): void {
    for (const client of this.intervals.keys()) {
      if (!clients.has(client)) this.setOverdueAfter(client, 0);
    }
    for (const kind of KINDS) {
      for (const client of this.sent[kind].keys()) {
        if (!clients.has(client)) this.end(kind, client);
      }
    }
  }

  /** Writes the alerts to the store if they have changed. Throws system errors. */
  async save(): Promise<void> {
    if (!this.isChanged) return;
    const plain = {
      format: ALERTS_FORMAT,
      overdue: Object.fromEntries(this.sent.overdue),
      failing: Object.fromEntries(this.sent.failing),
      unseen: Object.fromEntries(this.sent.unseen),
      overdueAfterMs: Object.fromEntries(this.intervals),
    };
    await replaceFile(this.system.files, this.file, Buffer.from(`${JSON.stringify(plain)}\n`));
    this.isChanged = false;
  }
}

function readStored(system: System, file: string): Stored {
  const text = readStart(system.files, file, MAX_FILE_BYTES)?.toString('utf8');
  const { format, ...kinds } = jsonFields(text); // if damaged, all alerts are sent once more
  const of = (kind: string): SentAlerts => mapOf(format === ALERTS_FORMAT ? kinds[kind] : {});
  return {
    sent: { overdue: of('overdue'), failing: of('failing'), unseen: of('unseen') },
    intervals: of('overdueAfterMs'),
  };
}

function mapOf(plain: unknown): SentAlerts {
  const isObject = typeof plain === 'object' && plain !== null;
  const entries: [string, unknown][] = isObject ? Object.entries(plain) : [];
  return new Map(
    entries.filter((entry): entry is [string, number] => Number.isSafeInteger(entry[1])),
  );
}
