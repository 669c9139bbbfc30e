/** Stores paths that were selected for an archive and are too long for a URL. */
import { randomUUID } from 'node:crypto';
import { Type } from 'typebox';
import {
  addedRoute,
  type AddedRoute,
  encodedPathIn,
  invalidRequest,
  post,
  schemas,
} from '../api/index.js';
import { BoundedCache } from '../../system/index.js';

/** Maximum number of stored selections; the oldest one is removed for a new one. */
const MAX_KEPT = 16;

interface Kept {
  readonly client: string;
  readonly paths: readonly Buffer[];
}

export class Selections {
  private readonly kept = new BoundedCache<string, Kept>(MAX_KEPT);

  /** Stores paths for later requests, and returns the id of the selection. */
  keep(client: string, paths: readonly Buffer[]): string {
    const id = randomUUID();
    this.kept.set(id, { client, paths });
    return id;
  }

  /** Returns the paths of a selection. Throws REQUEST_INVALID if there is no such selection of the client. */
  find(id: string, client: string): readonly Buffer[] {
    const found = this.kept.get(id);
    if (found?.client === client) return found.paths;
    throw invalidRequest('there is no such selection any more');
  }
}

/** Returns the route that stores a selection. */
export function selectionRoute(selections: Selections): AddedRoute {
  return addedRoute(
    post('/clients/{client}/selections', 'read', {
      isClear: true,
      summary: 'Keeps paths for an archive (`selection`), where they are too long for a query.',
      maxBodyBytes: schemas.MAX_PATHS_BODY_BYTES,
      body: Type.Object({ paths: schemas.PathQueries }),
      reply: Type.Object({ selection: Type.String() }),
    }),
    async ({ body, client }) => ({
      selection: selections.keep(client, body.paths.map(encodedPathIn)),
    }),
  );
}
