/**
 * The routes of the API as one table: method, path, right, request, reply and text. Checks of requests, the OpenAPI
 * document, docs/server/api.md and the tests of rights are made from it. A row without a handler does not compile.
 */
import { Type } from 'typebox';
import { SIZE_ORDERS } from '../../history/index.js';
import { COUNT_RULES, WORD_RULES } from '../../retention/index.js';
import { get, type RouteRow } from './route-row.js';
import {
  BackupSet,
  ChangesPage,
  Client,
  Cursor,
  Directory,
  Entry,
  ENTRY_TYPES,
  FoundPage,
  LIMIT,
  MAX_PATH_CHARS,
  NotesFound,
  PathQuery,
  PurgePreview,
  RootsFound,
  Session,
  SizesFound,
  Space,
  Store,
  Version,
} from './schemas.js';

export const BASE = '/api/v1';

/** Words of a rule, as the command line takes them. */
const RULE_WORDS = Type.String({ maxLength: 4096, default: '' });
/** Number of sets that a rule keeps; 0 for no rule. */
const COUNT = Type.Integer({ minimum: 0, maximum: 100_000, default: 0 });

/** Returns an object with one value for all of these names. */
function each<const K extends string, V>(names: readonly K[], value: V): Record<K, V> {
  return Object.fromEntries(names.map((name) => [name, value])) as Record<K, V>;
}

const CLIENT = '/clients/{client}';
const SET = `${CLIENT}/sets/{set}`;

export const ROUTES = {
  health: get('/health', 'none', {
    isUncounted: true,
    summary: 'Reports that the program answers.',
    reply: Type.Object({ status: Type.Literal('ok'), version: Type.String() }),
  }),
  session: get('/session', 'login', {
    summary:
      'Returns which program answers, the rights of the login, and what is offered for a client; without one, for the first.',
    query: Type.Object({ client: Type.Optional(Type.String({ maxLength: 256 })) }),
    reply: Session,
  }),
  clients: get('/clients', 'login', {
    summary: 'Lists the clients that the login may see, with their newest complete sets.',
    reply: Type.Array(Client),
  }),
  sets: get(`${CLIENT}/sets`, 'list', {
    summary: 'Lists the backup sets of a client, newest first.',
    reply: Type.Object({ sets: Type.Array(BackupSet) }),
  }),
  set: get(SET, 'list', { summary: 'Returns one backup set.', reply: BackupSet }),
  roots: get(`${SET}/roots`, 'list', {
    isClear: true,
    summary: 'Lists the paths that the set is a backup of.',
    reply: RootsFound,
  }),
  notes: get(`${SET}/notes`, 'list', {
    isClear: true,
    summary:
      'Lists what the backup could not read, or read only in part. At most 1,000 are listed.',
    reply: NotesFound,
  }),
  entry: get(`${SET}/entry`, 'list', {
    isClear: true,
    summary: 'Returns the entry at a path.',
    query: Type.Object({ path: PathQuery }),
    reply: Entry,
  }),
  directory: get(`${SET}/directory`, 'list', {
    isClear: true,
    summary:
      'Returns a page of a directory: sorted by the bytes of the names, by size, by time, or `natural`: directories first, small letters as capital ones, and numbers by their values.',
    query: Type.Object({
      path: PathQuery,
      limit: LIMIT,
      after: Type.Optional(
        Type.String({
          maxLength: MAX_PATH_CHARS,
          description: '`next` of a page, or a number of entries to leave out.',
        }),
      ),
      sort: Type.Enum(['name', 'natural', 'size', 'modified'], { default: 'name' }),
      order: Type.Enum(['asc', 'desc'], { default: 'asc' }),
    }),
    reply: Directory,
  }),
  content: get(`${SET}/content`, 'read', {
    isClear: true,
    summary:
      'Returns the bytes of a file. HEAD, Range, If-Range and If-None-Match work as in RFC 9110; the ETag is the digest.',
    query: Type.Object({ path: PathQuery, download: Type.Optional(Type.Enum(['0', '1'])) }),
    sends: '*/*',
    hasRanges: true,
  }),
  versions: get(`${CLIENT}/versions`, 'list', {
    isClear: true,
    summary: 'Lists all versions that were ever at a path, oldest first.',
    query: Type.Object({ path: PathQuery }),
    reply: Type.Object({ versions: Type.Array(Version) }),
  }),
  search: get(`${CLIENT}/search`, 'list', {
    isClear: true,
    summary:
      'Finds names over all sets, or in one, by words: each is a part of the name, or has wildcards (* ? [a-z]). Small and capital letters are the same. A page may be empty; the last one has no `next`.',
    query: Type.Object({
      pattern: Type.String({ minLength: 1, maxLength: MAX_PATH_CHARS }),
      set: Type.Optional(Type.String({ maxLength: 255 })),
      kind: Type.Optional(Type.Enum([...ENTRY_TYPES])),
      leastBytes: Type.Optional(Type.Integer({ minimum: 0 })),
      mostBytes: Type.Optional(Type.Integer({ minimum: 0 })),
      fromMs: Type.Optional(Type.Number({ description: 'Modified then or later.' })),
      untilMs: Type.Optional(Type.Number({ description: 'Modified then or earlier.' })),
      below: Type.Optional(PathQuery),
      limit: LIMIT,
      after: Type.Optional(Cursor),
    }),
    reply: FoundPage,
  }),
  changes: get(`${CLIENT}/changes`, 'list', {
    isClear: true,
    summary:
      'Returns the differences of two sets, below a path. Without `from`, those to the complete set of the same roots before it.',
    query: Type.Object({
      from: Type.Optional(Type.String({ maxLength: 255 })),
      to: Type.String({ maxLength: 255 }),
      path: Type.Optional(PathQuery),
      limit: LIMIT,
      after: Type.Optional(Type.String({ pattern: String.raw`^\d{1,9}$` })),
    }),
    reply: ChangesPage,
  }),
  sizes: get(`${SET}/sizes`, 'list', {
    isClear: true,
    summary:
      'Returns the largest directories in a directory, with all that is below each, and what came since an earlier set.',
    query: Type.Object({
      path: PathQuery,
      since: Type.Optional(Type.String({ maxLength: 255 })),
      by: Type.Enum([...SIZE_ORDERS], { default: 'bytes' }),
      limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
    }),
    reply: SizesFound,
  }),
  space: get(`${CLIENT}/space`, 'list', {
    summary:
      'Returns the bytes that each set read, sent and stored, and figures of the whole client.',
    reply: Space,
  }),
  store: get(`${CLIENT}/store`, 'list', {
    summary:
      'Returns the space on the disk of the store, and when the certificate of the connection expires.',
    reply: Store,
  }),
  purge: get(`${CLIENT}/purge`, 'list', {
    summary:
      'Returns what a purge by these rules would delete, and why other sets stay. Deletes nothing.',
    query: Type.Object({ ...each(COUNT_RULES, COUNT), ...each(WORD_RULES, RULE_WORDS) }),
    reply: PurgePreview,
  }),
} as const satisfies Record<string, RouteRow>;

export type Routes = typeof ROUTES;
export type RouteName = keyof Routes;
