/**
 * Sends requests to the program that served the page. Addresses are relative, so that no other host gets a request.
 */
import type {
  BackupSet,
  ChangesPage,
  Client,
  DeletedPage,
  Directory,
  Entry,
  Found,
  FoundPage,
  NotesFound,
  PurgePreview,
  RootsFound,
  Session,
  SizesFound,
  Store,
  Version,
} from '../web/api/schemas.js';
import type { JobState, RestoreBody, SetupAnswers } from '../web/local/schemas.js';
import type { Order, Place, Sort } from './logic/place.js';
import { DAY_MS } from './logic/formats.js';

export type { BackupSet, Client, Entry, Found, JobState, PurgePreview, RestoreBody };
export type { SetupAnswers, SizesFound, Store, Version };
export type Deleted = DeletedPage['deleted'][number];

/** Path of the interface. It is beside the page, also where a proxy serves both below a path of its own. */
const BASE = new URL('api/v1', document.baseURI).pathname;
/** Number of changes in a page of them. */
const PAGE_CHANGES = 1000;
/** Time without an answer after which a request for news has failed, as after a sleep of the machine. */
const NEWS_TIMEOUT_MS = 20_000;
/** Maximum number of deleted entries of a directory that are shown. */
const MAX_DELETED = 10_000;
/**
 * Maximum length of the address of an archive. If an address would be longer, the paths are sent to the program first.
 */
const MAX_HREF_CHARS = 8000;
/** Number of results in one page of a search. It is small, since the first results must come quickly. */
const PAGE_FOUND = 200;

/** An error of the API. `code` is one of docs/damage/errors.md; `UNREACHABLE` if there was no answer. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly guidance: string,
  ) {
    super(message);
  }
}

interface How {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

async function request(
  path: string,
  { method = 'GET', body, signal, headers }: How,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`${BASE}${path}`, {
      method,
      // A page of another site cannot send this header.
      headers: {
        'x-tardis-page': '1',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal ?? null,
      credentials: 'same-origin',
      redirect: 'error',
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    // The browser gives the same error for each reason.
    throw new ApiError('UNREACHABLE', '', '');
  }
  noteDoubts(Number(response.headers.get('x-tardis-doubts') ?? 0));
  if (response.ok || response.status === NOT_MODIFIED) return response;
  // A body that is not JSON is one of a proxy; the status is then all that is known.
  const problem = (await response.json().catch(() => ({}))) as Partial<Record<string, string>>;
  const { code = 'INTERNAL', detail = response.statusText, guidance = '' } = problem;
  throw new ApiError(code, detail, guidance);
}

const NOT_MODIFIED = 304;

/** An answer that is requested again and again, and costs little while it is unchanged. */
export interface News<T> {
  readonly value: T;
  readonly etag: string;
}

/** Requests an answer. Returns the one before if it is unchanged. */
async function news<T>(
  path: string,
  before: News<T> | undefined,
  stopped: AbortSignal,
): Promise<News<T>> {
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(NEWS_TIMEOUT_MS)]);
  const headers: Record<string, string> =
    before === undefined ? {} : { 'if-none-match': before.etag };
  let response: Response;
  let value: T;
  try {
    response = await request(path, { signal, headers });
    if (response.status === NOT_MODIFIED && before !== undefined) return before;
    value = (await response.json()) as T;
  } catch (error) {
    if (error instanceof ApiError || stopped.aborted) throw error;
    throw new ApiError('UNREACHABLE', '', ''); // the time is up
  }
  return { value, etag: response.headers.get('etag') ?? '' };
}

let doubts = 0;
const listeners = new Set<() => void>();

/**
 * Calls a function when the number of warnings changes, and at once if there are any. Returns a function that ends
 * these calls.
 */
export function onDoubts(changed: () => void): () => void {
  listeners.add(changed);
  if (doubts > 0) changed();
  return () => listeners.delete(changed);
}

function noteDoubts(count: number): void {
  if (count === doubts) return;
  doubts = count;
  for (const changed of listeners) changed();
}

async function json<T>(path: string, how: How = {}): Promise<T> {
  return (await (await request(path, how)).json()) as T;
}

function post<T>(path: string, body?: object): Promise<T> {
  return json<T>(path, { method: 'POST', body });
}

function clientPath(client: string): string {
  return `/clients/${encodeURIComponent(client)}`;
}

