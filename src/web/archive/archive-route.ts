/** The route of the API that sends files and directories of a set as one archive. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import {
  addedRoute,
  type AddedRoute,
  type ApiRequest,
  AtOnce,
  type AtOnceLimits,
  cutOff,
  dispositionOf,
  get,
  invalidRequest,
  pathIn,
  type RouteRow,
  schemas,
  setOf,
  whenClosed,
} from '../api/index.js';
import { TardisError } from '../../errors/index.js';
import { type History, noSuchPath } from '../../history/index.js';
import {
  displayName,
  isEntryName,
  lastComponent,
  liesBelow,
  type SetNumber,
  shownRoot,
  splitPath,
} from '../../model/index.js';
import type { ArchiveRequest, RestoreFailure, RestoreProgress } from '../../restore/index.js';
import { ArchiveStream, type ArchiveStreamOptions, brokenArchive } from './archive-stream.js';
import { Selections } from './selections.js';

/** An archive that is being sent. */
export interface BegunArchive {
  readonly client: string;
  /** The history that it is read from. */
  readonly history: History;
  readonly set: SetNumber;
  readonly paths: readonly Buffer[];
  readonly progress: RestoreProgress;
  /** Breaks the archive off. */
  readonly stop: () => void;
}

export interface ArchiveResult {
  /** Entries that the archive lacks. */
  readonly failures: readonly RestoreFailure[];
  /** Why the archive was broken off; undefined if it is whole, or if its reader wanted no more. */
  readonly error: Error | undefined;
}

interface ArchiveRouteOptions {
  /** Called if an archive is cut off. Also called with a list of the entries that a complete archive lacks. */
  readonly onError: (error: TardisError, request: FastifyRequest) => void;
  /** Called when an archive begins; the function that it returns is called at the end. */
  readonly onBegin?: (archive: BegunArchive) => (result: ArchiveResult) => void;
  /** Stored selections of paths; undefined if this program stores none. */
  readonly selections?: Selections;
}

/**
 * Limits of archives that are written at once, each of which may hold a piece of a large file in memory. An archive
 * whose reader takes nothing is ended for the next one, since over HTTP/2 Node does not detect that a reader with a
 * full window has disconnected.
 */
const ARCHIVES_AT_ONCE: AtOnceLimits = Object.freeze({
  ofOne: 2,
  ofAll: 4,
  ofStrangers: 0,
  retrySeconds: 30,
  why: 'other archives are being written',
});

/** Maximum number of failures that are reported one by one. */
const MAX_REPORTED = 20;

const TYPES = Object.freeze({ zip: 'application/zip', tar: 'application/x-tar' });

/** The row of the route, for documents. */
export const ARCHIVE_ROW = get('/clients/{client}/sets/{set}/archive', 'read', {
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
  sends: [TYPES.zip, TYPES.tar],
}) satisfies RouteRow;

/** Returns the route, to be given to `registerApi`. */
export function archiveRoute({ onError, onBegin, selections }: ArchiveRouteOptions): AddedRoute {
  const atOnce = new AtOnce(ARCHIVES_AT_ONCE);
  return addedRoute(ARCHIVE_ROW, async (apiRequest) => {
    const { request, reply } = apiRequest;
    requireFraming(request);
    let stream: ArchiveStream | undefined;
    const leave = atOnce.enter(request, {
      waitedMs: () => stream?.waitedMs ?? 0,
      end: () => cutOff(reply),
    });
    whenClosed(reply, leave);
    try {
      const archive = await requestedArchive(apiRequest, selections);
      if (request.method === 'HEAD') {
        await reply.headers(archive.headers).send();
        return;
      }
      stream = new ArchiveStream(archive.options);
      follow(stream, archive, onBegin);
      await sendArchive(apiRequest, archive, stream, onError);
    } catch (error) {
      leave(); // an archive that was refused may be requested again
      throw error;
    }
  });
}

