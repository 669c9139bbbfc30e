/** The routes of restores in place. */
import { TardisError } from '../../errors/index.js';
import { type AddedRoute, addedRoute } from '../api/index.js';
import type { Restores } from './restores.js';
import { MAX_RESTORE_BODY_BYTES, RestoreState, RestoreBody } from './schemas.js';

const RESTORES = '/restores';
const RESTORE = `${RESTORES}/{id}`;

/** Returns the routes. Only the client `client` can be restored. */
export function restoreRoutes(restores: Restores, client: string): AddedRoute[] {
  return [
    addedRoute(
      {
        method: 'POST',
        path: RESTORES,
        right: 'read',
        summary: 'Begins a restore on this machine, or a preview of one.',
        maxBodyBytes: MAX_RESTORE_BODY_BYTES,
        body: RestoreBody,
        reply: RestoreState,
      },
      async ({ body }) => {
        if (body.client !== client) {
          throw new TardisError('NO_SUCH_CLIENT', `the client that is open is "${client}"`);
        }
        return restores.start(body);
      },
    ),
    addedRoute(
      {
        method: 'GET',
        path: RESTORE,
        right: 'read',
        summary: 'Returns the progress or the result of a restore.',
        reply: RestoreState,
      },
      async ({ params }) => restores.state(params['id'] ?? ''),
    ),
    addedRoute(
      {
        method: 'DELETE',
        path: RESTORE,
        right: 'read',
        summary: 'Stops a restore. The same restore continues it.',
        reply: RestoreState,
      },
      async ({ params }) => restores.stop(params['id'] ?? ''),
    ),
  ];
}
