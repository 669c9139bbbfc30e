/** Counts the packs and objects that parity protects, without reading them. */
import { type ClientDirectory, mediumOf, parityName, protectable } from '../../store/index.js';
import type { System } from '../../system/index.js';

export interface ParitySummary {
  /** Number of packs and objects that have parity. */
  readonly protected: number;
  /** Number of packs and objects that have none. */
  readonly unprotected: number;
  /** Number of bytes of all parity files. */
  readonly bytes: number;
}

/** Returns the summary of a client's parity. A session may change the result at any time. */
export async function parityOf(system: System, directory: ClientDirectory): Promise<ParitySummary> {
  using backend = mediumOf(system, directory).records();
  const sum = { protected: 0, unprotected: 0, bytes: 0 };
  for (const name of await protectable(backend)) {
    const bytes = await backend.size(parityName(name));
    if (bytes === undefined) sum.unprotected += 1;
    else sum.protected += 1;
    sum.bytes += bytes ?? 0;
  }
  return sum;
}
