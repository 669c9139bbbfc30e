/**
 * Notes a run of this machine: in a file of its state directory from the beginning, and at its end in the journal of the
 * client. The file stays until the journal has the record, so a run that was refused, killed, or did not reach the store
 * is known too: the next run that reaches it brings the record along.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { asTardisError, ifPossible, type TardisError } from '../../errors/index.js';
import type { ClientOverview, History } from '../../history/index.js';
import {
  distinctRuns,
  encodeRun,
  encodeWords,
  MAX_ADDED_RUNS,
  parseRun,
  rootId,
  type RunEnd,
  runFacts,
  type RunKind,
  type RunNumbers,
  type RunRecord,
  type RunWay,
  type RunWords,
} from '../../model/index.js';
import type { noteProof } from '../../restore/index.js';
import { addRuns, hasEncryptingKeys, newRun, openClientDirectory } from '../../store/index.js';
import {
  byteText,
  nodeSystem,
  readState,
  stateName,
  statePath,
  textBytes,
  writeState,
} from '../../system/index.js';
import { backupMemoryOf, placeOf } from './backup-memory.js';

/** Errors after which a server can take the record at once. */
const OF_THIS_MACHINE: readonly string[] = [
  'HOOK_FAILED',
  'INTERRUPTED',
  'QUOTA_EXCEEDED',
  'SOURCE_MISSING',
  'SOURCE_UNSAFE',
];
/** Time in which further restores are not noted, since each record is synced to the disk. */
const AGAIN_MS = 60_000;
/** Names of the daemons that run commands by a table of times. */
const CRON = /^(?:cron|crond|anacron|fcron)$/;
/** Maximum number of records that wait; the older half makes room. */
const MOST_WAITING = 256;
/** Place of the time of the start in `/proc/PID/stat`, behind the state (proc_pid_stat(5)). */
const START_FIELD = 18;
/** Number of parents of this process that are looked at. */
const MOST_PARENTS = 3;
/** Form of the name of a file: the id of the run, and the process that made it with the time of its start. */
const FILE = /^([0-9a-f]{16})\.(\d{1,10}\.\d{1,20})$/;

/** The place of a run. */
export interface RunPlace {
  readonly client: string;
  /** The clients whose journals get the record, if they are others. */
  readonly clients?: () => readonly string[];
  /** The store on this machine, or the bucket; undefined for the server. */
  readonly store: Buffer | undefined;
  readonly server: string;
  readonly catalogFile?: string;
  /** The other place to which a run copies. */
  readonly target?: string | undefined;
  /** Opens the client at the server, without a question to the user. */
  readonly openThere?: (() => Promise<History>) | undefined;
}

export class RunNote {
  /** The directory of the files of runs at the place. */
  private readonly folder: string;

  private constructor(
    private readonly place: RunPlace,
    readonly run: RunRecord,
  ) {
    this.folder = folderOf(place);
  }

  /** Begins a run. Until it ends, its file has it as cut off. */
  static begin(
    kind: RunKind,
    place: RunPlace,
    { isDue = false, ...more }: { isDue?: boolean } & Partial<RunRecord> = {},
  ): RunNote {
    const configured = place.target === undefined ? undefined : [rootId(textBytes(place.target))];
    const note = new RunNote(place, { ...ownRun(kind, isDue), configured, ...more });
    note.keep(note.run);
    return note;
  }

  /** Returns the records of other runs that the journal does not have yet. */
  earlier(): RunRecord[] {
    return waitingRuns(this.folder, this.run.id).slice(1 - MAX_ADDED_RUNS);
  }

  /** Forgets records that the journal has, or this run if it counts as none. */
  forget(runs: readonly Pick<RunRecord, 'id'>[] = [this.run]): void {
    const { folder } = this;
    const ids = new Set(runs.map(({ id }) => id));
    for (const name of filesIn(folder)) {
      if (ids.has(FILE.exec(name)![1]!)) ifPossible(() => fs.unlinkSync(path.join(folder, name)));
    }
  }

