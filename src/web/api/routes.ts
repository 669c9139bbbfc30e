/**
 * The routes of the API as one table: method, path, right, request, reply and text. Checks of requests, the OpenAPI
 * document, docs/api.md and the tests of rights follow from it. A row without a handler does not compile.
 */
import { Type } from 'typebox';
import type { RouteRow } from './route-row.js';
import {
  BackupSet,
  Client,
  Cursor,
  Directory,
  Entry,
  LIMIT,
  PathQuery,
  Root,
  Session,
  Version,
} from './schemas.js';

export const BASE = '/api/v1';

const CLIENT = '/clients/{client}';
const SET = `${CLIENT}/sets/{set}`;

export const ROUTES = {
  health: {
    method: 'GET',
    path: '/health',
    right: 'none',
    summary: 'Reports that the program answers.',
    reply: Type.Object({ status: Type.Literal('ok'), version: Type.String() }),
  },
  session: {
    method: 'GET',
    path: '/session',
    right: 'login',
    summary: 'Returns which program answers, and the rights of the login.',
    reply: Session,
  },
  clients: {
    method: 'GET',
    path: '/clients',
    right: 'login',
    summary: 'Lists the clients that the login may see, with their newest complete sets.',
    reply: Type.Array(Client),
  },
  sets: {
    method: 'GET',
    path: `${CLIENT}/sets`,
    right: 'list',
    summary: 'Lists the backup sets of a client, newest first.',
    reply: Type.Object({ sets: Type.Array(BackupSet) }),
  },
  set: {
    method: 'GET',
    path: SET,
    right: 'list',
    summary: 'Returns one backup set.',
    reply: BackupSet,
  },
  roots: {
    method: 'GET',
    path: `${SET}/roots`,
    right: 'list',
    isClear: true,
    summary: 'Lists the paths that the set is a backup of.',
    reply: Type.Object({ roots: Type.Array(Root) }),
  },
  entry: {
    method: 'GET',
    path: `${SET}/entry`,
    right: 'list',
    isClear: true,
    summary: 'Returns the entry at a path.',
    query: Type.Object({ path: PathQuery }),
    reply: Entry,
  },
  directory: {
    method: 'GET',
    path: `${SET}/directory`,
    right: 'list',
    isClear: true,
    summary: 'Returns a page of a directory.',
    query: Type.Object({
      path: PathQuery,
      limit: LIMIT,
      after: Type.Optional(Cursor),
      sort: Type.Enum(['name', 'size', 'modified'], { default: 'name' }),
      order: Type.Enum(['asc', 'desc'], { default: 'asc' }),
    }),
    reply: Directory,
  },
  content: {
    method: 'GET',
    path: `${SET}/content`,
    right: 'read',
    isClear: true,
    summary:
      'Returns the bytes of a file. HEAD, Range, If-Range and If-None-Match work as in RFC 9110; the ETag is the digest.',
    query: Type.Object({
      path: PathQuery,
      download: Type.Optional(Type.Enum(['0', '1'])),
    }),
    sends: 'application/octet-stream',
  },
  versions: {
    method: 'GET',
    path: `${CLIENT}/versions`,
    right: 'list',
    isClear: true,
    summary: 'Lists all versions that were ever at a path, oldest first.',
    query: Type.Object({ path: PathQuery }),
    reply: Type.Object({ versions: Type.Array(Version) }),
  },
} as const satisfies Record<string, RouteRow>;

export type Routes = typeof ROUTES;
export type RouteName = keyof Routes;
