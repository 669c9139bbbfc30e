/** Read-only views of a store. One ends at a commit, and hides later data. */
import type { PackNumber } from '../../model/index.js';
import {
  type CommitLog,
  type CommitPoint,
  hasLog,
  type ListedCommit,
} from '../../store/catalog/index.js';
import { noSuchObject, TardisError } from '../../errors/index.js';
import { type Backend, packName, packNumber } from '../../store/index.js';

/** Returns a view of a backend that ends at `point`; if that is undefined, it shows the whole store. */
export function boundedBackend(backend: Backend, point: CommitPoint | undefined): Backend {
  if (point === undefined) return viewOf(backend, {});
  const endOf = (name: string): number => {
    const pack = packNumber(name);
    if (pack === undefined || pack < point.pack) return Infinity;
    return name === packName(point.pack) ? point.position : 0;
  };
  const bounds: Pick<Backend, 'read' | 'size' | 'list'> = {
    read: async (name, position, target, bytes) => {
      const end = endOf(name);
      if (end === 0) throw noSuchObject(name);
      const most = end - position;
      return most <= 0 ? 0 : backend.read(name, position, target, Math.min(bytes, most));
    },
    size: async (name) => {
      const sizeBytes = await backend.size(name);
      const end = endOf(name);
      return sizeBytes === undefined || end === 0 ? undefined : Math.min(sizeBytes, end);
    },
    list: async (prefix) => (await backend.list(prefix)).filter((name) => endOf(name) > 0),
  };
  return viewOf(backend, bounds, point.commit);
}

/** Returns a view of a backend with other methods of reading, and with the commits up to the last one. It refuses writes. */
export function viewOf(
  backend: Backend,
  reading: Partial<Pick<Backend, 'read' | 'size' | 'list'>>,
  lastCommit = Infinity,
): Backend {
  return {
    read: (...range) => backend.read(...range),
    size: (name) => backend.size(name),
    list: (prefix) => backend.list(prefix),
    ...reading,
    owner: () => backend.owner(),
    sync: async () => undefined, // no data made from a view needs to be durable
    create: refuseWrite,
    stage: refuseWrite,
    shorten: async () => refuseWrite(),
    remove: async () => refuseWrite(),
    close: () => backend.close(),
    [Symbol.dispose]: () => backend.close(),
    ...(hasLog(backend) ? logUpTo(backend, lastCommit) : {}),
  };
}

function logUpTo(log: CommitLog, last: number): CommitLog {
  return {
    commitObject: async (commit) => (commit > last ? undefined : log.commitObject(commit)),
    async *commitsAfter(commit): AsyncGenerator<ListedCommit> {
      for await (const listed of log.commitsAfter(commit)) {
        if (listed.commit > last) return;
        yield listed;
      }
    },
    removablePacks: (): Promise<ReadonlyMap<PackNumber, number>> => log.removablePacks(),
  };
}

function refuseWrite(): never {
  throw new TardisError('INTERNAL', 'a check writes nothing into a store');
}
