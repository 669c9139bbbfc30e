/**
 * Finds the names of clients whose packs are in the directory of another client. The label of a pack has only the id of
 * its client; the store maps the id to a name.
 */
import path from 'node:path';
import { asTardisError } from '../../errors/index.js';
import {
  type ClientDirectory,
  listClients,
  mediumOf,
  readFormat,
  strangePacks,
} from '../../store/index.js';
import type { System } from '../../system/index.js';
import type { Finding, PackFinding } from './findings.js';

/**
 * Returns a function that completes the finding of a pack: it adds the name of the client that owns the pack, if that
 * client is in the same store. A server does not do this, since a client may not learn the names of others.
 */
export function withOwner(
  system: System,
  { path: directory }: ClientDirectory,
): <T extends Finding>(finding: T) => T | PackFinding {
  let names: ReadonlyMap<string, string> | undefined;
  return (finding) => {
    if (finding.finding !== 'pack' || finding.isOwn || finding.clientId === '') return finding;
    names ??= namesById(system, path.dirname(directory));
    const client = names.get(finding.clientId);
    return client === undefined ? finding : { ...finding, client };
  };
}

/**
 * Returns a finding for each misplaced pack: a file whose label has another number than its name, or another client.
 * The finding has the name of the client that owns the pack, if that client is in the store.
 */
export async function strangePacksOf(
  system: System,
  directory: ClientDirectory,
): Promise<PackFinding[]> {
  using backend = mediumOf(system, directory).records();
  const owned = withOwner(system, directory);
  return (await strangePacks(backend)).map(
    (pack): PackFinding => owned({ finding: 'pack', ...pack }),
  );
}

function namesById(system: System, store: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const client of listClients(system, store)) {
    const id = idOf(system, path.join(store, client));
    if (id !== undefined) names.set(id, client);
  }
  return names;
}

/** Codes of the error of a format file that cannot be read. */
const UNREADABLE: ReadonlySet<string> = new Set([
  'FORMAT_DAMAGED',
  'IO_FAILED',
  'STORE_NOT_READABLE',
  'STORE_UNSAFE',
]);

/**
 * Returns the id of a client. Returns undefined if its format file cannot be read; a check of that client reports this.
 */
function idOf({ files }: System, directory: string): string | undefined {
  try {
    return readFormat(files, directory)?.clientId;
  } catch (error) {
    if (UNREADABLE.has(asTardisError(error).code)) return undefined;
    throw error;
  }
}
