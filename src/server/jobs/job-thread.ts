/** Entry point of a thread that runs one background job on a client's store, and ends. */
import { Catalog, requireForeign } from '../../store/catalog/index.js';
import { parseKeyRecord } from '../../crypto/index.js';
import { toWire } from '../../errors/index.js';
import { collectGarbage } from '../../maintenance/gc/index.js';
import { previewForget } from '../../store/writer/index.js';
import { forgetHere, takeSnapshot } from '../../maintenance/rewrite/index.js';
import { guardClient, newestKeys } from '../../store/index.js';
import { bufferOf } from '../../model/index.js';
import { nodeSystem, threadEnd } from '../../system/index.js';
import { checkClient, type Finding } from '../../maintenance/check/index.js';
import type { JobChannel, JobResult, ReportedFinding } from './job.js';

const channel = threadEnd<JobChannel>();
const { directory, limits, umask, work } = channel.data;
const system = nodeSystem(umask);
guardClient(directory);
const stopping = new AbortController();
channel.listen(() => stopping.abort());

/**
 * Returns a finding as it is sent to readers; undefined for a kind that only a check with keys reports. Bytes are
 * copied, since a view of a large buffer would be sent with all of that buffer.
 */
function reportedFinding(finding: Finding): ReportedFinding | undefined {
  switch (finding.finding) {
    case 'seal':
      return undefined;
    case 'version': {
      const [path, digest] = [Uint8Array.from(finding.path), Uint8Array.from(finding.digest)];
      return {
        ...finding,
        sets: [...finding.sets],
        path: bufferOf(path),
        digest: bufferOf(digest),
      };
    }
    case 'history':
    case 'doubtful':
      return { ...finding, sets: [...finding.sets] };
    default:
      return finding;
  }
}

async function run(): Promise<JobResult> {
  const keys = newestKeys(system, directory.path);
  const isEncrypted = keys !== undefined && parseKeyRecord(keys.bytes).isEncrypting;
  const { signal } = stopping;
  if (work.kind === 'free') {
    const { graceMs, wasteRatio } = work;
    const frames = isEncrypted ? undefined : { native: system.native, keys: undefined };
    const report = await collectGarbage(system, directory, {
      limits,
      graceMs,
      wasteRatio,
      frames,
      isThorough: true,
      signal,
      onProgress: (step, done, of) =>
        channel.send({
          op: 'progress',
          progress: of === undefined ? { step, done } : { step, done, of },
        }),
    });
    return { kind: 'free', ...report };
  }
  if (work.kind === 'snapshot') {
    return { kind: 'snapshot', facts: await takeSnapshot(system, directory, work.file) };
  }
  if (work.kind === 'examine') {
    requireForeign(system, work.file);
    return { kind: 'examine' };
  }
  if (work.kind === 'preview') {
    const report = previewForget(system, directory, work.paths.map(bufferOf));
    return { kind: 'preview', report };
  }
  if (work.kind === 'forget') {
    const requests = work.requests.map((request) => ({ ...request, path: bufferOf(request.path) }));
    const how = { limits, skipFile: work.skipFile, verify: true, acceptDamage: false, signal };
    await forgetHere(system, directory, requests, { ...how, onProgress: () => undefined });
    return { kind: 'forget' };
  }
  const { notMarked, ...result } = await checkClient(system, directory, {
    read: work.read,
    keyring: undefined,
    isEncrypted,
    mark: work.mark,
    limits,
    signal,
    onFinding: (found) => {
      const finding = reportedFinding(found);
      if (finding !== undefined) channel.send({ op: 'finding', finding });
    },
    onStep: (step) => channel.send({ op: 'progress', progress: { step, done: 0 } }),
    onRead: (done, of) => channel.send({ op: 'progress', progress: { step: 'read', done, of } }),
  });
  return { kind: 'check', ...result, notMarked: notMarked && toWire(notMarked) };
}

run()
  .then(
    (result) => channel.send({ op: 'done', result }),
    (error: unknown) => {
      const explained = Catalog.explainedAt(system, directory.catalogPath, error);
      channel.send({ op: 'failed', error: toWire(explained) });
    },
  )
  .finally(() => channel.close());
