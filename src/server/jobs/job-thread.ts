/** Entry point of a thread that runs one background job on a client's store, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { Catalog } from '../../store/catalog/index.js';
import { parseKeyRecord } from '../../crypto/index.js';
import { toWire } from '../../errors/index.js';
import { collectGarbage } from '../../maintenance/gc/index.js';
import { previewForget } from '../../store/writer/index.js';
import { forgetHere } from '../../maintenance/rewrite/index.js';
import { guardClient, newestKeys } from '../../store/index.js';
import { nodeSystem } from '../../system/index.js';
import { checkClient, findingToWire } from '../../maintenance/check/index.js';
import type { FromJob, JobTask } from './job.js';

const port = parentPort!;
const { directory, limits, umask, work } = workerData as JobTask;
const system = nodeSystem(umask);
guardClient(directory);
const stopping = new AbortController();
port.once('message', () => stopping.abort());

function send(message: FromJob): void {
  port.postMessage(message);
}

/** Returns bytes as a Buffer; messages between threads turn a Buffer into a plain Uint8Array. */
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
    return collectGarbage(system, directory, {
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
    (error: unknown) => {
      const explained = Catalog.explainedAt(system, directory.catalogPath, error);
      send({ op: 'failed', error: toWire(explained) });
    },
  )
  .finally(() => port.close());
