/** A read-only view of a store as it was at a commit. Later data is hidden. */
import type { PackNumber } from '../../model/index.js';
import {
  type CommitLog,
  type CommitPoint,
  hasLog,
  type ListedCommit,
} from '../../store/catalog/index.js';
import { noSuchObject, TardisError } from '../../errors/index.js';
import { type Backend, type ObjectWriter, packName, packNumber } from '../../store/index.js';

/** Returns a view of a backend that ends at `point`; if that is undefined, it shows the whole store. */
export function boundedBackend(backend: Backend, point: CommitPoint | undefined): Backend {
  return hasLog(backend) ? new BoundedLog(backend, point) : new BoundedBackend(backend, point);
}

class BoundedBackend implements Backend {
  constructor(
    private readonly backend: Backend,
    private readonly point: CommitPoint | undefined,
  ) {}

  async read(name: string, position: number, target: Uint8Array, bytes: number): Promise<number> {
    const end = this.endOf(name);
    if (end === 0) throw noSuchObject(name);
    const most = end - position;
    return most <= 0 ? 0 : this.backend.read(name, position, target, Math.min(bytes, most));
  }

  async size(name: string): Promise<number | undefined> {
    const sizeBytes = await this.backend.size(name);
    const end = this.endOf(name);
    return sizeBytes === undefined || end === 0 ? undefined : Math.min(sizeBytes, end);
  }

  owner(): string | undefined {
    return this.backend.owner();
  }

  async list(prefix: string): Promise<string[]> {
    return (await this.backend.list(prefix)).filter((name) => this.endOf(name) > 0);
  }

  /** Does nothing, since no data made from this view needs to be durable. */
  async sync(): Promise<void> {
    return undefined;
  }

  create(): ObjectWriter {
    throw readOnly();
  }

  stage(): ObjectWriter {
    throw readOnly();
  }

  async shorten(): Promise<void> {
    throw readOnly();
  }

  async remove(): Promise<void> {
    throw readOnly();
  }

  close(): void {
    this.backend.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  private endOf(name: string): number {
    const pack = packNumber(name);
    if (this.point === undefined || pack === undefined || pack < this.point.pack) return Infinity;
    return name === packName(this.point.pack) ? this.point.position : 0;
  }
}

class BoundedLog extends BoundedBackend implements CommitLog {
  private readonly log: CommitLog;
  private readonly last: number;

  constructor(backend: Backend & CommitLog, point: CommitPoint | undefined) {
    super(backend, point);
    this.log = backend;
    this.last = point?.commit ?? Infinity;
  }

  async commitObject(commit: number): Promise<Buffer | undefined> {
    return commit > this.last ? undefined : this.log.commitObject(commit);
  }

  async *commitsAfter(commit: number): AsyncGenerator<ListedCommit> {
    for await (const listed of this.log.commitsAfter(commit)) {
      if (listed.commit > this.last) return;
      yield listed;
    }
  }

  removablePacks(): Promise<ReadonlyMap<PackNumber, number>> {
    return this.log.removablePacks();
  }
}

function readOnly(): TardisError {
  return new TardisError('INTERNAL', 'a check writes nothing into a store');
}