  /** Ends the run without an error, and adds it to the journal. */
  done(
    isPartly: boolean,
    more: { numbers?: RunNumbers; words?: RunWords; code?: string } = {},
  ): Promise<void> {
    return this.end({ ...more, end: isPartly ? 'partly' : 'done' });
  }

  /**
   * Ends the run by an error, and adds it to the journal. A server gets it later if the error may be the server's fault: it
   * is not connected to again.
   */
  failed({ code, message }: TardisError, given: RunWords = {}): Promise<void> {
    const words = { ...given, message };
    return this.end(
      { end: code === 'INTERRUPTED' ? endOfStop(this.run) : 'failed', code, words },
      !OF_THIS_MACHINE.includes(code),
    );
  }

  private async end(
    {
      words,
      ...end
    }: Pick<RunRecord, 'end'> & Partial<Pick<RunRecord, 'code' | 'numbers'>> & { words?: RunWords },
    isLater = false,
  ): Promise<void> {
    const endedMs = nodeSystem().clock.nowMs();
    const numbers = { ...this.run.numbers, ...end.numbers };
    const run = { ...this.run, ...end, numbers, endedMs, words: words && encodeWords(words) };
    const earlier = this.place.clients === undefined ? this.earlier() : []; // of one client alone
    const runs = [...earlier, run];
    this.keep(run);
    if (isLater && this.place.store === undefined) return;
    if (await this.deliver(runs)) this.forget(runs);
  }

  private keep(run: RunRecord): void {
    const { folder } = this;
    const isFirst = !fs.existsSync(folder); // each run makes a file; that others can read it is reported once
    if (filesIn(folder).length >= MOST_WAITING)
      this.forget(waitingRuns(folder).slice(0, -MOST_WAITING / 2));
    const file = path.join(folder, `${run.id}.${processOf(process.pid)}`);
    // A failure is not reported: the journal gets the record without the file, if it can be reached.
    writeState(file, encodeRun(run), isFirst);
  }

  /** Adds records to the journal. Returns false if it cannot be reached. */
  private async deliver(runs: readonly RunRecord[]): Promise<boolean> {
    const { client, store, catalogFile, openThere } = this.place;
    try {
      if (store === undefined) {
        if (openThere === undefined) return false;
        using history = await openThere();
        await history.reports.noteRuns(runs);
        return true;
      }
      const system = nodeSystem();
      const where = { store: byteText(store), ...(catalogFile !== undefined && { catalogFile }) };
      const clients = this.place.clients?.() ?? [client];
      for (const one of clients) {
        const directory = openClientDirectory(system, { ...where, client: one });
        const isSealed = hasEncryptingKeys(system, directory.path);
        await addRuns(
          system,
          directory,
          isSealed ? runs.map((run) => ({ ...run, words: undefined })) : runs,
        );
      }
      return clients.length > 0;
    } catch (error) {
      if (asTardisError(error).row.kind === 'bug') throw error;
      return false;
    }
  }
}

/** Returns how a run ended that a signal has ended: by its user, or because its machine goes down. */
function endOfStop({ way }: RunRecord): RunEnd {
  return way === 'timer' || way === 'cron' ? 'cut' : 'stopped';
}

/** Returns the record of a run of this process that begins now. */
function ownRun(kind: RunKind, isDue = false): RunRecord {
  return newRun(nodeSystem(), { kind, way: wayOf(isDue), by: userName() });
}

/**
 * Notes a restore, at the store and in the memory of this machine, if it proves that files can be restored from there. Never
 * throws, but for bugs.
 */