function setPath(client: string, set: number | undefined): string {
  return `${clientPath(client)}/sets/${set ?? 'latest'}`;
}

/** The pattern of a search, and its limits. */
interface Wanted extends Pick<Place, 'kind' | 'leastBytes' | 'sinceDays'> {
  readonly pattern: string;
  /** Encoded path of the directory to search below; undefined for all. */
  readonly below: string | undefined;
}

interface DirectoryRequest {
  /** Number of entries to leave out, and maximum number of entries. */
  readonly from: number;
  readonly limit: number;
  readonly client: string;
  readonly set: number;
  readonly path: string;
  readonly sort: Sort;
  readonly order: Order;
}

/** Rules of a purge by their names, with their words; empty for no rule. */
export type PurgeRules = Readonly<Record<string, string>>;

export type ActKind =
  | 'backups'
  | 'checks'
  | 'locks'
  | 'tags'
  | 'deletions'
  | 'forgets'
  | 'purges'
  | 'quota'
  | 'mounts'
  | 'rules'
  | 'setup'
  | 'test-reports';

export const api = {
  signInTo: (signal: AbortSignal) => json<{ program: string }>('/sign-in', { signal }),
  signIn: (secret: string) => post('/sign-in', { secret }),
  signOut: () => json('/sign-in', { method: 'DELETE' }),
  /** Returns what the program offers for a client; without one, for the first. */
  session: (client: string | undefined, signal: AbortSignal) => {
    const query = client === undefined ? '' : `?client=${encodeURIComponent(client)}`;
    return json<Session>(`/session${query}`, { signal });
  },
  /** Opens a client by its password. */
  unlock: (client: string, password: string) => post('/unlocks', { client, password }),
  clients: (before: News<Client[]> | undefined, signal: AbortSignal) =>
    news('/clients', before, signal),
  sets: (client: string, before: News<{ sets: BackupSet[] }> | undefined, signal: AbortSignal) =>
    news(`${clientPath(client)}/sets`, before, signal),
  jobs: (before: News<{ jobs: JobState[] }> | undefined, signal: AbortSignal) =>
    news('/jobs', before, signal),
  store: (client: string, before: News<Store> | undefined, signal: AbortSignal) =>
    news(`${clientPath(client)}/store`, before, signal),
  setup: (client: string, before: News<SetupAnswers> | undefined, signal: AbortSignal) =>
    news(`${clientPath(client)}/setup`, before, signal),
  notes: (client: string, set: number, signal: AbortSignal) =>
    json<NotesFound>(`${setPath(client, set)}/notes`, { signal }),
  set: (client: string, set: number) => json<BackupSet>(setPath(client, set)),
  roots: (client: string, set: number, signal: AbortSignal) =>
    json<RootsFound>(`${setPath(client, set)}/roots`, { signal }),
  entry: (client: string, set: number, path: string, signal: AbortSignal) =>
    json<Entry>(`${setPath(client, set)}/entry?path=${path}`, { signal }),
  directory: (requested: DirectoryRequest, signal: AbortSignal) => {
    const { client, set, path, sort, order, from, limit } = requested;
    const sorted = sort === 'name' ? 'natural' : sort;
    const query = `path=${path}&after=${from}&limit=${limit}&sort=${sorted}&order=${order}`;
    return json<Directory>(`${setPath(client, set)}/directory?${query}`, { signal });
  },
  deleted: async (client: string, set: number, path: string, signal: AbortSignal) => {
    const found: Deleted[] = [];
    for (let after: string | undefined; ; ) {
      const route = `${setPath(client, set)}/deleted?path=${path}${cursor(after)}`;
      const page: DeletedPage = await json(route, { signal });
      found.push(...page.deleted);
      after = page.next;
      if (after === undefined || found.length >= MAX_DELETED) return found;
    }
  },
  /** Returns a page of the changes of a set since another set; without one, since the set before it. */
  changes: (
    client: string,
    { set, since }: { readonly set: number; readonly since: number | undefined },
    after: string | undefined,
    signal: AbortSignal,
  ) => {
    const from = since === undefined ? '' : `&from=${since}`;
    const query = `to=${set}${from}&limit=${PAGE_CHANGES}${cursor(after)}`;
    return json<ChangesPage>(`${clientPath(client)}/changes?${query}`, { signal });
  },
  /** Returns the largest directories in a directory, and what came since another set. */
  sizes: (
    client: string,
    {
      set,
      since,
      path,
      measure,
    }: Pick<Place, 'since' | 'path' | 'measure'> & {
      /** Undefined for the newest complete set. */
      readonly set: number | undefined;
    },
    signal: AbortSignal,
  ) => {
    const from = since === undefined ? '' : `&since=${since}`;
    const query = `path=${path}&by=${measure}${from}`;
    return json<SizesFound>(`${setPath(client, set)}/sizes?${query}`, { signal });
  },
  versions: (client: string, path: string, signal: AbortSignal) =>
    json<{ versions: Version[] }>(`${clientPath(client)}/versions?path=${path}`, { signal }),
  search: (client: string, wanted: Wanted, after: string | undefined, signal: AbortSignal) => {
    const { pattern, kind, leastBytes, sinceDays, below } = wanted;
    const fromMs = sinceDays === undefined ? undefined : Date.now() - sinceDays * DAY_MS;
    const limits = [
      ['kind', kind],
      ['leastBytes', leastBytes],
      ['fromMs', fromMs],
      ['below', below],
    ].flatMap(([name, value]) => (value === undefined ? [] : [`&${name}=${value}`]));
    const query = `pattern=${encodeURIComponent(pattern)}${limits.join('')}&limit=${PAGE_FOUND}${cursor(after)}`;
    return json<FoundPage>(`${clientPath(client)}/search?${query}`, { signal });
  },
  /** Returns the first bytes of a content, at most `maxBytes`. */
  content: async (href: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> => {
    const headers = { range: `bytes=0-${maxBytes - 1}` };
    const response = await request(href.slice(BASE.length), { signal, headers });
    return new Uint8Array(await response.arrayBuffer());
  },
  purge: (client: string, rules: PurgeRules, signal: AbortSignal) => {
    const kept = Object.entries(rules).filter(([, words]) => words !== '');
    const query = kept.map(([rule, words]) => `${rule}=${encodeURIComponent(words)}`).join('&');
    const path = `${clientPath(client)}/purge${query === '' ? '' : `?${query}`}`;
    return json<PurgePreview>(path, { signal });
  },
  restore: (requested: RestoreBody) => post<JobState>('/restores', requested),
  /** Begins an act on a client: `backups`, `checks`, `locks`, `tags`, `deletions`, `forgets`, `purges` or `quota`. */
  act: (client: string, kind: ActKind, body?: object) =>
    post<JobState>(`${clientPath(client)}/${kind}`, body),
  /** Requests a backup of a client, or withdraws the request. */
  requestBackup: (client: string, isWithdrawn: boolean) =>
    post('/backup-requests', { client, isWithdrawn }),
  joinCode: (client: string, server: string) =>
    post<{ code: string; untilMs: number }>('/join-codes', { client, server }),
  undoJob: (id: string) => post<JobState>(`/jobs/${id}/undo`),
  /** Stops a job, or forgets it if it has ended. */
  endJob: (id: string) => json<JobState>(`/jobs/${id}`, { method: 'DELETE' }),
};

function cursor(after: string | undefined): string {
  return after === undefined ? '' : `&after=${encodeURIComponent(after)}`;
}

/** Returns the address of a content. */
export function contentHref(client: string, set: number, path: string, isDownload = false): string {
  const download = isDownload ? '&download=1' : '';
  return `${BASE}${setPath(client, set)}/content?path=${path}${download}`;
}

/**
 * Returns the address of an archive of paths; undefined if it would be too long. The archive contains a text that
 * names damaged files.
 */
export function archiveHref(
  client: string,
  set: number,
  paths: readonly string[],
  format: 'zip' | 'tar',
): string | undefined {
  const query = paths.map((path) => `path=${path}&`).join('');
  const href = `${BASE}${setPath(client, set)}/archive?${query}format=${format}&damage=list`;
  return href.length > MAX_HREF_CHARS ? undefined : href;
}

/**
 * Sends any number of paths to the program, which stores them, and returns the address of an archive of these paths.
 */
export async function keptArchiveHref(
  client: string,
  set: number,
  paths: readonly string[],
  format: 'zip' | 'tar',
): Promise<string> {
  const { selection } = await post<{ selection: string }>(`${clientPath(client)}/selections`, {
    paths,
  });
  return `${BASE}${setPath(client, set)}/archive?selection=${selection}&format=${format}&damage=list`;
}
