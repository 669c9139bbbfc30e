/**
 * Adds what a server does itself, and what it refuses, to the journals of its clients. The client's own record of a run
 * has the same id, and counts in place of the server's.
 */
import type { Logger } from 'pino';
import { asTardisError, type TardisError } from '../errors/index.js';
import { encodeWords, RUN_ID, type RunNumbers, type RunRecord } from '../model/index.js';
import { addRuns, newRun, openClientDirectory } from '../store/index.js';
import type { System } from '../system/index.js';
import { Purpose } from '../transport/index.js';
import type { ClientSession } from './client-session.js';
import type { GcOutcome } from './gc-scheduler.js';

/** Time in which a failure that a client's journal has is not added again, so that no client floods it. */
const AGAIN_MS = 60_000;

type EndedSession = Pick<
  ClientSession,
  'client' | 'account' | 'outcome' | 'purpose' | 'run' | 'beganMs'
>;
type Change = Pick<RunRecord, 'kind' | 'end'> & Partial<RunRecord>;

export class RunRecorder {
  /** The error that ends the session of a client. */
  private readonly refusals = new Map<string, TardisError>();
  private readonly adding = new Set<Promise<void>>();
  /** The last failure of each client, and its monotonic time. */
  private readonly failures = new Map<string, { readonly what: string; readonly atMs: number }>();

  constructor(
    private readonly system: System,
    private readonly place: { readonly baseDir: string; readonly catalogFile: string },
    private readonly log: Logger,
  ) {}

  /** Notes the error that ends the session of a client. */
  refused(client: string, error: TardisError): void {
    this.refusals.set(client, error);
  }

  /** Records a session that ended without a complete set, unless it had no set and no error. Never throws. */
  async sessionEnded({
    client,
    account,
    outcome,
    purpose,
    run,
    beganMs,
  }: EndedSession): Promise<void> {
    const error = this.refusals.get(client);
    this.refusals.delete(client);
    if (outcome === 'complete') this.failures.delete(client);
    // A session that another one has overtaken is no failure of the backup, which goes on there.
    const isFailure = outcome === 'failed' || (outcome === 'none' && error !== undefined);
    if (purpose !== Purpose.backup || !isFailure || error?.code === 'STORE_TAKEN') return;
    const { code, message } = error ?? NO_WORD;
    if (error?.row.kind === 'busy' || !this.isNew(client, code)) return;
    const words = encodeWords({ message });
    const by = { ...(account !== '' && { account }), ...(RUN_ID.test(run) && { id: run }) };
    const end = error === undefined ? 'cut' : 'failed';
    await this.add(client, { kind: 'backup', end, code, beganMs, isWhole: true, words, ...by });
  }

  /** Records the garbage collection of a client, if it has freed something or failed. Never throws. */
  async collected(client: string, outcome: GcOutcome, beganMs: number): Promise<void> {
    if (outcome === undefined) return;
    if ('failure' in outcome) {
      if (outcome.code === undefined || !this.isNew(client, outcome.code)) return;
      const words = encodeWords({ message: outcome.failure });
      return this.add(client, {
        kind: 'collect',
        end: 'failed',
        code: outcome.code,
        beganMs,
        words,
      });
    }
    const { purged, early, freedBytes, deletedFiles, purgeFailure } = outcome.done;
    const sets = purged.length + early.length;
    if (sets + freedBytes + deletedFiles === 0 && purgeFailure === undefined) return;
    const end = purgeFailure === undefined ? 'done' : 'failed';
    const numbers: RunNumbers = { sets, freedBytes };
    const words = purgeFailure === undefined ? undefined : encodeWords({ message: purgeFailure });
    return this.add(client, {
      kind: sets > 0 || words ? 'purge' : 'collect',
      end,
      beganMs,
      numbers,
      words,
    });
  }

  /** Adds a record of this server to the journal of a client. Never throws; a failure is logged. */
  add(client: string, change: Change): Promise<void> {
    const adding = this.addNow(client, change).finally(() => this.adding.delete(adding));
    this.adding.add(adding);
    return adding;
  }

  /** Resolves when all records are added. */
  async settled(): Promise<void> {
    await Promise.all(this.adding);
  }

  private async addNow(client: string, change: Change): Promise<void> {
    const { system, place } = this;
    const run = { ...newRun(system, { kind: change.kind, way: 'server', by: '' }), ...change };
    try {
      const { baseDir: store, catalogFile } = place;
      await addRuns(system, openClientDirectory(system, { store, client, catalogFile }), [run]);
    } catch (error) {
      const { code, message } = asTardisError(error);
      this.log.error({ client, code, reason: message }, 'a run cannot be recorded');
    }
  }

  private isNew(client: string, what: string): boolean {
    const atMs = this.system.clock.monotonicMs();
    const before = this.failures.get(client);
    if (before?.what === what && atMs - before.atMs < AGAIN_MS) return false;
    this.failures.set(client, { what, atMs });
    return true;
  }
}

const NO_WORD = {
  code: 'CONNECTION_LOST',
  message: 'the session was over before its set was complete',
} as const;
