/** Background jobs on a client's store that its server runs on request, followed to their end. */
import { throwIfAborted } from '../../errors/index.js';
import type { FarCheck, FarFreed, WorkHooks } from '../../maintenance/admin/index.js';
import type { Finding, ReadData, ReadRequest } from '../../maintenance/check/index.js';
import { odd, type Reply } from '../index.js';
import type { RemotePeer } from './remote-peer.js';

/** Checks the store on the server. Throws NOT_PERMITTED, CONNECTION_LOST, INTERRUPTED, and the errors of a check. */
export async function checkThere(
  peer: RemotePeer,
  { read: { data, leastAgeMs }, mark }: { readonly read: ReadRequest; readonly mark: boolean },
  hooks: WorkHooks & { readonly onFinding: (finding: Finding) => void },
): Promise<FarCheck> {
  const wish = { data: data.kind, ...amountOf(data), leastAgeMs, mark };
  const begun = await peer.ask('checkStore', wish);
  const { result, omitted } = await follow(peer, begun, hooks, hooks.onFinding);
  if (result.kind !== 'check') throw odd('results of a job');
  const { kind: _, notMarked, ...counts } = result;
  return { ...counts, notMarked, omitted };
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

/** Runs garbage collection on the server. Throws NOT_PERMITTED, CLIENT_BUSY, CONNECTION_LOST, INTERRUPTED. */
export async function freeThere(peer: RemotePeer, hooks: WorkHooks): Promise<FarFreed> {
  const begun = await peer.ask('freeUnneeded', undefined);
  const { result } = await follow(peer, begun, hooks, () => undefined);
  if (result.kind !== 'free') throw odd('results of a job');
  const { kind: _, ...freed } = result;
  return freed;
}

type News = Reply<'askWork'>;

async function follow(
  peer: RemotePeer,
  first: News,
  { signal, onProgress }: WorkHooks,
  onFinding: (finding: Finding) => void,
): Promise<{ result: NonNullable<News['result']>; omitted: number }> {
  for (let news = first; ; news = await peer.ask('askWork', undefined)) {
    for (const finding of news.findings) onFinding(finding);
    throwIfAborted(signal);
    const { progress, result, omitted } = news;
    if (progress !== undefined) onProgress(progress);
    if (result !== undefined) return { result, omitted };
  }
}
