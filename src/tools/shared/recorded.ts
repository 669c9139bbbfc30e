/** Records the runs of commands other than backups and restores in the journal of their client. */
import { givenWords, isSshText, type Settings, type Tool } from '../../config/index.js';
import { asTardisError } from '../../errors/index.js';
import type { RunKind } from '../../model/index.js';
import { byteText, nodeSystem } from '../../system/index.js';
import { placeOf as nameOfPlace } from '../opening/backup-memory.js';
import { openUnasked } from '../opening/history.js';
import { clientsHere } from '../opening/local-store.js';
import { RunNote, type RunPlace } from '../opening/run-note.js';
import { PARTLY } from '../output/exit-status.js';
import { takeNumbers } from './run-facts.js';

/** Errors of the command line. */
const NO_RUNS: readonly string[] = ['USAGE', 'CONFIG_INVALID'];
/** Errors of a place that has no journal, unless they are of the target of a copy. */
const NO_JOURNAL: readonly string[] = ['NO_SUCH_CLIENT', 'NO_SUCH_STORE'];

/** Runs a command, and records how it ended. Throws its error. */
export function recorded<T extends Tool>(
  { kind, tool }: { readonly kind: RunKind; readonly tool: T },
  settings: Settings<T>,
  run: (settings: Settings<T>) => Promise<number | void>,
): Promise<number | void> {
  const { copyTo, copyToServer } = settings as Partial<Settings<'sonic copy'>>;
  const target = copyTo ?? copyToServer;
  const place = {
    ...placeOf(settings as unknown as Settings<'sonic check'>),
    target: target && targetOf(target),
  };
  return recordedAt(kind, place, () => run(settings), givenWords(tool, settings));
}

/** Does what counts as one run, and records how it ended in the journal of a place. Throws its error. */
export async function recordedAt(
  kind: RunKind,
  place: RunPlace,
  run: () => Promise<number | void>,
  rules?: string,
): Promise<number | void> {
  takeNumbers();
  const words = rules === undefined ? {} : { rules };
  const note = RunNote.begin(kind, place);
  try {
    const status = await run();
    const numbers = takeNumbers();
    if (numbers === undefined) note.forget();
    else await note.done(status === PARTLY, { numbers, words });
    return status;
  } catch (error) {
    const failure = asTardisError(error);
    const none = kind === 'copy' ? NO_RUNS : [...NO_RUNS, ...NO_JOURNAL];
    if (takeNumbers() === undefined || none.includes(failure.code)) note.forget();
    else await note.failed(failure, words);
    throw error;
  }
}

/** Returns the name of the place to which a run copies. */
export function targetOf(to: Buffer | string): string {
  return Buffer.isBuffer(to) && !isSshText(byteText(to))
    ? nameOfPlace('', to)
    : nameOfPlace(to.toString(), undefined);
}

function placeOf(settings: Settings<'sonic check'>): RunPlace {
  const { client, database, catalogFile, throughServer } = settings;
  const { allClients = false } = settings as Partial<Settings<'sonic copy'>>;
  if (throughServer === undefined) {
    const clients = (): readonly string[] => clientsHere(nodeSystem(), byteText(database));
    return { client, ...(allClients && { clients }), store: database, server: '', catalogFile };
  }
  const openThere = () => openUnasked(throughServer, settings);
  return { client, store: undefined, server: throughServer, openThere };
}
