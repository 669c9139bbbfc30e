/** Routes that only a server has: logins, metrics, and questions of the tools. */
import { Type } from 'typebox';
import { get, post, PurgeRules, remove, type RouteRow } from '../api/index.js';

/**
 * Maximum number of characters of a login message in base64. `MAX_QUESTION_BYTES` is the maximum size of a question.
 */
const MAX_LOGIN_CHARS = 12 << 10;
export const MAX_QUESTION_BYTES: number = (4 << 20) + 1024;
/** Largest quota. JSON has no larger whole numbers. */
const MAX_QUOTA_BYTES: number = Number.MAX_SAFE_INTEGER;
export const QUESTION_TYPE = 'application/vnd.tardis';

const Message = Type.String({
  minLength: 1,
  maxLength: MAX_LOGIN_CHARS,
  description: 'A message of docs/inside/protocol.md, in base64.',
});

const ClientName = Type.String({ minLength: 1, maxLength: 128 });

export const REMOTE_ROUTES = {
  loginChallenge: post('/login/challenge', 'none', {
    summary: 'Begins a login by SRP: takes the message hello, and returns loginChallenge.',
    body: Type.Object({ greeting: Message }),
    reply: Type.Object({ login: Type.String(), challenge: Type.String() }),
  }),
  loginProof: post('/login/proof', 'none', {
    summary:
      'Ends a login, over the same connection: takes the message loginProof, and returns welcome and a token for `Authorization: Bearer`.',
    body: Type.Object({ login: Type.String({ maxLength: 64 }), proof: Message }),
    reply: Type.Object({
      token: Type.String(),
      expiresInSeconds: Type.Integer(),
      rights: Type.Array(Type.String()),
      welcome: Type.String(),
    }),
  }),
  logout: remove('/login', 'login', {
    summary:
      'Ends the session of the token. The token of an account stays until the account is removed.',
    reply: Type.Object({}),
  }),
  questions: post('/clients/{client}/questions', 'login', {
    summary:
      'Takes one question of a reader (docs/inside/protocol.md) and returns its answer, as the tools send it with --server https://…; the login needs the right of the question.',
    takes: QUESTION_TYPE,
    sends: QUESTION_TYPE,
  }),
  join: post('/join-codes', 'admin', {
    summary:
      'Makes a code by which a new machine creates its client, once and within an hour. The client belongs to the account that owns the client of the login, which also needs the right `add`. Only the page of a `tardisd` does this.',
    body: Type.Object({
      client: ClientName,
      server: Type.String({
        minLength: 1,
        maxLength: 255,
        pattern: String.raw`^[^@#/\s]+$`,
        description: 'The host, as the new machine reaches it; without a port, that of the server.',
      }),
    }),
    reply: Type.Object({ code: Type.String(), untilMs: Type.Number() }),
  }),
  requestBackup: post('/backup-requests', 'admin', {
    summary:
      'Requests that a client of the login make a backup, or withdraws the request. The backup begins when the timer that `tardis setup` made on that machine looks the next time. The login also needs the right `add`. Only the page of a `tardisd` does this.',
    body: Type.Object({ client: ClientName, isWithdrawn: Type.Optional(Type.Boolean()) }),
    reply: Type.Object({}),
  }),
  rules: post('/clients/{client}/rules', 'admin', {
    summary:
      'Stores the rules by which purges of the server keep sets of this client; an empty text or 0 for no rule, and rules that are left out stay. The login also needs the right `purge`. Only the page of a `tardisd` does this.',
    body: PurgeRules,
    reply: Type.Object({}),
  }),
  quota: post('/clients/{client}/quota', 'admin', {
    summary:
      'Changes the quota of the account that owns this client, for all clients of the account together; 0 for no quota. It applies from the next session on. The login also needs the right `quota`. Only the page of a `tardisd` does this.',
    body: Type.Object(
      { quotaBytes: Type.Integer({ minimum: 0, maximum: MAX_QUOTA_BYTES }) },
      { additionalProperties: false },
    ),
    reply: Type.Object({
      account: Type.String(),
      targets: Type.Array(Type.String(), { description: 'All clients of the account.' }),
      beforeBytes: Type.Number({ description: 'The quota until now; 0 if there was none.' }),
    }),
  }),
  metrics: get('/metrics', 'admin', {
    summary: 'Returns figures of this program and of the clients of the login, as OpenMetrics.',
    sends: 'application/openmetrics-text',
  }),
} as const satisfies Record<string, RouteRow>;
