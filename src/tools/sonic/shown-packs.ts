/**
 * Finds the names of clients whose packs were found in the directory of another client. The label of a pack has only
 * the id of its client; the store maps the id to a name.
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
import type { Finding, PackFinding } from '../../maintenance/check/index.js';

/**
 * Returns a function that completes the finding of a pack: it adds the name of the client that owns the pack, if that
 * client is in the store.
 */
export function clientNames(system: System, store: string): (finding: Finding) => Finding {
  let names: ReadonlyMap<string, string> | undefined;
  return (finding) => {
    if (finding.finding !== 'pack' || finding.isOwn || finding.clientId === '') return finding;
    names ??= namesById(system, store);
    const client = names.get(finding.clientId);
    return client === undefined ? finding : { ...finding, client };
  };
}

/**
 * Returns a finding for each misplaced pack: a file whose label has another number than its name, or another client.
 * The finding has the name of the client that owns the pack, if that client is in the store.
 */
export async function namedStrangePacks(
  system: System,
  directory: ClientDirectory,
): Promise<Finding[]> {
  using backend = mediumOf(system, directory).records();
  const named = clientNames(system, path.dirname(directory.path));
  return (await strangePacks(backend)).map((pack) => named({ finding: 'pack', ...pack }));
}

/** Describes the pack that a file contains, by its label. */
export function labelText({ pack, clientId, isOwn, client }: PackFinding): string {
  if (isOwn) return `contains pack ${pack} of this client`;
  if (client !== undefined) return `contains pack ${pack} of the client "${client}"`;
  if (clientId === '') return `contains pack ${pack}, and its label names no client`;
  return `contains pack ${pack} of another client (its id is ${clientId})`;
}

function namesById(system: System, store: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const client of listClients(system, store)) {
    const id = idOf(system, path.join(store, client));
    if (id !== undefined) names.set(id, client);
  }
  return names;
}

/**
 * Returns the id of a client. Returns undefined if its format file cannot be read; a check of that client reports this.
 */
function idOf({ files }: System, directory: string): string | undefined {
  try {
    return readFormat(files, directory)?.clientId;
  } catch (error) {
    if (
      ['FORMAT_DAMAGED', 'STORE_NOT_READABLE', 'STORE_UNSAFE'].includes(asTardisError(error).code)
    )
      return undefined;
    throw error;
  }
}