/** Reports the begin and the end of an archive. */
function follow(
  stream: ArchiveStream,
  { client, options: { history, request } }: RequestedArchive,
  onBegin: ArchiveRouteOptions['onBegin'],
): void {
  const { progress } = stream;
  const stop = (): void => void stream.destroy(new TardisError('INTERRUPTED', 'it was stopped'));
  const { set, paths } = request;
  const ended = onBegin?.({ client, history, set, paths, progress, stop });
  if (ended === undefined) return;
  stream.once('close', () =>
    ended({ failures: stream.failures, error: stream.errored ?? undefined }),
  );
}

/**
 * Throws REQUEST_INVALID for HTTP/1.0, in which a reader cannot distinguish an archive that is cut off from a complete
 * one.
 */
function requireFraming({ raw }: FastifyRequest): void {
  if (raw.httpVersionMajor > 1 || raw.httpVersionMinor > 0) return;
  const why = 'over HTTP/1.0 an archive that is cut off would look complete';
  throw invalidRequest(`${why}; use HTTP/1.1 (nginx: proxy_http_version 1.1)`);
}

function pathsIn({ path = [] }: { readonly path?: string | string[] }): readonly Buffer[] {
  return (typeof path === 'string' ? [path] : path).map(pathIn);
}

interface RequestedArchive {
  readonly client: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly options: ArchiveStreamOptions;
  /** File name of the archive, for logs. */
  readonly shown: string;
}

async function requestedArchive(
  { door, lease: { history }, setText, client, query }: ApiRequest<typeof ARCHIVE_ROW>,
  selections = new Selections(),
): Promise<RequestedArchive> {
  const { format, compress, damage, selection: id } = query;
  const paths = id === undefined ? pathsIn(query) : selections.find(id, client);
  const { set, name } = await setOf(history, setText);
  const request = await archiveSelection(history, set, paths);
  const own = paths.length === 1 ? lastComponent(paths[0]!) : Buffer.alloc(0);
  const title = own.length > 0 ? own : Buffer.from(`${client}-${name}`);
  const fileName = Buffer.concat([title, Buffer.from(`.${format}`)]);
  return {
    client,
    headers: {
      'content-type': TYPES[format],
      'content-disposition': dispositionOf(fileName, true, TYPES[format]),
      'cache-control': 'no-store',
    },
    options: { system: door.system, history, request, format, compress, damage },
    shown: displayName(fileName),
  };
}

async function sendArchive(
  { request, reply }: ApiRequest<typeof ARCHIVE_ROW>,
  { headers, shown }: RequestedArchive,
  stream: ArchiveStream,
  onError: ArchiveRouteOptions['onError'],
): Promise<void> {
  whenClosed(reply, () => stream.destroy());
  stream.once('error', (error) => {
    // If the headers were not sent yet, the error itself is sent as the answer.
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

/**
 * Returns the selection of some paths of a set, without duplicates; without paths, it selects all roots. A path above
 * roots selects these roots. The names in the archive begin with the last component of each path, or are whole paths if
 * last components would be ambiguous. Throws NO_SUCH_PATH.
 */
async function archiveSelection(
  history: History,
  set: SetNumber,
  paths: readonly Buffer[],
): Promise<Pick<ArchiveRequest, 'set' | 'paths' | 'hierarchy'>> {
  const roots = (await history.roots(set)).map(({ path }) => shownRoot(path));
  if (paths.length === 0) return { set, paths: roots, hierarchy: true };
  const chosen = new Map<string, Buffer>();
  let isAbove = false;
  for (const path of paths) {
    const isFound = splitPath(path).every(isEntryName) && (await history.find(path, set));
    const below = isFound === undefined ? roots.filter((root) => liesBelow(root, path)) : [];
    if (isFound === false || (isFound === undefined && below.length === 0)) {
      throw await noSuchPath(history, set, path);
    }
    isAbove ||= below.length > 0;
    for (const each of below.length === 0 ? [path] : below) {
      chosen.set(each.toString('latin1'), each);
    }
  }
  const all = [...chosen.values()];
  const names = new Set(all.map((path) => lastComponent(path).toString('latin1')));
  return { set, paths: all, hierarchy: isAbove || names.size < all.length };
}
