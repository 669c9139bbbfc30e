/** Entry of a thread that does one long piece of work on one client's store, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { parseKeyRecord } from '../../crypto/index.js';
import { toWire } from '../../errors/index.js';
import { keepUp, previewForget } from '../../keeper/index.js';
import { forgetHere } from '../../rekey/index.js';
import { newestKeys } from '../../store/index.js';
import { nodeSystem } from '../../system/index.js';
import { checkClient, findingToWire } from '../../verify/index.js';
import type { FromTending, TendingTask } from './work.js';

const port = parentPort!;
const { directory, limits, umask, work } = workerData as TendingTask;
const system = nodeSystem(umask);
const stopping = new AbortController();
port.once('message', () => stopping.abort());

function send(message: FromTending): void {
  port.postMessage(message);
}

/** Between threads they lose their kind. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function run(): Promise<object> {
  const keys = newestKeys(system, directory.path);
  const isEncrypted = keys !== undefined && parseKeyRecord(keys.bytes).isEncrypting;
  const { signal } = stopping;
  if (work.kind === 'free') {
    const { graceMs, wasteRatio } = work;
    const frames = isEncrypted ? undefined : { native: system.native, keys: undefined };
    return keepUp(system, directory, {
      limits,
      graceMs,
      wasteRatio,
      frames,
      isThorough: true,
      signal,
      onProgress: (step, done, of) =>
        send({ op: 'progress', progress: of === undefined ? { step, done } : { step, done, of } }),
    });
  }
  if (work.kind === 'preview') {
    return previewForget(system, directory, work.paths.map(bufferOf));
  }
  if (work.kind === 'forget') {
    const requests = work.requests.map((request) => ({ ...request, path: bufferOf(request.path) }));
    const how = { limits, skipFile: work.skipFile, verify: true, acceptDamage: false, signal };
    return forgetHere(system, directory, requests, { ...how, onProgress: () => undefined });
  }
  const { notMarked, ...result } = await checkClient(system, directory, {
    read: work.read,
    keyring: undefined,
    isEncrypted,
    mark: work.mark,
    limits,
    signal,
    onFinding: (finding) => send({ op: 'finding', text: findingToWire(finding) }),
    onStep: (step) => send({ op: 'progress', progress: { step, done: 0 } }),
    onRead: (done, of) => send({ op: 'progress', progress: { step: 'read', done, of } }),
  });
  return { ...result, notMarked: notMarked && toWire(notMarked) };
}

run()
  .then(
    (result) => send({ op: 'done', result: JSON.stringify(result) }),
    (error: unknown) => send({ op: 'failed', error: toWire(error) }),
  )
  .finally(() => port.close());