export async function noteRestore(
  { client, server, database }: RestoredFrom,
  history: History,
  restored: Parameters<typeof noteProof>[1],
): Promise<void> {
  const { noteProof: note } = await import('../../restore/index.js'); // a restore has loaded it
  const place = { client, server: server ?? '' };
  const memory = backupMemoryOf(place, server === undefined ? database : undefined);
  const nowMs = Date.now();
  const { restoredMs = 0 } = memory.read();
  const run =
    nowMs - restoredMs < AGAIN_MS ? undefined : ({ ...ownRun('restore'), end: 'done' } as const);
  if (await note(history, restored, run)) memory.note({ restoredMs: nowMs });
}

interface RestoredFrom {
  readonly client: string;
  /** The server that was read; undefined for a store of this machine or a bucket. */
  readonly server: string | undefined;
  readonly database: Buffer;
}

/** Returns the records of a client's runs that the journal does not have yet, for a command that reads a place. */
export function waitingFor(
  {
    database,
    throughServer,
  }: { readonly database: Buffer; readonly throughServer: string | undefined },
  client: string,
): RunRecord[] {
  const store = throughServer === undefined ? database : undefined;
  return waitingRuns(folderOf({ client, store, server: throughServer ?? '' }));
}

/**
 * Returns the facts that a server shows of its client, with runs that its journal does not have yet. The words of a failed
 * run are opened, if the client encrypts: the server cannot read them.
 */
export async function ownOverview(
  { reports }: History,
  waiting: readonly RunRecord[],
): Promise<ClientOverview | undefined> {
  const shown = await reports.ownState?.();
  if (shown === undefined || (waiting.length === 0 && shown.failureCode === '')) return shown;
  const runs = distinctRuns([...(await reports.runs()), ...waiting]);
  const { lateAfterMs: _, ...facts } = runFacts(runs, nodeSystem().clock.nowMs());
  return { ...shown, ...facts };
}

/** Returns the records of runs in a directory of a place, oldest first, without runs that go on and the own one. */
function waitingRuns(folder: string, own?: string): RunRecord[] {
  const runs = filesIn(folder).flatMap((name) => {
    const [, id, made = ''] = FILE.exec(name)!;
    const run = id === own ? undefined : parseRun(readState(path.join(folder, name)) ?? '');
    const goesOn = run?.end === 'cut' && processOf(parseInt(made, 10)) === made;
    return run === undefined || goesOn ? [] : [{ ...run, isLate: true }];
  });
  return runs.sort((one, other) => one.endedMs - other.endedMs);
}

function folderOf({ client, server, store }: RunPlace): string {
  return statePath('runs', stateName(placeOf(server, store), client));
}

/** Returns a text for a process that no other has, as long as it runs; its number alone if it has ended. */
function processOf(pid: number): string {
  const text = ifPossible(() => fs.readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? '';
  const [state, ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' || state === '' ? `${pid}` : `${pid}.${fields[START_FIELD]}`;
}

function filesIn(folder: string): string[] {
  const names = ifPossible(() => fs.readdirSync(folder)) ?? [];
  return names.filter((name) => FILE.test(name));
}

/** Returns how this process was started. */
function wayOf(isDue: boolean): RunWay {
  if (process.env['TARDIS_RUN_BY'] === 'page') return 'page';
  const isUnit = process.env['INVOCATION_ID'] !== undefined && (isDue || process.ppid === 1);
  if (isUnit) return 'timer';
  let pid = process.ppid;
  for (let looks = 0; looks < MOST_PARENTS && pid > 1; looks += 1) {
    const status = ifPossible(() => fs.readFileSync(`/proc/${pid}/status`, 'latin1')) ?? '';
    if (CRON.test(/^Name:\t(.*)$/m.exec(status)?.[1] ?? '')) return 'cron';
    pid = Number(/^PPid:\t(\d+)$/m.exec(status)?.[1] ?? 0);
  }
  return isDue ? 'due' : 'hand';
}

/** Returns the name of the user of this process; the number if it has none. */
function userName(): string {
  const id = process.geteuid!();
  return ifPossible(() => os.userInfo({ encoding: 'utf8' }).username) ?? String(id);
}
