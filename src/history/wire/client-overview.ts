/** The facts about the clients of a store, for tools and as fields of a message. */
import { ERROR_TABLE, isErrorCode } from '../../errors/index.js';
import {
  type ClientFacts,
  type ClientState,
  clientState,
  displayLine,
  encodeRun,
  fieldsOf,
  isRequester,
  jsonFields,
  NO_FACTS,
  parseRun,
  ROOT_ID,
  type RunRecord,
} from '../../model/index.js';
import { isClientName } from '../../store/index.js';
import type { Body } from '../../transport/index.js';
import { type Coder, fitting, odd } from './coder.js';

/** The protection that a client's key record gives; `unknown` if the record cannot be read. */
const PROTECTIONS = ['none', 'password', 'encrypted', 'unknown'] as const;
export type Protection = (typeof PROTECTIONS)[number];

export interface ClientOverview extends ClientFacts {
  readonly client: string;
  readonly protection: Protection;
  /** Time at which an administrator has requested a backup that did not begin yet; 0 if there is none. */
  readonly requestedAtMs: number;
  /** The client and the account of that administrator, as CLIENT/ACCOUNT; empty if there is none. */
  readonly requestedBy: string;
}

/** Facts that only the reader of an overview knows. */
interface ReaderFacts extends Partial<ClientFacts> {
  readonly nowMs: number;
}

/** Returns the state of a client. The facts of the reader's own configuration go before those in the overview. */
export function stateOf(one: ClientOverview, { nowMs, ...own }: ReaderFacts): ClientState {
  const { fault: error } = one;
  const isAway = error === 'NO_SUCH_STORE';
  const fault = isAway ? 'the disk of the store is not there' : error && `[${error}]`;
  const lateAfterMs = (own.lateAfterMs ?? 0) > 0 ? own.lateAfterMs! : one.lateAfterMs;
  const state = clientState({ ...one, ...own, lateAfterMs, fault }, nowMs);
  if (error === '') return state;
  const advice = isAway || !isErrorCode(error) ? state.advice : ERROR_TABLE[error].guidance;
  return { ...state, cause: { ...state.cause, error }, advice };
}

export const CLIENTS: Coder<readonly ClientOverview[], Body<'clientsAre'>, unknown> = {
  toWire: (clients) => ({ clients: clients.map((one) => JSON.stringify(one)) }),
  fromWire: ({ clients }) => clients.map(overviewIn),
};

/** Records of runs, the newest that fit into one message. Those that are not valid are left out. */
export const RUNS: Coder<readonly RunRecord[], { runs: string[] }, unknown> = {
  toWire: (runs) => {
    const lines = runs.map(encodeRun).reverse();
    return { runs: [...fitting(lines, (line) => line.length)].reverse() };
  },
  fromWire: ({ runs }) => runs.flatMap((line) => parseRun(line) ?? []),
};

/** The code of an error, or an empty text. */
const CODE = /^[A-Z_]{0,64}$/;
/** Maximum number of configured roots. */
const MAX_ROOTS = 1024;

/** Returns the facts in an untrusted text. Throws PROTOCOL_VIOLATION if one is missing or wrong. */
function overviewIn(text: string): ClientOverview {
  const found = jsonFields(text);
  const facts = Object.entries(NO_FACTS).map(([name, usual]: [string, unknown]) => {
    const value = found[name];
    const isRight = Array.isArray(usual) ? isRoots(value) : typeof value === typeof usual;
    if (!isRight || (typeof value === 'number' && !(value >= 0))) throw odd('clients');
    return [name, value];
  });
  const {
    client,
    protection,
    requestedAtMs,
    requestedBy,
    fault,
    failureCode,
    failure,
    copyFailure,
  } = found;
  const isRight =
    typeof client === 'string' &&
    isClientName(client) &&
    typeof failure === 'string' &&
    PROTECTIONS.some((one) => one === protection) &&
    typeof requestedAtMs === 'number' &&
    (requestedBy === '' || isRequester(requestedBy)) &&
    [fault, failureCode, copyFailure].every((code) => CODE.test(String(code)));
  if (!isRight) throw odd('clients');
  const about = { client, protection, requestedAtMs, requestedBy, failure: displayLine(failure) };
  return { ...(Object.fromEntries(facts) as unknown as ClientFacts), ...(about as ClientOverview) };
}

function isRoots(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length <= MAX_ROOTS &&
    value.every((one: unknown) => {
      const { id, ...numbers } = fieldsOf(one);
      const counts = [numbers['set'], numbers['atMs']];
      const areCounts = counts.every((count) => typeof count === 'number' && count >= 0);
      return typeof id === 'string' && ROOT_ID.test(id) && areCounts;
    })
  );
}
