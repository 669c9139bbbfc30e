/** Starts background jobs on a client's store at its server, and follows each to its end. */
import type { Keyring } from '../crypto/index.js';
import { TardisError, throwIfAborted } from '../errors/index.js';
import {
  type Admin,
  brokenSets,
  type CheckHooks,
  type CheckOutcome,
  type CheckRequest,
  type WorkHooks,
} from '../maintenance/admin/index.js';
import type { Finding, ReadData } from '../maintenance/check/index.js';
import { type History, odd, type Reply } from '../history/index.js';
import type { RemotePeer } from './remote-peer.js';

/** A client on a server, for long work. */
interface Place {
  readonly peer: RemotePeer;
  readonly history: History;
  readonly keyring: Keyring | undefined;
}

/**
 * Requests a check of the store by the server. The server has no keys, so this machine decrypts names, and compares
 * sets with their seals. Throws NOT_PERMITTED without the right, CONNECTION_LOST, INTERRUPTED if it is aborted, and the
 * errors of a check.
 */
export async function checkThere(
  { peer, history, keyring }: Place,
  { read: { data, leastAgeMs }, mark }: CheckRequest,
  hooks: CheckHooks,
): Promise<CheckOutcome> {
  const requested = { data: data.kind, ...amountOf(data), leastAgeMs, mark };
  const begun = await peer.request('checkStore', requested);
  const { result, omitted } = await follow(peer, begun, hooks, (finding) =>
    hooks.onFinding(openedFinding(finding, keyring)),
  );
  if (result.kind !== 'check') throw odd('results of a job');
  const { kind: _, notMarked, ...counts } = result;
  const withAll = data.kind !== 'none';
  const seals = keyring === undefined ? [] : await brokenSets(history, withAll, hooks.signal);
  seals.forEach(hooks.onFinding);
  return { ...counts, notMarked, omitted, unprovenSets: seals.length };
}

/** Decrypts the path of a finding. A path that the client did not seal is shown as it is. */
function openedFinding(finding: Finding, keyring: Keyring | undefined): Finding {
  if (finding.finding !== 'version' || keyring === undefined) return finding;
  try {
    return { ...finding, path: keyring.names.openPath(finding.path) };
  } catch (error) {
    if (error instanceof TardisError) return finding;
    throw error;
  }
}

/** Returns the amount of data to read, as fields of a message. */
function amountOf(data: ReadData): { amount: number; of: number } {
  switch (data.kind) {
    case 'part':
      return { amount: data.part, of: data.of };
    case 'bytes':
      return { amount: data.bytes, of: 0 };
    case 'percent':
      return { amount: Math.round(data.percent * 1000), of: 0 };
    default:
      return { amount: 0, of: 0 };
  }
}

/**
 * Runs garbage collection on the server. Throws NOT_PERMITTED without the right, CLIENT_BUSY if the client is in use,
 * CONNECTION_LOST, and INTERRUPTED if it is aborted.
 */
export async function freeThere(
  peer: RemotePeer,
  hooks: WorkHooks,
): ReturnType<Admin['freeUnneeded']> {
  const begun = await peer.request('freeUnneeded', undefined);
  const { result } = await follow(peer, begun, hooks, () => undefined);
  if (result.kind !== 'free') throw odd('results of a job');
  const { kind: _, ...freed } = result;
  return freed;
}

type News = Reply<'watchWork'>;

async function follow(
  peer: RemotePeer,
  first: News,
  { signal, onProgress }: WorkHooks,
  onFinding: (finding: Finding) => void,
): Promise<{ result: NonNullable<News['result']>; omitted: number }> {
  for (let news = first; ; news = await peer.request('watchWork', undefined)) {
    for (const finding of news.findings) onFinding(finding);
    throwIfAborted(signal);
    const { progress, result, omitted } = news;
    if (progress !== undefined) onProgress(progress);
    if (result !== undefined) return { result, omitted };
  }
}
