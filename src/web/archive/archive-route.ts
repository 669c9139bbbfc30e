/** The route of the API that sends files and directories of a set as one archive. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { TardisError } from '../../errors/index.js';
import { displayName, lastComponent } from '../../model/index.js';
import {
  addedRoute,
  type AddedRoute,
  type Asked,
  dispositionOf,
  invalidRequest,
  pathIn,
  type RouteRow,
  schemas,
  setOf,
  whenClosed,
} from '../api/index.js';
import { ArchivePlaces } from './archive-places.js';
import { archiveSelection } from './archive-selection.js';
import { ArchiveStream, brokenArchive } from './archive-stream.js';
import { Selections } from './selections.js';

export interface ArchiveRouteOptions {
  /** Called if an archive ends before its end, and with what a complete one lacks. */
  readonly onError: (error: TardisError, request: FastifyRequest) => void;
  /** Paths that were kept before; undefined if this program keeps none. */
  readonly selections?: Selections;
}

/** Failures that are reported one by one. */
const MAX_REPORTED = 20;

const TYPES = Object.freeze({ zip: 'application/zip', tar: 'application/x-tar' });

/** The row of the route, for documents. */
export const ARCHIVE_ROW = {
  method: 'GET',
  path: '/clients/{client}/sets/{set}/archive',
  right: 'read',
  isClear: true,
  summary:
    'Returns paths of a set as a zip or tar archive; without a path, the whole set. An answer that ends early is not complete. Entries that it lacks are named in MISSING-FROM-THIS-ARCHIVE.txt at its end; damage ends it, or with `damage=list` is named there too.',
  query: Type.Object({
    path: Type.Optional(Type.Union([schemas.PathQuery, Type.Array(schemas.PathQuery)])),
    selection: Type.Optional(
      Type.String({
        maxLength: 64,
        description: 'Kept paths, instead of `path`; `tardis-web` only.',
      }),
    ),
    format: Type.Enum(['zip', 'tar'], { default: 'zip' }),
    compress: Type.Enum(['auto', 'yes', 'no'], { default: 'auto' }),
    damage: Type.Enum(['end', 'list'], { default: 'end' }),
  }),
  sends: TYPES.zip,
} as const satisfies RouteRow;

/** Returns the route, to be given to `registerApi`. */
export function archiveRoute(options: ArchiveRouteOptions): AddedRoute {
  const places = new ArchivePlaces();
  return addedRoute(ARCHIVE_ROW, async (asked) => {
    requireFraming(asked.request);
    const taken = places.enter(asked);
    try {
      await sendArchive(asked, options, (stream) => {
        taken.stream = stream;
      });
    } catch (error) {
      taken.leave(); // it may be asked for again
      throw error;
    }
  });
}

/** Throws REQUEST_INVALID for HTTP/1.0, in which the end of the connection is the end of a complete archive, too. */
function requireFraming({ raw }: FastifyRequest): void {
  if (raw.httpVersionMajor > 1 || raw.httpVersionMinor > 0) return;
  const why = 'over HTTP/1.0 an archive that is cut off would look complete';
  throw invalidRequest(`${why}; use HTTP/1.1 (nginx: proxy_http_version 1.1)`);
}

function pathsIn({ path = [] }: { readonly path?: string | string[] }): readonly Buffer[] {
  return (typeof path === 'string' ? [path] : path).map(pathIn);
}

async function sendArchive(
  { door, lease: { history }, setText, params, query, request, reply }: Asked<typeof ARCHIVE_ROW>,
  { onError, selections = new Selections() }: ArchiveRouteOptions,
  onStream: (stream: ArchiveStream) => void,
): Promise<void> {
  const { format, compress, damage, selection: id } = query;
  const paths = id === undefined ? pathsIn(query) : selections.find(id, params['client'] ?? '');
  const { set, name } = await setOf(history, setText);
  const selection = await archiveSelection(history, set, paths);
  const own = paths.length === 1 ? lastComponent(paths[0]!) : Buffer.alloc(0);
  const title = own.length > 0 ? own : Buffer.from(`${params['client'] ?? ''}-${name}`);
  const fileName = Buffer.concat([title, Buffer.from(`.${format}`)]);
  const headers = {
    'content-type': TYPES[format],
    'content-disposition': dispositionOf(fileName, true, TYPES[format]),
    'cache-control': 'no-store',
  };
  if (request.method === 'HEAD') {
    await reply.headers(headers).send();
    return;
  }
  const stream = new ArchiveStream({
    system: door.system,
    history,
    request: selection,
    format,
    compress,
    damage,
  });
  onStream(stream);
  whenClosed(reply, () => stream.destroy());
  const shown = displayName(fileName);
  stream.once('error', (error) => {
    // Before the answer has begun, the error is the answer.
    if (reply.raw.headersSent) onError(brokenArchive(error, shown), request);
  });
  await stream.begin();
  stream.once('end', () => {
    for (const failure of stream.failures.slice(0, MAX_REPORTED)) {
      const { code, message } = failure.error;
      const lacking = `the archive ${shown} lacks ${displayName(failure.path)}: ${message}`;
      onError(new TardisError(code, lacking), request);
    }
  });
  await reply.headers(headers).send(stream);
}
