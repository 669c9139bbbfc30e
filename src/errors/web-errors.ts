/** Errors that only the programs with an HTTP interface send. */
import { row } from './error-row.js';

export const WEB_ERRORS = {
  REQUEST_INVALID: row(
    'user',
    1,
    'Correct the request; docs/api.md describes each route, and /api/v1/openapi.json its fields.',
  ),
  NOT_LOGGED_IN: row(
    'user',
    12,
    'Log in again, or check the token: it may be wrong, expired or revoked (sonic account).',
  ),
  TOO_MANY_REQUESTS: row('busy', 11, 'Wait for the seconds that the answer names, and try again.'),
  SERVER_ANSWER_INVALID: row(
    'protocol',
    1,
    'The operator of this server should compare its release with that of the tardisd behind it, and look into both logs.',
  ),
  SEALED: row(
    'user',
    1,
    'Read it with tardis-web or another tool (lstardis, regenerate, …) and --server https://HOST:PORT/, which decrypt on your machine.',
  ),
} as const;
