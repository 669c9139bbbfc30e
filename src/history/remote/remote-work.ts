/** Background jobs on a client's store that its server runs on request, followed to their end. */
import { throwIfAborted, TardisError } from '../../errors/index.js';
import type { FarCheck, FarFreed, WorkHooks, WorkProgress } from '../../maintenance/admin/index.js';
import {
  type Finding,
  findingFromWire,
  newCounts,
  type ReadData,
  type ReadRequest,
} from '../../maintenance/check/index.js';
import type { RemotePeer } from './remote-peer.js';

/** Checks the store on the server. Throws NOT_PERMITTED, CONNECTION_LOST, INTERRUPTED, and the errors of a check. */
export async function checkThere(
  peer: RemotePeer,
  { read: { data, leastAgeMs }, mark }: { readonly read: ReadRequest; readonly mark: boolean },
  hooks: WorkHooks & { readonly onFinding: (finding: Finding) => void },
): Promise<FarCheck> {
  const wish = { data: data.kind, ...amountOf(data), leastAgeMs, mark };
  const begun = await peer.ask('checkStore', 'workIs', wish);
  const { result, omitted } = await follow(peer, begun.head, hooks, (text) =>
    hooks.onFinding(findingFromWire(text)),
  );
  const { isOpened, isForgetful, notMarked } = result;
  const failure = notMarked as Partial<{ code: string; message: string }> | undefined;
  return {
    ...countsIn(newCounts(), result),
    isOpened: isOpened === true,
    isForgetful: isForgetful === true,
    notMarked:
      failure === undefined
        ? undefined
        : { code: String(failure.code), message: String(failure.message) },
    omitted,
  };
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
  const begun = await peer.ask('freeUnneeded', 'workIs', {});
  const { result } = await follow(peer, begun.head, hooks, () => undefined);
  const counts = { contents: 0, packs: 0, freedBytes: 0, deletedFiles: 0, deletedBytes: 0 };
  return { ...countsIn(counts, result), isDone: result['isDone'] === true };
}

type Told = Awaited<ReturnType<typeof askOnce>>;

async function askOnce(peer: RemotePeer) {
  const { head } = await peer.ask('askWork', 'workIs', {});
  return head;
}

async function follow(
  peer: RemotePeer,
  first: Told,
  { signal, onProgress }: WorkHooks,
  onFinding: (text: string) => void,
): Promise<{ result: Readonly<Record<string, unknown>>; omitted: number }> {
  for (let told = first; ; told = await askOnce(peer)) {
    for (const text of told.findings) onFinding(text);
    throwIfAborted(signal);
    if (told.progress !== '') onProgress(progressIn(told.progress));
    if (told.result !== '') return { result: objectIn(told.result), omitted: told.omitted };
  }
}

function progressIn(text: string): WorkProgress {
  const { step, done, of } = objectIn(text);
  if (typeof step !== 'string' || typeof done !== 'number') throw odd();
  return typeof of === 'number' ? { step, done, of } : { step, done };
}

function countsIn<T extends Record<keyof T, number>>(
  counts: T,
  told: Readonly<Record<string, unknown>>,
): T {
  const found = Object.keys(counts).map((name) => {
    const count = told[name];
    if (!Number.isSafeInteger(count) || (count as number) < 0) throw odd();
    return [name, count];
  });
  return Object.fromEntries(found) as T;
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw odd(error);
  }
  if (typeof value !== 'object' || value === null) throw odd();
  return value as Record<string, unknown>;
}

function odd(cause?: unknown): TardisError {
  return new TardisError(
    'PROTOCOL_VIOLATION',
    'what a server tells of its work makes no sense',
    {},
    cause,
  );
}
