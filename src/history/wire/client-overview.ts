/** The status of the clients of a store, for tools and as fields of a message. */
import {
  type ClientState,
  clientState,
  isRequester,
  type ProofTimes,
  type SetNumber,
} from '../../model/index.js';
import { isClientName } from '../../store/index.js';
import type { Body } from '../../transport/index.js';
import { type Coder, isParallel, odd } from './coder.js';

/** The protection that a client's key record gives; `unknown` if the record cannot be read. */
const PROTECTIONS = ['none', 'password', 'encrypted', 'unknown'] as const;
export type Protection = (typeof PROTECTIONS)[number];

export interface ClientOverview extends ProofTimes {
  readonly client: string;
  readonly completeSets: number;
  /** Number of the newest complete set; 0 if there is none. */
  readonly newestSet: SetNumber;
  /** Time at which the newest complete set was closed, by the server's clock; 0 if there is none. */
  readonly newestAtMs: number;
  readonly protection: Protection;
  /** Code of the error that prevented reading the catalog; empty if there was none. */
  readonly fault: string;
  /** Number of entries that the newest complete set could not read, or only in part. */
  readonly unread: number;
  /** Number of contents that a check found damaged. */
  readonly damagedContents: number;
  /** Start of the unfinished set after the newest complete one; 0 if there is none. */
  readonly unfinishedAtMs: number;
  /** Age of the newest complete set from which the client is late: that of the server, else the usual one; 0: none. */
  readonly lateAfterMs: number;
  /** True if the newest complete set may lack entries that were lost to damage. */
  readonly isDoubtful: boolean;
  /** True if a process writes to the client. */
  readonly isInUse: boolean;
  /** True if a server has reported that a session completed no set, and no complete set has followed. */
  readonly isFailing: boolean;
  /** Time at which an administrator has requested a backup that did not begin yet; 0 if there is none. */
  readonly requestedAtMs: number;
  /** The client and the account of that administrator, as CLIENT/ACCOUNT; empty if there is none. */
  readonly requestedBy: string;
  /**
   * Number of bytes that the account which owns the client may use, that it uses, and that this client uses of them; all 0
   * without a quota.
   */
  readonly quotaBytes: number;
  readonly accountBytes: number;
  readonly usedBytes: number;
}

/** Facts that only the reader of an overview knows. */
interface ReaderFacts {
  readonly nowMs: number;
  /** The interval of the reader's configuration, in place of that in the overview; 0 if there is none. */
  readonly lateAfterMs?: number;
  /** Why the reader's own last run completed no set. */
  readonly failure?: string | undefined;
}

/** Returns the state of a client. */
export function stateOf(
  one: ClientOverview,
  { nowMs, lateAfterMs = 0, failure }: ReaderFacts,
): ClientState {
  const { fault, unfinishedAtMs, unread, isDoubtful, damagedContents, isInUse, isFailing } = one;
  const { checkedAtMs, restoredAtMs } = one;
  const isOpen = unfinishedAtMs > 0;
  const age = (ms: number): number => Math.max(0, nowMs - ms);
  const failures = [
    failure,
    isOpen ? ({ code: 'cut', beganMs: age(unfinishedAtMs) } as const) : undefined,
    isFailing ? ({ code: 'incomplete' } as const) : undefined,
  ];
  return clientState({
    fault: fault === '' ? undefined : `[${fault}]`,
    isRunning: isOpen && isInUse,
    failure: failures.find((one) => one !== undefined),
    newest: one.newestSet === 0 ? undefined : { ageMs: age(one.newestAtMs), unread, isDoubtful },
    lateAfterMs: lateAfterMs > 0 ? lateAfterMs : one.lateAfterMs,
    damagedContents,
    proven: fault === '' ? { checkedAtMs, restoredAtMs, nowMs } : undefined,
  });
}

const FLAGS = ['isDoubtful', 'isInUse', 'isFailing'] as const;

export const CLIENTS: Coder<readonly ClientOverview[], Body<'clientsAre'>, unknown> = {
  toWire: (clients) => ({
    clients: clients.map(({ client }) => client),
    sets: clients.map(({ completeSets }) => completeSets),
    newest: clients.map(({ newestSet }) => newestSet),
    newestAt: clients.map(({ newestAtMs }) => newestAtMs),
    protections: Buffer.from(clients.map(({ protection }) => PROTECTIONS.indexOf(protection))),
    faults: clients.map(({ fault }) => fault),
    unread: clients.map(({ unread }) => unread),
    damaged: clients.map(({ damagedContents }) => damagedContents),
    unfinishedAt: clients.map(({ unfinishedAtMs }) => unfinishedAtMs),
    lateAfter: clients.map(({ lateAfterMs }) => lateAfterMs),
    requestedAt: clients.map(({ requestedAtMs }) => requestedAtMs),
    requestedBy: clients.map(({ requestedBy }) => requestedBy),
    checkedAt: clients.map(({ checkedAtMs }) => checkedAtMs),
    restoredAt: clients.map(({ restoredAtMs }) => restoredAtMs),
    quotas: clients.map(({ quotaBytes }) => quotaBytes),
    accountsUse: clients.map(({ accountBytes }) => accountBytes),
    clientsUse: clients.map(({ usedBytes }) => usedBytes),
    flags: Buffer.from(
      clients.map((one) => FLAGS.reduce((bits, flag, bit) => bits | (Number(one[flag]) << bit), 0)),
    ),
  }),
  fromWire: ({ clients, sets, newest, newestAt, protections, faults, ...facts }) => {
    const { unread, damaged, unfinishedAt, lateAfter, requestedAt, flags } = facts;
    const { requestedBy, checkedAt, restoredAt, quotas, accountsUse, clientsUse } = facts;
    const isWhole =
      isParallel(clients, sets, newest, newestAt, protections, faults) &&
      isParallel(clients, unread, damaged, unfinishedAt, lateAfter, requestedAt, flags) &&
      isParallel(clients, requestedBy, checkedAt, restoredAt, quotas, accountsUse, clientsUse);
    const isRight =
      clients.every(isClientName) &&
      faults.every((fault) => FAULT.test(fault)) &&
      requestedBy.every((by) => by === '' || isRequester(by));
    if (!isWhole || !isRight) throw odd('clients');
    return clients.map((client, index) => {
      const [isDoubtful, isInUse, isFailing] = FLAGS.map((_, bit) => has(flags[index]!, bit));
      return {
        client,
        completeSets: sets[index]!,
        newestSet: newest[index]!,
        newestAtMs: newestAt[index]!,
        protection: PROTECTIONS[protections[index]!] ?? 'unknown',
        fault: faults[index]!,
        unread: unread[index]!,
        damagedContents: damaged[index]!,
        unfinishedAtMs: unfinishedAt[index]!,
        lateAfterMs: lateAfter[index]!,
        isDoubtful: isDoubtful!,
        isInUse: isInUse!,
        isFailing: isFailing!,
        requestedAtMs: requestedAt[index]!,
        requestedBy: requestedBy[index]!,
        checkedAtMs: checkedAt[index]!,
        restoredAtMs: restoredAt[index]!,
        quotaBytes: quotas[index]!,
        accountBytes: accountsUse[index]!,
        usedBytes: clientsUse[index]!,
      };
    });
  },
};

function has(bits: number, bit: number): boolean {
  return ((bits >> bit) & 1) === 1;
}

/** Matches the code of an error, or an empty text. */
const FAULT = /^[A-Z_]*$/;
