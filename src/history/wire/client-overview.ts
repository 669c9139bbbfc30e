/** The status of the clients of a store, for tools and as fields of a message. */
import { TardisError } from '../../errors/index.js';
import { isClientName } from '../../store/index.js';
import type { Head } from '../../transport/index.js';

/** The protection that a client's key record gives; `unknown` if the record cannot be read. */
export const PROTECTIONS = ['none', 'password', 'encrypted', 'unknown'] as const;
export type Protection = (typeof PROTECTIONS)[number];

export interface ClientOverview {
  readonly client: string;
  readonly completeSets: number;
  /** Number of the newest complete set; 0 if there is none. */
  readonly newestSet: number;
  /** Time at which that set was closed, by the server's clock; 0 if there is none. */
  readonly newestAtMs: number;
  readonly protection: Protection;
  /** True if a server has found the client overdue and no complete set has followed. */
  readonly isOverdue: boolean;
  /** Code of the error that prevented reading the catalog; empty if there was none. */
  readonly fault: string;
}

/** The fields of the message, without the number of the request. */
type Told = {
  [F in keyof Head<'clientsAre'> as string extends F
    ? never
    : F extends 'question'
      ? never
      : F]: Head<'clientsAre'>[F];
};

export function clientsToWire(clients: readonly ClientOverview[]): Told {
  return {
    clients: clients.map(({ client }) => client),
    sets: clients.map(({ completeSets }) => completeSets),
    newest: clients.map(({ newestSet }) => newestSet),
    newestAt: clients.map(({ newestAtMs }) => newestAtMs),
    protections: Buffer.from(clients.map(({ protection }) => PROTECTIONS.indexOf(protection))),
    overdue: Buffer.from(clients.map(({ isOverdue }) => (isOverdue ? 1 : 0))),
    faults: clients.map(({ fault }) => fault),
  };
}

/** Decodes the clients in a message. Throws PROTOCOL_VIOLATION. */
export function clientsFromWire(told: Told): ClientOverview[] {
  const { clients, sets, newest, newestAt, protections, overdue, faults } = told;
  const columns = [sets, newest, newestAt, protections, overdue, faults];
  const isWhole = columns.every(({ length }) => length === clients.length);
  const isRight = clients.every(isClientName) && faults.every((fault) => /^[A-Z_]*$/.test(fault));
  if (!isWhole || !isRight) {
    throw new TardisError('PROTOCOL_VIOLATION', 'the clients in an answer do not add up');
  }
  return clients.map((client, index) => ({
    client,
    completeSets: sets[index]!,
    newestSet: newest[index]!,
    newestAtMs: newestAt[index]!,
    protection: PROTECTIONS[protections[index]!] ?? 'unknown',
    isOverdue: overdue[index] === 1,
    fault: faults[index]!,
  }));
}
