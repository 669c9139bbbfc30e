/** Registers the routes of the table. It checks rights and limits before any handler runs. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { TardisError } from '../../errors/index.js';
import { checkClientName } from '../../store/index.js';
import { AtOnce } from './at-once.js';
import { DirectoryOrders } from './directory-order.js';
import { type Door, requireRight, type Visitor } from './door.js';
import { ENTRY_HANDLERS } from './handlers/entry-handlers.js';
import { REPORT_HANDLERS } from './handlers/report-handlers.js';
import { SIZE_HANDLERS } from './handlers/size-handlers.js';
import { SET_HANDLERS } from './handlers/set-handlers.js';
import { openApi, routesPage } from './open-api.js';
import type { ApiRequest, Handler, RouteRow } from './route-row.js';
import { BASE, type RouteName, ROUTES, type Routes } from './routes.js';
import { Problem } from './schemas.js';
import { inPlace, keepPlace } from './turns.js';
import type { WebApp } from './web-app.js';
import { withLease } from './with-lease.js';

/** One handler for each row of the table. */
export type Handlers = { readonly [N in RouteName]: Handler<Routes[N]> };

/** A route from another module, with its row. It gets the same checks. */
export interface AddedRoute {
  readonly row: RouteRow;
  readonly handler: Handler;
}

const TAG_CHARS = 27;
/** End of the name of a client in another store than the first one. */
const ELSEWHERE = /@[0-9a-f]{8}$/;

const HANDLERS: Handlers = {
  ...SET_HANDLERS,
  ...ENTRY_HANDLERS,
  ...REPORT_HANDLERS,
  ...SIZE_HANDLERS,
};

/** Adds all routes to an app. `added` are routes of other modules, such as archives and restores. */
export function registerApi(app: WebApp, door: Door, added: readonly AddedRoute[] = []): void {
  const house = { door, atOnce: new AtOnce(), orders: new DirectoryOrders() };
  // Registered as a plugin, so that it comes after the plugins that the app already has.
  void app.register(async (scope) => {
    for (const name of Object.keys(ROUTES) as RouteName[]) {
      addRoute(scope, house, ROUTES[name], HANDLERS[name]);
    }
    for (const { row, handler } of added) addRoute(scope, house, row, handler);
    addDescriptions(scope, [...Object.values(ROUTES), ...added.map(({ row }) => row)]);
  });
}

/** Adds the OpenAPI document and a page of it, which are open to everybody. */
function addDescriptions(app: WebApp, rows: readonly RouteRow[]): void {
  const document = JSON.stringify(openApi(rows));
  const page = routesPage(rows);
  const guard = "default-src 'none'; style-src 'none'; frame-ancestors 'none'";
  app.get(`${BASE}/openapi.json`, (_, reply) =>
    reply.type('application/json; charset=utf-8').send(document),
  );
  app.get(`${BASE}/docs`, (_, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', guard).send(page),
  );
}

/** Returns a row together with its handler, whose types follow from the row. */
export function addedRoute<Row extends RouteRow>(row: Row, handler: Handler<Row>): AddedRoute {
  return { row, handler };
}

/** The door, the limits of requests and the orders of directories, which all routes share. */
interface House {
  readonly door: Door;
  readonly orders: DirectoryOrders;
  readonly atOnce: AtOnce;
}

function addRoute(app: WebApp, house: House, row: RouteRow, handler: Handler): void {
  const { method, path, query, body, maxBodyBytes, reply, sends } = row;
  const url = `${BASE}${path.replaceAll(/\{(\w+)\}/g, ':$1')}`;
  app.route({
    method: method === 'GET' ? ['GET', 'HEAD'] : method,
    url,
    ...(sends === undefined ? {} : { compress: false }),
    ...(maxBodyBytes === undefined ? {} : { bodyLimit: maxBodyBytes }),
    schema: {
      querystring: strict(query),
      ...(body === undefined ? {} : { body: strict(body) }),
      response: { ...(reply === undefined ? {} : { 200: reply }), default: Problem },
    },
    onRequest: async (request, answer) => {
      const isOpen = row.right === 'none';
      const visitor = isOpen ? undefined : await house.door.authenticate(request);
      const client = clientIn(request);
      if (client !== undefined) checkClientName(client.replace(ELSEWHERE, ''));
      if (visitor !== undefined) requireRight(visitor, row.right, client);
      request.visitor = visitor;
      // The request is counted before its body is read, which takes memory.
      if (row.isUncounted !== true) keepPlace(answer, house.atOnce.enter(request));
    },
    ...(method === 'GET' && reply !== undefined ? { onSend: tagged } : {}),
    handler: async (request, answer) =>
      inPlace(answer, () => answerTo(house, row, { handler, request, reply: answer })),
  });
}

/** Adds an ETag to an answer, and leaves its body out if the requester has it. */
async function tagged(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<unknown> {
  if (typeof payload !== 'string' || reply.statusCode !== 200) return payload;
  // It is weak, since the body may be compressed.
  const etag = `W/"${createHash('sha256').update(payload).digest('base64url').slice(0, TAG_CHARS)}"`;
  void reply.header('etag', etag);
  if (headers['if-none-match'] !== etag) return payload;
  void reply.code(304).removeHeader('content-length');
  return '';
}

/** Returns a schema that refuses parameters that are not in `schema`. */
function strict(schema: RouteRow['query']): object {
  return { type: 'object', ...schema, additionalProperties: false };
}

function clientIn(request: FastifyRequest): string | undefined {
  return (request.params as { client?: string }).client;
}

async function answerTo(
  { door, orders }: House,
  row: RouteRow,
  {
    handler,
    request,
    reply,
  }: { readonly handler: Handler; readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<unknown> {
  const { visitor } = request;
  const params = request.params as Record<string, string>;
  const client = params['client'];
  const apiRequest = {
    door,
    orders,
    visitor,
    client: client ?? '',
    setText: params['set'] ?? '',
    params,
    query: request.query,
    body: request.body,
    request,
    reply,
  };
  if (client === undefined || visitor === undefined) {
    return handled(row, handler, { ...apiRequest, lease: undefined } as unknown as ApiRequest);
  }
  const permit = (one: Visitor): void => requireRight(one, row.right, client);
  return withLease({ door, client, visitor, request, reply, permit }, async (lease, caller) => {
    if (row.isClear === true && lease.isSealed) throw sealed(client);
    return handled(row, handler, { ...apiRequest, visitor: caller, lease });
  });
}

async function handled(row: RouteRow, handler: Handler, apiRequest: ApiRequest): Promise<unknown> {
  const { reply } = apiRequest;
  const value: unknown = await handler(apiRequest);
  if (row.sends !== undefined) return reply;
  if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-store');
  return value;
}

function sealed(client: string): TardisError {
  return new TardisError(
    'SEALED',
    `the client "${client}" encrypts, and this program does not have its keys`,
  );
}
