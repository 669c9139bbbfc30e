/** One row of the table of routes, and the input and output of its handler. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static, TSchema } from 'typebox';
import type { RightName } from '../../model/index.js';
import type { DirectoryOrders } from './directory-order.js';
import type { Door, Lease, Visitor } from './door.js';

export interface RouteRow {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path below the base, with parameters as `{client}` and `{set}`. */
  readonly path: string;
  /** The right that the route needs. `none`: it is open to everybody; `login`: any login suffices. */
  readonly right: RightName | 'none' | 'login';
  /** True if the answer contains decrypted names or contents. A program without keys cannot give such an answer. */
  readonly isClear?: boolean;
  /** True if the answer is cheap, so that the request is not counted by the limits. */
  readonly isUncounted?: boolean;
  readonly summary: string;
  readonly query?: TSchema;
  readonly body?: TSchema;
  /** Maximum number of bytes of a body, if it differs from that of all routes. */
  readonly maxBodyBytes?: number;
  /** Media type of a request whose body is bytes. */
  readonly takes?: string;
  /** Schema of a reply as JSON. */
  readonly reply?: TSchema;
  /** Media types of a reply that the handler sends itself. */
  readonly sends?: string | readonly string[];
  /** True if the reply comes in ranges and has an ETag. */
  readonly hasRanges?: boolean;
}

type Rest = Omit<RouteRow, 'method' | 'path' | 'right'>;
type Joined<M, P, R, More> = Readonly<{ method: M; path: P; right: R }> & NoInfer<More>;

/** Returns a function that makes rows of one method from the path, the right that they need, and all else. */
const rowsOf =
  <const M extends RouteRow['method']>(method: M) =>
  <const P extends string, const R extends RouteRow['right'], const More extends Rest>(
    path: P,
    right: R,
    more: More,
  ): Joined<M, P, R, More> => ({ method, path, right, ...more });

export const get = rowsOf('GET');
export const post = rowsOf('POST');
export const remove = rowsOf('DELETE');

type ValueOf<S> = S extends TSchema ? Static<S> : undefined;

/** A checked request. */
export interface ApiRequest<Row extends RouteRow = RouteRow> {
  readonly door: Door;
  /** The orders of directories that this program keeps. */
  readonly orders: DirectoryOrders;
  /** The requester; undefined only for routes that are open to everybody. */
  readonly visitor: Visitor;
  /** The opened client, for paths with `{client}`. It is released after the answer. */
  readonly lease: Lease;
  /** The text of `{client}`; empty without it. */
  readonly client: string;
  /** The text of `{set}`: a number, a name or `latest`. */
  readonly setText: string;
  /** Other parameters of the path. */
  readonly params: Readonly<Record<string, string>>;
  /** Values of the query. Each character of a text is one byte, as it was percent-encoded. */
  readonly query: ValueOf<Row['query']>;
  readonly body: ValueOf<Row['body']>;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** Handles a request. Resolves with the reply, or with undefined if it has sent the reply itself. */
export type Handler<Row extends RouteRow = RouteRow> = (
  apiRequest: ApiRequest<Row>,
) => Promise<Row['reply'] extends TSchema ? Static<Row['reply']> : void>;
