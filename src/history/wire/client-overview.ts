/** The status of the clients of a store, for tools and as fields of a message. */
import type { SetNumber } from '../../model/index.js';
import { isClientName } from '../../store/index.js';
import type { Body } from '../../transport/index.js';
import type { History } from '../history.js';
import { type Coder, isParallel, odd } from './coder.js';

/** The protection that a client's key record gives; `unknown` if the record cannot be read. */
const PROTECTIONS = ['none', 'password', 'encrypted', 'unknown'] as const;
export type Protection = (typeof PROTECTIONS)[number];

export interface ClientOverview {
  readonly client: string;
  readonly completeSets: number;
  /** Number of the newest complete set; 0 if there is none. */
  readonly newestSet: SetNumber;
  /** Time at which the newest complete set was closed, by the server's clock; 0 if there is none. */
  readonly newestAtMs: number;
  readonly protection: Protection;
  /** True if a server has found the client overdue and no complete set has followed. */
  readonly isOverdue: boolean;
  /** Code of the error that prevented reading the catalog; empty if there was none. */
  readonly fault: string;
}

/** Returns the status of the one client of a history. No server has found it overdue. */
export async function overviewOfOne(
  history: History,
  protection: Protection,
): Promise<ClientOverview> {
  const complete = (await history.sets()).filter(({ state }) => state === 'complete');
  const newest = complete.at(-1);
  return {
    client: history.client,
    completeSets: complete.length,
    newestSet: newest?.set ?? 0,
    newestAtMs: newest?.closedAtMs ?? 0,
    protection,
    isOverdue: false,
    fault: '',
  };
}

export const CLIENTS: Coder<readonly ClientOverview[], Body<'clientsAre'>, unknown> = {
  toWire: (clients) => ({
    clients: clients.map(({ client }) => client),
    sets: clients.map(({ completeSets }) => completeSets),
    newest: clients.map(({ newestSet }) => newestSet),
    newestAt: clients.map(({ newestAtMs }) => newestAtMs),
    protections: Buffer.from(clients.map(({ protection }) => PROTECTIONS.indexOf(protection))),
    overdue: Buffer.from(clients.map(({ isOverdue }) => (isOverdue ? 1 : 0))),
    faults: clients.map(({ fault }) => fault),
  }),
  fromWire: ({ clients, sets, newest, newestAt, protections, overdue, faults }) => {
    const isWhole = isParallel(clients, sets, newest, newestAt, protections, overdue, faults);
    const isRight = clients.every(isClientName) && faults.every((fault) => FAULT.test(fault));
    if (!isWhole || !isRight) throw odd('clients');
    return clients.map((client, index) => ({
      client,
      completeSets: sets[index]!,
      newestSet: newest[index]!,
      newestAtMs: newestAt[index]!,
      protection: PROTECTIONS[protections[index]!] ?? 'unknown',
      isOverdue: overdue[index] === 1,
      fault: faults[index]!,
    }));
  },
};

/** Matches the code of an error, or an empty text. */
const FAULT = /^[A-Z_]*$/;
